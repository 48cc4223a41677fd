"""The two messages of the hub that are not JSON: a page of results, and the log of a job.

They are postcard behind a version byte (`model/src/wire.rs`). Values inside are CBOR, so they keep their exact types.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Callable, List, Optional, Tuple, TypeVar, Union

from ._errors import CorruptValue
from ._views import Argument, FailedJob, Failure, Round

# The version of the messages; the first byte of each.
WIRE_VERSION = 8

# The media type of the messages.
CONTENT_TYPE = "application/vnd.bue.postcard"

# Loops in loops, in a result.
_MAX_NESTING = 64

_RUN_STATES = ("running", "completed", "failed", "cancelled")
_FAILURE_KINDS = ("raised", "limit", "denied", "bad_input", "bad_result", "bad_code", "trap", "internal")
_NO_VALUES = ("failed", "cancelled", "skipped", "running")

T = TypeVar("T")


@dataclass(frozen=True)
class Inline:
    """A stored value inside the message."""

    data: bytes


@dataclass(frozen=True)
class Blob:
    """A stored value in the bucket."""

    hash: str
    length: int


@dataclass(frozen=True)
class Chunks:
    """A list in parts: each is a CBOR array of so many elements."""

    parts: List[Tuple[int, Union[Inline, Blob]]]


ValueRef = Union[Inline, Blob, Chunks]


@dataclass(frozen=True)
class Nothing:
    """There is no value, for this reason."""

    reason: str


@dataclass(frozen=True)
class Rounds:
    """The values of the rounds of a loop, in order."""

    rounds: List[Any]


RoundValue = Union[Nothing, Inline, Blob, Chunks, Rounds]


@dataclass(frozen=True)
class PageCall:
    """The result of a call statement, or the part of it that is on this page."""

    line: int
    name: Optional[str]
    is_used: bool
    value: RoundValue


@dataclass(frozen=True)
class Page:
    """A page of results. `next` is the position of the next one: calls and rounds before it.

    failed: on the first page, the first thousand jobs that failed.
    """

    state: str
    calls: List[PageCall]
    failed: List[FailedJob]
    next: Optional[Tuple[int, int]]


def read_page(message: bytes) -> Page:
    """Read the message of a page, without its version byte."""
    reader = _Reader(message)
    state = reader.variant(_RUN_STATES)
    calls = reader.list(reader.call)
    failed = reader.list(reader.failed_job)
    following = reader.option(lambda: (reader.integer(), reader.integer()))
    reader.expect_end()
    return Page(state, calls, failed, following)


def read_log(message: bytes) -> Optional[ValueRef]:
    """Read the message of a log, without its version byte."""
    reader = _Reader(message)
    log = reader.option(reader.value_ref)
    reader.expect_end()
    return log


class _Reader:
    def __init__(self, data: bytes) -> None:
        self.data = data
        self.at = 0

    def take(self, count: int) -> bytes:
        end = self.at + count
        if end > len(self.data):
            raise CorruptValue("a message of the hub ends too early")
        part = self.data[self.at : end]
        self.at = end
        return part

    def integer(self) -> int:
        number = 0
        for shift in range(0, 70, 7):
            byte = self.take(1)[0]
            number |= (byte & 0x7F) << shift
            if byte < 0x80:
                return number
        raise CorruptValue("a message of the hub has an integer that does not end")

    def variant(self, names: Tuple[str, ...]) -> str:
        number = self.integer()
        if number >= len(names):
            raise CorruptValue(f"a message of the hub has variant {number} of {len(names)}")
        return names[number]

    def boolean(self) -> bool:
        return self.variant(("false", "true")) == "true"

    def bytes(self) -> bytes:
        return self.take(self.integer())

    def text(self) -> str:
        try:
            return self.bytes().decode("utf-8")
        except UnicodeDecodeError:
            raise CorruptValue("a message of the hub has a text that is not UTF-8") from None

    def option(self, read: Callable[[], T]) -> Optional[T]:
        return read() if self.boolean() else None

    def list(self, read: Callable[[], T]) -> List[T]:
        count = self.integer()
        # each element has at least one byte
        if count > len(self.data) - self.at:
            raise CorruptValue("a message of the hub ends too early")
        return [read() for _ in range(count)]

    def expect_end(self) -> None:
        if self.at != len(self.data):
            raise CorruptValue("a message of the hub has bytes behind its end")

    def call(self) -> PageCall:
        return PageCall(self.integer(), self.option(self.text), self.boolean(), self.round_value(_MAX_NESTING))

    def round_value(self, depth: int) -> RoundValue:
        if depth == 0:
            raise CorruptValue("a message of the hub is nested too deeply")
        kind = self.variant(("nothing", "value", "rounds"))
        if kind == "nothing":
            return Nothing(self.variant(_NO_VALUES))
        if kind == "value":
            return self.value_ref()
        return Rounds(self.list(lambda: self.round_value(depth - 1)))

    def value_ref(self) -> ValueRef:
        kind = self.variant(("inline", "blob", "list"))
        if kind == "list":
            return Chunks(self.list(lambda: (self.integer(), self.flat_value())))
        return self.stored(kind)

    def flat_value(self) -> Union[Inline, Blob]:
        return self.stored(self.variant(("inline", "blob")))

    def stored(self, kind: str) -> Union[Inline, Blob]:
        if kind == "inline":
            return Inline(self.bytes())
        return Blob(self.take(32).hex(), self.integer())

    def failed_job(self) -> FailedJob:
        job, step, line = self.integer(), self.text(), self.integer()
        rounds = self.list(lambda: Round(self.text(), self.integer(), self.integer(), self.integer()))
        arguments = self.list(lambda: Argument(self.option(self.text), self.text()))
        attempts, worker = self.integer(), self.option(self.text)
        kind, message = self.variant(_FAILURE_KINDS), self.text()
        failure = Failure(kind, message, self.option(self.text), self.option(self.integer))
        self.option(self.value_ref)
        return FailedJob(job, step, line, rounds, arguments, attempts, worker, failure)
