"""Values: Python objects to the JSON of parameters, and stored results (CBOR) to Python objects.

Results keep the types that `docs/python.md` lists. Whatever cannot be represented is an error that names its place.
"""

from __future__ import annotations

import datetime
import decimal
import json
import math
import re
import struct
import uuid
from typing import Any, Dict, List, Mapping, Tuple

from ._errors import CorruptValue, UnsupportedValue

# Levels of nesting, in both directions: the limit of the hub.
MAX_DEPTH = 128

_TAG_DATETIME = 0
_TAG_POSITIVE = 2
_TAG_NEGATIVE = 3
_TAG_DECIMAL = 4
_TAG_UUID = 37
_TAG_SET = 258
_TAG_DATE = 1004
_TAG_TUPLE = 0x627565
_TAG_LOCAL_DATETIME = 0x627566
_TAG_TIME = 0x627567

_TIME = re.compile(r"(\d\d):(\d\d)(?::(\d\d)(?:\.(\d{1,9}))?)?(Z|[+-]\d\d:\d\d(?::\d\d(?:\.\d{1,6})?)?)?")
_OFFSET = re.compile(r"([+-])(\d\d):(\d\d)(?::(\d\d)(?:\.(\d{1,6}))?)?")


def params_to_json(params: Mapping[str, Any]) -> Dict[str, Any]:
    """Return parameters as JSON can have them: dates and datetimes as ISO texts, UUIDs as texts, tuples as lists.

    Raises UnsupportedValue for anything else that JSON has no type for.
    """
    return {name: _to_json(value, name, MAX_DEPTH) for name, value in params.items()}


def value_to_json(value: Any, place: str) -> str:
    """Return one value as the text of JSON, under the rules of `params_to_json`. `place` names it in errors."""
    return json.dumps(_to_json(value, place, MAX_DEPTH), allow_nan=False)


def _to_json(value: Any, place: str, depth: int) -> Any:
    if depth == 0:
        raise UnsupportedValue(f"`{place}` is nested deeper than {MAX_DEPTH} levels")
    if value is None or isinstance(value, (bool, str)):
        return value
    if isinstance(value, int):
        return int(value)
    if isinstance(value, float):
        if not math.isfinite(value):
            raise UnsupportedValue(f"`{place}` is {value!r}, which JSON cannot represent; pass a text or None")
        return float(value)
    if isinstance(value, (datetime.datetime, datetime.date)):
        return value.isoformat()
    if isinstance(value, uuid.UUID):
        return str(value)
    if isinstance(value, (list, tuple)):
        return [_to_json(item, f"{place}[{position}]", depth - 1) for position, item in enumerate(value)]
    if isinstance(value, Mapping):
        return {_key(key, place): _to_json(item, f"{place}.{key}", depth - 1) for key, item in value.items()}
    raise UnsupportedValue(f"`{place}` is of type {type(value).__name__}, which JSON cannot represent; {_advice(value)}")


def _key(key: Any, place: str) -> str:
    if isinstance(key, str):
        return key
    raise UnsupportedValue(f"a key of `{place}` is of type {type(key).__name__}; keys in JSON are texts: pass str(key)")


def _advice(value: Any) -> str:
    if isinstance(value, decimal.Decimal):
        return "pass str(value) for the exact number, or float(value)"
    if isinstance(value, (bytes, bytearray, memoryview)):
        return "store the bytes with `hub.bucket.set` and pass their key"
    if isinstance(value, (set, frozenset)):
        return "pass sorted(value)"
    return "pass None, a bool, int, float, str, date, datetime, UUID, list or dict"


def decode(data: bytes) -> Any:
    """Return the object that a stored value (CBOR) represents.

    Raises CorruptValue for bytes that are not exactly one value, and UnsupportedValue for a value that Python has no type
    for, such as a date before the year 1.
    """
    reader = _Reader(data)
    value = reader.value(MAX_DEPTH)
    if reader.at != len(data):
        raise CorruptValue("a stored value has bytes behind its end")
    return value


