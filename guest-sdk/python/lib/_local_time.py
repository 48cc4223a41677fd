"""Local time, in the zone that `TZ` names: `tzset`, `localtime`, `mktime` and what else of `time` depends on it. `datetime`
calls `time.localtime`, so it follows. Without `TZ`, the zone is UTC.

Also the weekday of `gmtime`, the formats of `strftime` that depend on the locale, and the clocks of processor time.
"""

import datetime
import logging
import os
import re
import time
import types

from bue import _scheduler

_native = types.SimpleNamespace(**{name: getattr(time, name) for name in ("asctime", "gmtime", "mktime", "strftime")})
_native.get_clock_info = time.get_clock_info

_FOLDER = "/usr/share/zoneinfo/"
_EPOCH = datetime.datetime(1970, 1, 1)
_DAY = 86_400
# `time` distinguishes summer and winter by two days, half such a year apart, as Python does.
_YEAR = (365 * 24 + 6) * 3600
# 1 January 1970 was a Thursday, and weeks begin on Monday.
_WEEKDAY_ERROR = time.gmtime(0).tm_wday - 3

# The zone that `tzset` has set; None is UTC.
_zone = None


def tzset():
    """Use the time zone of the environment variable `TZ`: a name of the database, or a rule as POSIX has them."""
    global _zone
    name = os.environ.get("TZ", "").removeprefix(":").removeprefix(_FOLDER)
    _zone = None if name in ("", "UTC", "UTC0") else _find_zone(name)
    start = time.time() // _YEAR * _YEAR
    winter, summer = _offset(start), _offset(start + _YEAR // 2)
    if winter[0] > summer[0]:
        # south of the equator
        winter, summer = summer, winter
    time.timezone, time.altzone, time.daylight = -winter[0], -summer[0], int(winter[0] != summer[0])
    time.tzname = (winter[2], summer[2])


def set_variables(variables):
    """Set the environment variables of a step, before its function is called."""
    os.environ.update(variables)
    if "TZ" in variables:
        tzset()


def _find_zone(name):
    import zoneinfo

    try:
        return zoneinfo.ZoneInfo(name)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):
        pass
    try:
        return _zone_of_rule(zoneinfo, name)
    except (ValueError, UnicodeError):
        raise ValueError(f"TZ is {name!r}: neither a time zone of the database, such as Europe/Berlin, nor a rule of POSIX") from None


def _zone_of_rule(zoneinfo, rule):
    """A file of the database without transitions, whose footer is the rule for all times."""
    import io

    head = b"TZif2" + bytes(15) + b"".join(number.to_bytes(4, "big") for number in (0, 0, 0, 0, 1, 4))
    block = head + bytes(6) + b"UTC\0"
    return zoneinfo.ZoneInfo.from_file(io.BytesIO(block + block + b"\n" + rule.encode("ascii") + b"\n"), rule)


