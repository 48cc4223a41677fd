"""What `os`, `signal` and `time` lack here: names that libraries use, more chance at a time, and the folder of packages."""

import enum
import errno
import os
import re
import signal
import time


# The host gives no more at once.
_MOST_CHANCE = 64 * 1024


def _urandom(size, /, draw=os.urandom):
    if size <= _MOST_CHANCE:
        return draw(size)
    return b"".join(draw(min(_MOST_CHANCE, size - drawn)) for drawn in range(0, size, _MOST_CHANCE))


def _chmod(*arguments, **named):
    raise OSError(errno.ENOSYS, "a sandbox has no files, so there is nothing whose mode could be changed")


class _InUtc:
    """`time.gmtime` with the right day of the week. No function, because a class that has it shall not make a method of it,
    as `logging.Formatter` with its `converter`."""

    def __init__(self, convert):
        self._convert = convert

    def __call__(self, seconds=None, /):
        parts = self._convert(seconds)
        return time.struct_time((*parts[:6], (parts[6] - 1) % 7, *parts[7:9], "UTC", 0))


# What depends on a locale, in the one there is.
_FORMATS = {"%c": "%a %b %e %H:%M:%S %Y", "%x": "%m/%d/%y", "%X": "%H:%M:%S", "%Z": "UTC"}


def _strftime(format, *moment, write=time.strftime):
    if any(part in format for part in _FORMATS):
        format = re.sub("%.", lambda found: _FORMATS.get(found[0], found[0]), format, flags=re.DOTALL)
    return write(format, *moment)


os.urandom = _urandom

# Looked at once for the base image, so that the C library knows of the folder in every image made of it.
os.stat("/packages")

if not hasattr(os, "chmod"):
    os.chmod = _chmod
if not hasattr(signal, "SIGTERM"):
    signal.Signals = enum.IntEnum("Signals", {"SIGINT": 2, "SIGTERM": 15}, module="signal")
    signal.SIGINT, signal.SIGTERM = signal.Signals
if not hasattr(time, "tzname"):
    # the time of a sandbox is UTC; `strptime` asks for these
    time.tzname, time.timezone, time.altzone, time.daylight = ("UTC", "UTC"), 0, 0, 0
    time.tzset = lambda: None
if time.gmtime(0).tm_wday != 3:
    # the first day of 1970 was a Thursday, and a week begins on Monday
    time.gmtime = time.localtime = _InUtc(time.gmtime)
if time.strftime("%Z") != "UTC":
    time.strftime = _strftime
