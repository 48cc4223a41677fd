"""Pages of results, and stored values in them. They are CBOR, so they keep their exact types."""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass
from typing import Any, List, Optional, Tuple, Union

from ._views import FailedJob, ViewError, list_from_json

# Loops in loops, in a result.
_MAX_NESTING = 64


@dataclass(frozen=True)
class Inline:
    """A stored value inside the answer."""

    data: bytes


@dataclass(frozen=True)
class Blob:
    """A stored value in the bucket."""

    hash: str
    length: int


@dataclass(frozen=True)
class Pieces:
    """A list in pieces: each is a CBOR array of so many elements."""

    pieces: List[Tuple[int, Union[Inline, Blob]]]


ValueRef = Union[Inline, Blob, Pieces]


@dataclass(frozen=True)
class Nothing:
    """There is no value, for this reason."""

    reason: str


@dataclass(frozen=True)
class Rounds:
    """The values of the rounds of a loop, in order."""

    rounds: List[Any]


RoundValue = Union[Nothing, Inline, Blob, Pieces, Rounds]


@dataclass(frozen=True)
class PageCall:
    """The result of a call statement, or the part of it that is on this page. first_round: its rounds on earlier pages."""

    line: int
    name: Optional[str]
    is_used: bool
    value: RoundValue
    first_round: int


@dataclass(frozen=True)
class Page:
    """A page of results. `next` is the position of the next one.

    failed: on the first page, the first thousand jobs that failed.
    """

    calls: List[PageCall]
    failed: List[FailedJob]
    next: Optional[str]


def read_page(value: Any) -> Page:
    """Read the JSON of a page. Raises ViewError."""
    following = _field(value, "next", "a page of results")
    if following is not None and not isinstance(following, str):
        raise ViewError("`next` of a page of results is no text")
    calls = _field(value, "results", "a page of results")
    if not isinstance(calls, list):
        raise ViewError("`results` of a page of results is no list")
    failed = list_from_json(FailedJob, _field(value, "failed", "a page of results"))
    return Page([_call(call) for call in calls], failed, following)


def read_blob(value: Any) -> Blob:
    """Read the JSON of a reference to the bucket. Raises ViewError."""
    hash, length = _field(value, "hash", "a blob"), _field(value, "bytes", "a blob")
    if not (isinstance(hash, str) and len(hash) == 64 and all(digit in "0123456789abcdef" for digit in hash)):
        raise ViewError("`hash` of a blob is no hash")
    return Blob(hash, _count(length, "`bytes` of a blob"))


def _call(value: Any) -> PageCall:
    line, first = _field(value, "line", "a result"), _field(value, "first_round", "a result")
    name, is_used = _field(value, "name", "a result"), _field(value, "used", "a result")
    if not (name is None or isinstance(name, str)) or not isinstance(is_used, bool):
        raise ViewError("`name` or `used` of a result is of another type")
    rounds = _rounds(_field(value, "value", "a result"), _MAX_NESTING)
    return PageCall(_count(line, "`line` of a result"), name, is_used, rounds, _count(first, "`first_round` of a result"))


def _rounds(value: Any, depth: int) -> RoundValue:
    if depth == 0:
        raise ViewError("a result is nested too deeply")
    if isinstance(value, dict) and "none" in value:
        reason = value["none"]
        if reason not in ("failed", "cancelled", "skipped", "running"):
            raise ViewError(f"a result is missing for the reason {reason!r}, which this release does not know")
        return Nothing(reason)
    if isinstance(value, dict) and isinstance(value.get("rounds"), list):
        return Rounds([_rounds(one, depth - 1) for one in value["rounds"]])
    if isinstance(value, dict) and isinstance(value.get("pieces"), list):
        return Pieces(
            [
                (_count(_field(one, "count", "a piece"), "`count`"), _stored(_field(one, "value", "a piece")))
                for one in value["pieces"]
            ]
        )
    return _stored(value)


def _stored(value: Any) -> Union[Inline, Blob]:
    if isinstance(value, dict) and isinstance(value.get("cbor"), str):
        try:
            return Inline(base64.b64decode(value["cbor"], validate=True))
        except (binascii.Error, ValueError):
            raise ViewError("a value is not base64") from None
    if isinstance(value, dict) and "blob" in value:
        return read_blob(value["blob"])
    raise ViewError("a value is in a form that this release does not know")


def _field(value: Any, name: str, what: str) -> Any:
    if not isinstance(value, dict) or name not in value:
        raise ViewError(f"{what} has no `{name}`")
    return value[name]


def _count(value: Any, what: str) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise ViewError(f"{what} is no number")
    return value
