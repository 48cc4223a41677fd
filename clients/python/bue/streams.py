"""Stages for the brackets of a pipe, `a | [read | parse | chunk64] | b`, each of which iterates over what the one before yields.

A stage is a function that takes an iterator and returns one, most often a generator:

    def parse(lines):
        for line in lines:
            yield json.loads(line)

    chunk64 = chunk(64)

The stages of one pair of brackets run as one job, and pull elements through each other, so each holds one at a time.
"""

from __future__ import annotations

import collections
import collections.abc
import functools
import itertools
import time
from typing import Any, Callable, Iterable, Iterator, List, NoReturn, Optional

__all__ = ["Skip", "chunk", "consume", "each", "flatten", "identity", "recursive_flatten", "skip", "timed_chunk"]


class Skip(Exception):
    """Leaves out the current element. Raised by `skip`, and caught by `each`."""


def chunk(size: int) -> Callable[[Iterable[Any]], Iterator[List[Any]]]:
    """Return a stage that makes lists of `size` elements. The last one may be shorter."""
    _check_size(size)

    def chunked(items: Iterable[Any]) -> Iterator[List[Any]]:
        iterator = iter(items)
        while batch := list(itertools.islice(iterator, size)):
            yield batch

    return chunked


def timed_chunk(
    size: int, seconds: float, clock: Callable[[], float] = time.monotonic
) -> Callable[[Iterable[Any]], Iterator[List[Any]]]:
    """Return a stage that makes lists of at most `size` elements, of those that arrive within `seconds` of the first one.

    It looks at the clock when an element arrives: while it waits for one, nothing else runs.
    """
    _check_size(size)
    if not seconds > 0:
        raise ValueError(f"the seconds of a chunk are more than 0, not {seconds!r}")

    def chunked(items: Iterable[Any]) -> Iterator[List[Any]]:
        batch: List[Any] = []
        end = 0.0
        for item in items:
            now = clock()
            if batch and now >= end:
                yield batch
                batch = []
            if not batch:
                end = now + seconds
            batch.append(item)
            if len(batch) == size:
                yield batch
                batch = []
        if batch:
            yield batch

    return chunked


def _check_size(size: int) -> None:
    if isinstance(size, bool) or not isinstance(size, int):
        raise TypeError(f"the size of a chunk is an int, not {type(size).__name__}")
    if size < 1:
        raise ValueError(f"the size of a chunk is at least 1, not {size}")


def flatten(items: Iterable[Iterable[Any]]) -> Iterator[Any]:
    """Yield the elements of the elements."""
    return itertools.chain.from_iterable(items)


def recursive_flatten(items: Iterable[Any]) -> Iterator[Any]:
    """Yield the elements of lists in lists, however deep. Texts, bytes and dicts are elements, not lists of them."""
    stack = [iter(items)]
    while stack:
        for item in stack[-1]:
            if isinstance(item, collections.abc.Iterable) and not isinstance(item, _SINGLE):
                stack.append(iter(item))
                break
            yield item
        else:
            stack.pop()


_SINGLE = (str, bytes, bytearray, memoryview, collections.abc.Mapping)


def consume(items: Iterable[Any], count: Optional[int] = None) -> Iterator[Any]:
    """Take all elements, or the first `count`, and drop them. Return an iterator over the rest.

    As the last stage, it makes the result an empty list.
    """
    iterator = iter(items)
    # a deque of no elements takes them as fast as possible
    collections.deque(iterator if count is None else itertools.islice(iterator, count), maxlen=0)
    return iterator


def identity(items: Iterable[Any]) -> Iterator[Any]:
    """Yield the elements as they are."""
    return iter(items)


def each(function: Callable[..., Any]) -> Callable[..., Iterator[Any]]:
    """Make a stage of a function of one element. The function leaves an element out by calling `skip`.

        @each
        def parse(line):
            if not line:
                skip()
            return json.loads(line)
    """

    @functools.wraps(function)
    def stage(items: Iterable[Any], *others: Any, **keywords: Any) -> Iterator[Any]:
        for item in items:
            try:
                result = function(item, *others, **keywords)
            except Skip:
                continue
            yield result

    # a wrapped function is checked as if it were called with the element itself
    del stage.__wrapped__  # type: ignore[attr-defined]
    return stage


def skip() -> NoReturn:
    """Leave out the current element: for functions of one element that are stages by `each`."""
    raise Skip("skip() was called outside of a function that `bue.streams.each` makes a stage")
