"""The results of a run, from pages of the hub and values in the bucket."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import Any, Callable, Iterator, List, Optional

from ._errors import CorruptValue, NoResult
from ._pages import Blob, Inline, Nothing, Page, PageCall, Pieces, Rounds, RoundValue, ValueRef
from ._values import decode

# The position of a page; None for the first one.
Cursor = Optional[str]


class Missing(enum.Enum):
    """Takes the place of a value in `CallResult.value` if there is none, and says why. It is false in a condition."""

    failed = "failed"
    cancelled = "cancelled"
    skipped = "skipped"
    running = "running"

    def __bool__(self) -> bool:
        return False


@dataclass(frozen=True)
class RoundTotals:
    """The numbers of rounds of the innermost loop around a call, by what became of them."""

    completed: int
    failed: int
    cancelled: int
    skipped: int
    running: int


@dataclass(frozen=True)
class CallResult:
    """The result of a call statement of the script.

    line: where the call is. name: what its result is called, if anything. state: `completed` if there is a value, in a loop
    in all rounds; otherwise the first of `running`, `failed`, `skipped` and `cancelled` that applies to it.
    value: in a loop, the list of the values of the rounds. A `Missing` takes the place of each value that is not there.
    rounds: None outside loops. is_used: whether something else in the script uses the result.
    """

    line: int
    name: Optional[str]
    value: Any
    state: str
    rounds: Optional[RoundTotals]
    is_used: bool


def calls(page_at: Callable[[Cursor], Page], fetch: Callable[[Blob], bytes]) -> Iterator[CallResult]:
    """Return the results of all calls, page by page."""
    waiting: Optional[PageCall] = None
    for page in _pages(page_at):
        parts = list(page.calls)
        if parts and parts[0].first_round > 0:
            waiting = _joined(waiting, parts.pop(0))
        for part in parts:
            if waiting is not None:
                yield _result(waiting, fetch)
            waiting = part
    if waiting is not None:
        yield _result(waiting, fetch)


def values(results: Iterator[CallResult]) -> Iterator[Any]:
    """Return the values that nothing else in the script uses. Raises NoResult if a call has none."""
    for result in results:
        if result.is_used:
            continue
        if result.state != "completed":
            raise NoResult(result.line, result.name, result.state)
        yield result.value


def value_of(reference: ValueRef, fetch: Callable[[Blob], bytes]) -> Any:
    """Return the Python object of a stored value."""
    if not isinstance(reference, Pieces):
        return decode(bytes_of(reference, fetch))
    items: List[Any] = []
    for count, part in reference.pieces:
        chunk = decode(bytes_of(part, fetch))
        if not isinstance(chunk, list) or len(chunk) != count:
            raise CorruptValue(f"a part of a stored list does not have {count} elements")
        items.extend(chunk)
    return items


def bytes_of(reference: ValueRef, fetch: Callable[[Blob], bytes]) -> bytes:
    """Return the bytes of a stored value that is not in parts."""
    if isinstance(reference, Pieces):
        raise CorruptValue("a stored value is in parts, which this one cannot be")
    return reference.data if isinstance(reference, Inline) else fetch(reference)


def _pages(page_at: Callable[[Cursor], Page]) -> Iterator[Page]:
    cursor: Cursor = None
    while True:
        page = page_at(cursor)
        yield page
        if page.next is None:
            return
        if page.next == cursor:
            raise CorruptValue("the hub's pages of results do not advance")
        cursor = page.next


def _joined(first: Optional[PageCall], second: PageCall) -> PageCall:
    if first is None or not (isinstance(first.value, Rounds) and isinstance(second.value, Rounds)):
        raise CorruptValue("the hub's pages of results do not continue each other")
    if first.first_round + len(first.value.rounds) != second.first_round:
        raise CorruptValue("rounds are missing between the hub's pages of results")
    rounds = Rounds(first.value.rounds + second.value.rounds)
    return PageCall(first.line, first.name, first.is_used, rounds, first.first_round)


def _result(call: PageCall, fetch: Callable[[Blob], bytes]) -> CallResult:
    counts = {"completed": 0, "failed": 0, "cancelled": 0, "skipped": 0, "running": 0}
    value = _value(call.value, fetch, counts)
    states = ("running", "failed", "skipped", "cancelled")
    state = next((state for state in states if counts[state] > 0), "completed")
    rounds = RoundTotals(**counts) if isinstance(call.value, Rounds) else None
    return CallResult(call.line, call.name, value, state, rounds, call.is_used)


def _value(value: RoundValue, fetch: Callable[[Blob], bytes], counts: Any) -> Any:
    if isinstance(value, Rounds):
        return [_value(one, fetch, counts) for one in value.rounds]
    if isinstance(value, Nothing):
        counts[value.reason] += 1
        return Missing[value.reason]
    counts["completed"] += 1
    return value_of(value, fetch)
