"""Streamed results: generators, and other iterables that a loop runs over."""

import asyncio

from bue import Result, StepStatus


# gives: [0, 1, 2]
def a_generator_is_a_list():
    yield from range(3)


# gives: [0, 1, 2]
async def an_async_generator_is_a_list():
    for number in range(3):
        await asyncio.sleep(0)
        yield number


# loop: for x in rows() (line 3)
# gives: [{"i": 0}, {"i": 1}]
def a_generator_is_streamed():
    for number in range(2):
        yield {"i": number}


# loop: for x in rows() (line 3)
# gives: [0, 1]
async def an_async_generator_is_streamed():
    for number in range(2):
        await asyncio.sleep(0.001)
        yield number


# loop: for x in rows() (line 3)
# gives: [1, 2]
def a_list_is_streamed():
    return [1, 2]


# loop: for x in rows() (line 3)
# gives: [1, 2]
def a_tuple_is_streamed():
    return 1, 2


# loop: for x in rows() (line 3)
# gives: [5]
def a_set_is_streamed():
    return {5}


# loop: for x in rows() (line 3)
# gives: [0, 1]
def a_range_is_streamed():
    return range(2)


# loop: for x in rows() (line 3)
# gives: [1, 2]
# priority: 7
def the_data_of_a_result_is_streamed():
    return Result(data=[1, 2], priority=7)


# loop: for x in rows() (line 3)
# gives: []
def an_empty_list_streams_nothing():
    return []


# loop: for x in rows() (line 3)
# answers: pending
def a_loop_may_wait():
    return StepStatus.pending


class Counting:
    def __getitem__(self, index):
        if index == 3:
            raise IndexError
        return index


# loop: for x in rows() (line 3)
# gives: [0, 1, 2]
def what_can_be_indexed_is_streamed():
    return Counting()


# loop: for x in rows() (line 3)
# elements: 2500
def many_elements_come_in_batches():
    yield from range(2500)


# loop: for x in rows() (line 3)
# elements: 5
def large_elements_come_in_batches():
    for _ in range(5):
        yield "x" * 40_000


# loop: for account in accounts() (line 12)
# fails: bad_result: `for account in accounts() (line 12)` needs a list; `a_text_is_no_list` returned a string: 'abcabcabcabcabcabcabcabcabcabcabcabcabca…'. Return a list, or yield
def a_text_is_no_list():
    return "abc" * 100


# loop: for account in accounts() (line 12)
# fails: bad_result: `for account in accounts() (line 12)` needs a list; `a_map_is_no_list` returned a map: {'a': 1}. Return a list, or yield
def a_map_is_no_list():
    return {"a": 1}


# loop: for account in accounts() (line 12)
# fails: bad_result: `for account in accounts() (line 12)` needs a list; `nothing_is_no_list` returned None. Return a list, or yield
def nothing_is_no_list():
    return None


# loop: for account in accounts() (line 12)
# fails: bad_result: `for account in accounts() (line 12)` needs a list; `a_number_is_no_list` returned an int: 5. Return a list, or yield
def a_number_is_no_list():
    return 5


# loop: for x in rows() (line 3)
# fails: bad_result: result[2] is a function, which cannot travel between steps; call it, and return its result
def an_element_that_cannot_travel():
    yield 1
    yield 2
    yield print


# fails: raised: ValueError: midway
# at: 2
def a_generator_that_raises_midway():
    yield 1
    raise ValueError("midway")


# loop: for x in rows() (line 3)
# fails: raised: ValueError: midway
def a_stream_that_raises_midway():
    yield 1
    raise ValueError("midway")


class Weird:
    def __iter__(self):
        raise RuntimeError("no iterator today")


# loop: for x in rows() (line 3)
# fails: raised: RuntimeError: no iterator today
def an_iter_that_raises():
    return Weird()


class Weirder:
    def __iter__(self):
        return 5


# loop: for x in rows() (line 3)
# fails: raised: TypeError: iter() returned non-iterator of type 'int'
def an_iter_that_gives_no_iterator():
    return Weirder()


class NoIter:
    __iter__ = None


# loop: for x in rows() (line 3)
# fails: bad_result: `for x in rows() (line 3)` needs a list; `an_iter_that_is_none` returned an instance of streams.NoIter: …
def an_iter_that_is_none():
    return NoIter()


# limit: 30000
# loop: for x in rows() (line 3)
# fails: limit: the result is larger than 30000 bytes, the limit, at result[1]; yield less, or smaller elements
def an_element_too_large():
    yield 1
    yield "x" * 40_000


# limit: 30000
# loop: for x in rows() (line 3)
# elements: 100
def the_limit_is_for_each_element():
    for _ in range(100):
        yield "x" * 20_000


# limit: 30000
# fails: limit: the result is larger than 30000 bytes, the limit, at result[…
def a_generator_too_large():
    while True:
        yield "x" * 1000
