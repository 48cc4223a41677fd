"""Streamed results: generators, and other iterables that a loop runs over."""

import asyncio
import collections
import enum
import io
import itertools

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


# gives: ["a\n", "b"]
def lines_are_a_list():
    return io.StringIO("a\nb")


# gives: [0, 1, 2]
def what_can_be_indexed_is_a_list():
    return Counting()


# limit: 30000
# fails: limit: the result is larger than 30000 bytes, the limit, at result[…
def an_iterator_without_an_end():
    return itertools.count()


# fails: bad_result: result is an instance of collections.UserDict, which cannot travel between steps; return dict(it)
def a_mapping_is_no_list():
    return collections.UserDict(a=1)


# loop: for x in rows() (line 3)
# fails: bad_result: `for x in rows() (line 3)` needs a list; `a_mapping_is_no_list_for_a_loop` returned an instance of collections.UserDict: {'a': 1}. Return a list, or yield
def a_mapping_is_no_list_for_a_loop():
    return collections.UserDict(a=1)


class Colour(enum.Enum):
    red = 1


# fails: bad_result: result is the class Colour, which cannot travel between steps; return data
def an_enum_is_no_list():
    return Colour


class Model:
    def model_dump(self):
        return {"a": 1}

    def __iter__(self):
        return iter([("a", 1)])


# fails: bad_result: result is an instance of streams.Model, which cannot travel between steps; return its model_dump()
def a_model_is_no_list():
    return Model()


# fails: bad_result: result is an instance of _asyncio.Future…
async def a_future_is_no_list():
    return asyncio.get_running_loop().create_future()


# loop: for x in rows() (line 3)
# fails: bad_result: `for x in rows() (line 3)` needs a list; `bytes_of_a_view_are_no_list` returned an instance of memoryview: …
def bytes_of_a_view_are_no_list():
    return memoryview(b"abc")


# fails: bad_result: result[1] is Result(status=<StepStatus.pending: 3>), and the generator yielded more after it; an answer comes last: yield values before it, and return it or yield it as the last element
def an_answer_in_the_middle():
    yield 1
    yield Result(status=StepStatus.pending)
    yield 2


# fails: bad_result: the generator yielded 1 element and then returned [2] as well: which is the result? Yield everything, and return nothing, or a Result without data
def elements_and_a_result():
    yield 1
    return Result(data=[2])


# fails: bad_result: the generator yielded Result() as its last element and returned a value as well; return one answer
def two_answers():
    yield Result()
    return [1]


# fails: bad_result: the data of a Result is a generator that ends with an answer too; return one answer
def an_answer_inside_a_result():
    return Result(data=elements_and_a_result())


# gives: [1, 2]
# priority: 7
# env: {"e": 1}
def hints_after_the_elements():
    yield from [1, 2]
    return Result(priority=7, env={"e": 1})


# loop: for x in rows() (line 3)
# gives: [1, 2]
# priority: 7
def hints_after_the_elements_of_a_stream():
    yield from [1, 2]
    yield Result(priority=7)


# loop: for x in rows() (line 3)
# answers: pending 1500
def an_answer_after_many_batches():
    yield from range(2500)
    return Result(status=StepStatus.pending, delay=1.5)


# prints: to the end
# answers: cancelled
def a_generator_runs_to_its_end():
    yield StepStatus.cancel
    print("to the end")


# gives: [1]
def a_generator_may_return_another():
    return (number for number in [1])
    yield
