"""Exceptions: their messages, their tracebacks, and those whose description fails."""

import json
import os
import sys


# fails: raised: ZeroDivisionError: division by zero
# at: 1
# trace:     return 1 / zero
def an_exception_names_its_line(zero=0):
    return 1 / zero


class Mine(Exception):
    pass


# fails: raised: Mine: two words
def a_class_of_the_step_has_its_plain_name():
    raise Mine("two words")


# fails: raised: json.decoder.JSONDecodeError: Expecting property name enclosed in double quotes: line 1 column 2 (char 1)
# trace: File "<frozen json>"
# at: 1
def library_frames_are_shown():
    return json.loads("{")


# fails: raised: ValueError: outer
# trace: ZeroDivisionError: division by zero
# trace: The above exception was the direct cause of the following exception:
def causes_are_shown():
    try:
        return 1 / 0
    except ZeroDivisionError as error:
        raise ValueError("outer") from error


# fails: raised: KeyError: 'API_TOKEN'. `!allow env API_TOKEN` above the step requests this variable, and `[env]` in the worker's bue.toml sets it; it is set when the function is called, not while the module is imported
def a_missing_variable_says_what_to_use():
    return os.environ["API_TOKEN"]


# fails: raised: FileNotFoundError: [Errno 44] No such file or directory (os error 44): 'data.csv'. Only files that are named are packed with a step: write `!files data.csv`…
def a_missing_file_says_what_to_do():
    return open("data.csv").read()


# fails: raised: KeyError: 'k'
# trace: During handling of the above exception, another exception occurred:
def contexts_are_shown():
    try:
        return 1 / 0
    except ZeroDivisionError:
        return {}["k"]


# fails: raised: ExceptionGroup: many (2 sub-exceptions)
# trace:   | ValueError: 1
def groups_are_shown():
    raise ExceptionGroup("many", [ValueError(1), KeyError("q")])


# fails: raised: ValueError: noted
# trace: a note
def notes_are_shown():
    error = ValueError("noted")
    error.add_note("a note")
    raise error


class Spiteful(Exception):
    def __str__(self):
        raise RuntimeError("no text")


# fails: raised: Spiteful: <its __str__ raised RuntimeError>
def a_str_that_raises():
    raise Spiteful


class Slippery(Exception):
    def __getattribute__(self, name):
        raise SystemExit(f"no {name}")


# fails: raised: Slippery…
def attributes_that_raise():
    raise Slippery("x")


# fails: raised: the step called sys.exit(3); return instead
# at: 1
def sys_exit():
    sys.exit(3)


# fails: raised: KeyboardInterrupt
def keyboard_interrupt():
    raise KeyboardInterrupt


# fails: raised: GeneratorExit
def generator_exit():
    raise GeneratorExit


# fails: raised: ValueError: xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx…
def a_long_message_is_cut():
    raise ValueError("x" * 100_000_000)


# fails: raised: RecursionError: maximum recursion depth exceeded
# trace:   [Previous line repeated
# at: 1
def a_recursion_without_end():
    return a_recursion_without_end()


# fails: raised: RecursionError: maximum recursion depth exceeded
def a_recursion_of_a_million():
    def count(number):
        return 0 if number == 0 else 1 + count(number - 1)

    return count(1_000_000)


# fails: raised: RecursionError…
def a_recursion_that_was_given_leave():
    sys.setrecursionlimit(10_000_000)

    def count(number):
        return count(number + 1)

    return count(0)


# gives: 900
def a_recursion_of_some_hundreds():
    def count(number):
        return 0 if number == 0 else 1 + count(number - 1)

    return count(900)


class Adding:
    def __add__(self, other):
        return self + other


# fails: raised: RecursionError…
def a_recursion_through_an_operator():
    return Adding() + Adding()


class Showing:
    def __repr__(self):
        return repr(self)


# fails: raised: RecursionError…
def a_recursion_through_repr():
    return repr(Showing())


# fails: raised: RecursionError…
def a_recursion_through_sorted():
    def key(_):
        return sorted([1, 2], key=key)

    return sorted([1, 2], key=key)


# fails: raised: RecursionError…
def a_recursion_through_eval():
    def again():
        return eval("again()", {"again": again})

    return again()


class Dying:
    def __del__(self):
        raise ValueError("in __del__")


# gives: 1
# prints: ValueError: in __del__
def a_del_that_raises_is_only_told():
    Dying()
    return 1


class Answer:
    headers = {"Retry-After": "120"}


# fails: raised: RuntimeError: 429
# retry after: 120000
def retry_after_of_a_response():
    error = RuntimeError("429")
    error.response = Answer()
    raise error


# fails: raised: RuntimeError: 429
# retry after: 2500
def retry_after_of_the_exception():
    error = RuntimeError("429")
    error.retry_after = 2.5
    raise error


# fails: raised: RuntimeError: 503
# retry after: 0
def a_retry_after_that_has_passed():
    error = RuntimeError("503")
    error.headers = {"Retry-After": "Wed, 21 Oct 2015 07:28:00 GMT"}
    raise error


# fails: raised: RuntimeError: 429
def a_retry_after_that_is_nothing():
    error = RuntimeError("429")
    error.retry_after = object()
    raise error


# fails: raised: OverflowError…
def more_memory_than_there_is_addresses_for():
    return len(bytearray(10**12))