def _offset(seconds):
    """The seconds east of UTC at a time, whether they are daylight saving time, and the zone's name for them."""
    if _zone is None:
        return 0, 0, "UTC"
    moment = _EPOCH + datetime.timedelta(seconds=int(seconds // 1))
    return _describe(_zone.fromutc(moment.replace(tzinfo=_zone)))


def _describe(local):
    return int(local.utcoffset().total_seconds()), int(bool(local.dst())), local.tzname()


class _Converter:
    """`time.gmtime` or `time.localtime`. Not a function, because as a class attribute it would become a method:
    `logging.Formatter.converter` is one."""

    def __init__(self, convert):
        self._convert = convert

    def __call__(self, seconds=None, /):
        return self._convert(time.time() if seconds is None else seconds)


def _gmtime(seconds):
    parts = _native.gmtime(seconds)
    return time.struct_time((*parts[:6], (parts[6] - _WEEKDAY_ERROR) % 7, parts[7], 0, "UTC", 0))


def _localtime(seconds):
    parts = _gmtime(seconds)
    if _zone is None:
        return parts
    try:
        offset, is_dst, name = _offset(seconds)
        parts = _gmtime(seconds // 1 + offset)
    except OverflowError:
        raise OverflowError("timestamp out of range for the time zone") from None
    return time.struct_time((*parts[:8], is_dst, name, offset))


def _mktime(parts, /):
    """The seconds of a local time, whose fields may be out of their ranges."""
    if _zone is None:
        return _native.mktime(parts)
    year, month, day, hour, minute, second, _, _, is_dst = tuple(parts)
    year, month = year + (month - 1) // 12, (month - 1) % 12 + 1
    try:
        days = (datetime.date(year, month, 1) - _EPOCH.date()).days + day - 1
        wall = days * _DAY + hour * 3600 + minute * 60 + second
        return float(wall - _offset_at_wall(wall, is_dst))
    except (OverflowError, ValueError):
        raise OverflowError("mktime argument out of range") from None


def _offset_at_wall(wall, is_dst):
    """The offset of what a clock of the zone shows. A clock shows an hour twice when daylight saving time ends: `is_dst` says
    which is meant. Where it contradicts the zone, it is the offset of the nearest time with which it agrees; if there is none
    within eight years, daylight saving time is taken to be an hour, as in the C library."""
    moment = (_EPOCH + datetime.timedelta(seconds=wall)).replace(tzinfo=_zone)
    first = _describe(moment)
    if is_dst < 0:
        return first[0]
    for near in (moment, moment.replace(fold=1), *_steps_from(moment)):
        offset, has_dst, _ = _describe(near)
        if has_dst == (is_dst > 0):
            return offset
    return first[0] + (3600 if is_dst > 0 else -3600)


def _steps_from(moment):
    """Times before and after, in steps that are shorter than any period of daylight saving time."""
    for weeks in range(1, 8 * 52):
        for direction in (-1, 1):
            try:
                yield moment + datetime.timedelta(weeks=direction * weeks)
            except OverflowError:
                pass


# Locale-dependent directives of `strftime`, in the C locale.
_FORMATS = {"%c": "%a %b %e %H:%M:%S %Y", "%x": "%m/%d/%y", "%X": "%H:%M:%S"}
_REPLACED = re.compile("%[cxXzZ]")


def _strftime(format, parts=None, /):
    parts = time.localtime() if parts is None else parts
    if _REPLACED.search(format):
        format = re.sub("%.", lambda match: _directive(match[0], parts), format, flags=re.DOTALL)
    return _native.strftime(format, parts)


def _directive(directive, parts):
    if directive not in ("%z", "%Z"):
        return _FORMATS.get(directive, directive)
    name, offset = getattr(parts, "tm_zone", None), getattr(parts, "tm_gmtoff", None)
    if directive == "%Z":
        return (time.tzname[parts[8] > 0] if name is None else name).replace("%", "%%")
    minutes = (offset or 0) // 60
    return f"{'-' if minutes < 0 else '+'}{abs(minutes) // 60:02}{abs(minutes) % 60:02}"


def _asctime(parts=None, /):
    return _native.asctime(time.localtime() if parts is None else parts)


def _ctime(seconds=None, /):
    return _native.asctime(time.localtime(seconds))


def _nanoseconds(clock):
    return lambda: int(clock() * 1_000_000_000)


def _get_clock_info(name, /):
    if name not in ("process_time", "thread_time"):
        return _native.get_clock_info(name)
    monotonic = vars(_native.get_clock_info("monotonic"))
    return types.SimpleNamespace(**{**monotonic, "implementation": "time in which the step does not wait"})


time.gmtime, time.localtime = _Converter(_gmtime), _Converter(_localtime)
logging.Formatter.converter = time.localtime
time.mktime, time.strftime, time.asctime, time.ctime, time.tzset = _mktime, _strftime, _asctime, _ctime, tzset
time.process_time, time.thread_time = _scheduler.process_time, _scheduler.thread_time
time.process_time_ns, time.thread_time_ns = _nanoseconds(time.process_time), _nanoseconds(time.thread_time)
time.get_clock_info = _get_clock_info
tzset()
