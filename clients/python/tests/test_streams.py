"""`bue.streams`, which is the same file in the sandbox."""

from __future__ import annotations

import itertools
import unittest
from typing import Any, Callable, Iterable, Iterator, List

from bue.streams import Skip, chunk, consume, each, flatten, identity, recursive_flatten, skip, timed_chunk


def combined(source: Iterable[Any], stages: List[Callable[[Iterable[Any]], Iterator[Any]]]) -> Iterator[Any]:
    """The stages over each other, as in the brackets of a pipe."""
    items: Iterator[Any] = iter(source)
    for stage in stages:
        items = stage(items)
    return items


class StreamsTest(unittest.TestCase):
    def test_stages_are_functions_over_iterators(self) -> None:
        def even(numbers: Iterable[int]) -> Iterator[int]:
            for number in numbers:
                if number % 2 == 0:
                    yield number

        self.assertEqual(sum(combined(range(100), [even])), 2450)
        self.assertEqual(list(combined("ab", [identity, identity])), ["a", "b"])
        self.assertEqual(list(combined([], [identity])), [])

    def test_chunks_have_a_size_and_the_last_one_may_be_shorter(self) -> None:
        self.assertEqual(list(chunk(3)(range(1, 9))), [[1, 2, 3], [4, 5, 6], [7, 8]])
        self.assertEqual([len(batch) for batch in chunk(32)(range(64))], [32, 32])
        self.assertEqual(list(chunk(3)([])), [])
        for size in (0, -1):
            with self.assertRaisesRegex(ValueError, "at least 1"):
                chunk(size)
        for size in (True, 1.5, "3", None):
            with self.assertRaisesRegex(TypeError, "an int"):
                chunk(size)  # type: ignore[arg-type]

    def test_a_timed_chunk_ends_when_an_element_is_late(self) -> None:
        times = iter([0.0, 4.0, 5.0, 6.0, 7.0, 100.0])
        batches = timed_chunk(3, 5, clock=lambda: next(times))(range(6))
        self.assertEqual(list(batches), [[0, 1], [2, 3, 4], [5]])
        self.assertEqual(list(timed_chunk(2, 1, clock=lambda: 0.0)(range(5))), [[0, 1], [2, 3], [4]])
        with self.assertRaisesRegex(ValueError, "more than 0"):
            timed_chunk(3, 0)

    def test_one_element_is_pulled_at_a_time(self) -> None:
        pulled: List[int] = []

        def source() -> Iterator[int]:
            for number in itertools.count():
                pulled.append(number)
                yield number

        items = combined(source(), [identity, chunk(2), flatten])
        self.assertEqual([next(items), pulled], [0, [0, 1]])
        self.assertEqual([next(items), next(items), pulled], [1, 2, [0, 1, 2, 3]])

    def test_lists_in_lists_are_flattened(self) -> None:
        self.assertEqual(list(flatten([(1, 2, 3), [4, 5, 6], range(7, 10)])), list(range(1, 10)))
        deep: Any = [1, [2, [3, [], ["abc", b"d", {"e": [4]}]]], iter([5])]
        self.assertEqual(list(recursive_flatten(deep)), [1, 2, 3, "abc", b"d", {"e": [4]}, 5])
        for _ in range(10_000):
            deep = [deep]
        # without the iterator, which has ended
        self.assertEqual(len(list(recursive_flatten(deep))), 6)

    def test_elements_are_consumed(self) -> None:
        self.assertEqual(list(consume(range(5))), [])
        self.assertEqual(list(consume(range(5), 2)), [2, 3, 4])
        self.assertEqual(list(consume(range(5), 9)), [])

    def test_a_function_of_one_element_is_a_stage_and_leaves_elements_out(self) -> None:
        @each
        def parse(line: str, sign: str = "#") -> str:
            if line.startswith(sign):
                skip()
            return line.upper()

        self.assertEqual(list(parse(["a", "#b", "c"])), ["A", "C"])
        self.assertEqual(list(parse(["a", "#b"], sign="a")), ["#B"])
        with self.assertRaisesRegex(Skip, "each"):
            skip()


if __name__ == "__main__":
    unittest.main()