class _Reader:
    """Reads CBOR (RFC 8949). A length is compared with the bytes that remain before anything is allocated."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.at = 0

    def take(self, count: int) -> bytes:
        end = self.at + count
        if end > len(self.data):
            raise CorruptValue("a stored value ends too early")
        part = self.data[self.at : end]
        self.at = end
        return part

    def head(self) -> Tuple[int, int, int]:
        """Return the major type, the additional information, and the argument."""
        at = self.at
        if at >= len(self.data):
            raise CorruptValue("a stored value ends too early")
        self.at = at + 1
        first = self.data[at]
        major, info = first >> 5, first & 31
        if info < 24 or info == 31:
            return major, info, info
        if info > 27:
            raise CorruptValue("a stored value has a reserved length")
        return major, info, int.from_bytes(self.take(1 << (info - 24)), "big")

    def value(self, depth: int) -> Any:
        if depth == 0:
            raise CorruptValue(f"a stored value is nested deeper than {MAX_DEPTH} levels")
        major, info, argument = self.head()
        if major == 3 and info != 31:
            # the most frequent kind, and the keys of rows
            try:
                return self.take(argument).decode("utf-8")
            except UnicodeDecodeError as error:
                raise CorruptValue(f"a stored text is not UTF-8: {error}") from None
        if major == 0 and info != 31:
            return argument
        return self.other(major, info, argument, depth)

    def other(self, major: int, info: int, argument: int, depth: int) -> Any:
        if info == 31 and major not in (2, 3, 4, 5):
            raise CorruptValue("a stored value has a length of no meaning")
        if major == 1:
            return -1 - argument
        if major == 2:
            return self.chunks(2, info, argument)
        if major == 3:
            return self.text()
        if major == 4:
            return self.items(info, argument, depth)
        if major == 5:
            return self.map(info, argument, depth)
        if major == 6:
            return self.tagged(argument, depth)
        return self.simple(info, argument)

    def chunks(self, major: int, info: int, length: int) -> bytes:
        if info != 31:
            return self.take(length)
        parts: List[bytes] = []
        while not self.is_break():
            kind, info, length = self.head()
            if kind != major or info == 31:
                raise CorruptValue("a stored text or bytes value has a part of another kind")
            parts.append(self.take(length))
        return b"".join(parts)

    def text(self) -> str:
        """Read the rest of a text of indefinite length."""
        try:
            return self.chunks(3, 31, 0).decode("utf-8")
        except UnicodeDecodeError as error:
            raise CorruptValue(f"a stored text is not UTF-8: {error}") from None

    def is_break(self) -> bool:
        if self.at < len(self.data) and self.data[self.at] == 0xFF:
            self.at += 1
            return True
        return False

    def items(self, info: int, count: int, depth: int) -> List[Any]:
        items: List[Any] = []
        if info == 31:
            while not self.is_break():
                items.append(self.value(depth - 1))
            return items
        self.expect_room(count)
        for _ in range(count):
            items.append(self.value(depth - 1))
        return items

    def expect_room(self, count: int) -> None:
        # each element has at least one byte
        if count > len(self.data) - self.at:
            raise CorruptValue("a stored value ends too early")

    def map(self, info: int, count: int, depth: int) -> Dict[Any, Any]:
        entries: Dict[Any, Any] = {}
        if info == 31:
            while not self.is_break():
                self.entry(entries, depth)
            return entries
        self.expect_room(count)
        for _ in range(count):
            self.entry(entries, depth)
        return entries

    def entry(self, entries: Dict[Any, Any], depth: int) -> None:
        key, value = self.value(depth - 1), self.value(depth - 1)
        try:
            is_new = key not in entries
        except TypeError:
            raise UnsupportedValue(f"a key of a map is a {type(key).__name__}, which cannot be one in Python") from None
        if not is_new:
            raise UnsupportedValue(f"a map has two keys that are equal in Python: {key!r}")
        entries[key] = value

    def tagged(self, tag: int, depth: int) -> Any:
        content = self.value(depth - 1)
        if tag in (_TAG_POSITIVE, _TAG_NEGATIVE):
            number = int.from_bytes(_expect(content, bytes, "a big integer"), "big")
            return number if tag == _TAG_POSITIVE else -1 - number
        if tag == _TAG_DECIMAL:
            return _decimal(_expect(content, list, "a decimal"))
        if tag == _TAG_UUID:
            return _uuid(_expect(content, bytes, "a UUID"))
        if tag == _TAG_SET:
            return _set(_expect(content, list, "a set"))
        if tag == _TAG_TUPLE:
            return tuple(_expect(content, list, "a tuple"))
        if tag == _TAG_DATE:
            return _date(_expect(content, str, "a date"))
        if tag == _TAG_TIME:
            return _time(_expect(content, str, "a time"))
        if tag in (_TAG_DATETIME, _TAG_LOCAL_DATETIME):
            return _datetime(_expect(content, str, "a datetime"))
        # as for all steps, a tag that bue does not use changes nothing about its content
        return content

    def simple(self, info: int, argument: int) -> Any:
        if info == 25:
            return struct.unpack(">e", argument.to_bytes(2, "big"))[0]
        if info == 26:
            return struct.unpack(">f", argument.to_bytes(4, "big"))[0]
        if info == 27:
            return struct.unpack(">d", argument.to_bytes(8, "big"))[0]
        if argument in (20, 21):
            return argument == 21
        if argument in (22, 23):
            return None
        raise CorruptValue(f"a stored value has the simple value {argument}, which has no meaning")


def _expect(value: Any, kind: type, what: str) -> Any:
    if not isinstance(value, kind):
        raise CorruptValue(f"a stored value has {what} with content of type {type(value).__name__}")
    return value


def _decimal(parts: List[Any]) -> decimal.Decimal:
    if len(parts) != 2 or not all(isinstance(part, int) and not isinstance(part, bool) for part in parts):
        raise CorruptValue("a stored decimal is not an exponent and a mantissa")
    exponent, mantissa = parts
    # exact, whatever the context's precision
    sign, digits, _ = decimal.Decimal(mantissa).as_tuple()
    try:
        number = decimal.Decimal((sign, digits, exponent))
        if number.is_finite() and number.as_tuple() == decimal.DecimalTuple(sign, digits, exponent):
            return number
    except (decimal.InvalidOperation, OverflowError, ValueError):
        pass
    raise UnsupportedValue(f"a decimal has the exponent {exponent}, which Python's decimal cannot represent")


def _uuid(data: bytes) -> uuid.UUID:
    if len(data) != 16:
        raise CorruptValue("a stored UUID does not have 16 bytes")
    return uuid.UUID(bytes=data)


def _set(items: List[Any]) -> Any:
    try:
        members = set(items)
    except TypeError:
        raise UnsupportedValue("a set has an element that cannot be in a set in Python, such as a list") from None
    if len(members) != len(items):
        raise UnsupportedValue("a set has two elements that are equal in Python")
    return members


def _date(text: str) -> datetime.date:
    try:
        if re.fullmatch(r"\d{4}-\d\d-\d\d", text):
            return datetime.date(int(text[:4]), int(text[5:7]), int(text[8:]))
    except ValueError:
        pass
    raise UnsupportedValue(f"the date {text!r} cannot be represented in Python")


def _time(text: str) -> datetime.time:
    match = _TIME.fullmatch(text)
    if match is None:
        raise UnsupportedValue(f"the time {text!r} cannot be represented in Python")
    hour, minute, second, fraction, offset = match.groups()
    micros = (fraction or "").ljust(9, "0")
    if micros[6:] != "000":
        raise UnsupportedValue(f"the time {text!r} is more exact than a microsecond, which Python cannot represent")
    try:
        return datetime.time(int(hour), int(minute), int(second or 0), int(micros[:6]), tzinfo=_offset(offset))
    except ValueError:
        raise UnsupportedValue(f"the time {text!r} cannot be represented in Python") from None


def _offset(text: Any) -> Any:
    if text is None:
        return None
    if text == "Z":
        return datetime.timezone.utc
    match = _OFFSET.fullmatch(text)
    if match is None:
        raise ValueError(text)
    sign, hours, minutes, seconds, micros = match.groups()
    offset = datetime.timedelta(
        hours=int(hours),
        minutes=int(minutes),
        seconds=int(seconds or 0),
        microseconds=int((micros or "0").ljust(6, "0")),
    )
    # -00:00 is +00:00
    return datetime.timezone(-offset if sign == "-" else offset)


def _datetime(text: str) -> datetime.datetime:
    day, separator, time = text[:10], text[10:11], text[11:]
    if separator not in ("T", " ", "t"):
        raise UnsupportedValue(f"the datetime {text!r} cannot be represented in Python")
    return datetime.datetime.combine(_date(day), _time(time))
