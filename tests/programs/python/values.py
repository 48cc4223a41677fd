"""Values that are passed between steps, and values that are refused. `then` passes a result to a function of this file."""

import array
import collections
import dataclasses
import datetime
import decimal
import enum
import math
import pathlib
import uuid

EAST = datetime.timezone(datetime.timedelta(hours=2))
SAMPLES = {
    "nothing": None,
    "truth": [True, False],
    "numbers": [0, -1, 2**63 - 1, -(2**63), 2**63, 2**64, -(2**64), 10**40, -(10**40)],
    "floats": [1.5, math.inf, -math.inf, 0.1],
    "text": "é\n\0 𝄞",
    "bytes": [b"\x00\xff", b""],
    "uuid": uuid.UUID(int=7),
    "decimals": [decimal.Decimal(text) for text in ("1.50", "-0.005", "1E+10", "0", "0.00", "1" * 40, "-1E-30")],
    "dates": [datetime.date(2026, 9, 30), datetime.date(1, 1, 1)],
    "times": [datetime.time(12, 30), datetime.time(1, 2, 3, 4)],
    "local": datetime.datetime(2026, 9, 30, 12, 0),
    "zoned": [datetime.datetime(2026, 9, 30, 12, 0, 0, 5, tzinfo=zone) for zone in (EAST, datetime.timezone.utc)],
    "tuples": [(1, (2,), ()), [(), []]],
    "set": {(2, 3)},
    1: "an int",
    (1, (2,)): "a tuple",
    frozenset([1]): "a frozen set",
    None: "nothing",
    1.5: "a float",
    b"x": "bytes",
    uuid.UUID(int=9): "a uuid",
    datetime.date(2026, 1, 1): "a date",
}


# then: is_samples
# gives: true
def samples():
    return SAMPLES


def is_samples(given):
    assert given == SAMPLES, [key for key in SAMPLES if given.get(key) != SAMPLES[key]]
    assert repr(given) == repr(SAMPLES), "equal, but not the same types"
    return True


# gives: [1, 2]
def a_plain_tuple_is_a_list():
    return 1, 2


# then: type_names
# gives: ["list", "tuple"]
def a_tuple_inside_stays_one():
    return [1], (2,)


def type_names(given):
    return [type(item).__name__ for item in given]


class Point(collections.namedtuple("Point", "x y")):
    pass


class Level(enum.IntEnum):
    HIGH = 3


class Color(enum.StrEnum):
    RED = "red"


class Text(str):
    pass


class Listing(list):
    pass


class Id(uuid.UUID):
    pass


# gives: [[1, 2], 3, "red", "t", [1], {"a": 1}, {"b": 2, "a": 1}, {"x": 2}, "00000000-0000-0000-0000-000000000003", "AQ==", "YWNl"]
def subclasses_travel_as_what_they_are_made_from():
    ordered = collections.OrderedDict(a=1, b=2)
    ordered.move_to_end("a")
    counted = collections.Counter("xx")
    default = collections.defaultdict(int, a=1)
    views = [bytearray(b"\x01"), memoryview(b"abcdef")[::2]]
    return [Point(1, 2), Level.HIGH, Color.RED, Text("t"), Listing([1]), default, ordered, counted, Id(int=3), *views]


# fails: bad_result: result[3].cb is a function, which cannot travel between steps; call it, and return its result
def a_function_is_named_by_its_path():
    return [1, 2, 3, {"cb": lambda: 1}]


# fails: bad_result: result.a['b c'][0] is a function, which cannot travel between steps; call it, and return its result
def odd_keys_are_quoted_in_paths():
    return {"a": {"b c": [print]}}


# fails: bad_result: result.a is a generator, which cannot travel between steps; return list(it)
def a_generator_inside_is_refused():
    return {"a": (x for x in [1])}


@dataclasses.dataclass
class Row:
    id: int


# fails: bad_result: result[0] is an instance of values.Row, which cannot travel between steps; return dataclasses.asdict(it)
def a_dataclass_is_refused():
    return [Row(1)]


# fails: bad_result: result is the class Row, which cannot travel between steps; return data
def a_class_is_refused():
    return Row


# fails: bad_result: result is a range, which cannot travel between steps; return list(it)
def a_range_is_refused():
    return range(3)


# fails: bad_result: result is an instance of pathlib.PurePosixPath, which cannot travel between steps; return str(it)
def a_path_is_refused():
    return pathlib.PurePosixPath("/a")


# fails: bad_result: result is an instance of datetime.timedelta, which cannot travel between steps; return its total_seconds()
def a_timedelta_is_refused():
    return datetime.timedelta(days=1)


# fails: bad_result: result is an instance of array.array, which cannot travel between steps; return list(it)
def an_array_is_refused():
    return array.array("i", [1, 2])


# fails: bad_result: result is a decimal that is not a number (NaN or Infinity); return None instead
def a_decimal_nan_is_refused():
    return decimal.Decimal("NaN")


# fails: bad_result: result.x[0] is a decimal that is not a number (NaN or Infinity); return None instead
def a_decimal_infinity_is_refused():
    return {"x": [decimal.Decimal("-Infinity")]}


# fails: bad_result: result[0] is a string with a lone surrogate, which is not valid Unicode; encode it to bytes
def a_lone_surrogate_is_refused():
    return ["a\ud800"]


# fails: bad_result: result.r[0].next is the same object as result.r: the value contains itself and has no end
def a_circle_is_named_where_it_closes():
    a = []
    a.append({"next": a})
    return {"r": a}


# fails: bad_result: result[0][0][0][0] is nested deeper than 128 levels
def a_value_too_deep_is_refused():
    deep = []
    for _ in range(200):
        deep = [deep]
    return deep


# then: depth
# gives: 126
def a_value_as_deep_as_it_may_be_comes_back():
    deep = []
    for _ in range(125):
        deep = [deep]
    return deep


# then: depth
# gives: 63
def tuples_as_deep_as_they_may_be_come_back():
    deep = ()
    for _ in range(61):
        deep = (deep,)
    return [deep]


def depth(given):
    levels = 0
    while isinstance(given, (list, tuple)):
        given = given[0] if given else None
        levels += 1
    return levels


# limit: 1000
# fails: limit: the result is larger than 1000 bytes, the limit; return less, or yield it to a loop
def a_long_text_meets_the_limit():
    return "x" * 1000


# limit: 1000
# fails: limit: the result is larger than 1000 bytes, the limit; return less, or yield it to a loop
def a_long_list_meets_the_limit():
    return ["abc"] * 1_000_000


# limit: 1000
# gives: 990
# then: length
def a_result_below_the_limit_passes():
    return "x" * 990


def length(given):
    return len(given)


# then: total
# gives: [3000, 4498500.0, true]
def rows():
    return [{"id": number, "name": f"n{number}", "value": number * 1.0, "even": number % 2 == 0} for number in range(3000)]


def total(given):
    return [len(given), sum(row["value"] for row in given), all(row["even"] == (row["id"] % 2 == 0) for row in given)]


# given: {"a": [1, 2.5, null, "x", true]}
# gives: {"a": [1, 2.5, null, "x", true]}
def inputs_come_back(given):
    return given
