"""Fills gaps of `os`, `signal` and `time`: names that libraries use, long `os.urandom` reads, correct weekdays."""

import enum
import os
import re
import signal
import time


# Bytes that the host returns per request at most.
_MAX_RANDOM = 64 * 1024


def _urandom(size, /, urandom=os.urandom):
    if size <= _MAX_RANDOM:
        return urandom(size)
    return b"".join(urandom(min(_MAX_RANDOM, size - offset)) for offset in range(0, size, _MAX_RANDOM))


def _chmod(path, mode, **kwargs):
    """Modes mean nothing here: a step can change all files in `/tmp`, and no others."""
    os.utime(path, (os.stat(path).st_mtime,) * 2)


def _expanduser(path, expanduser=os.path.expanduser):
    """`~` is `/tmp`, unless the step sets HOME: some libraries look for their settings there when they are imported."""
    path = os.fspath(path)
    home, slash, folder = ("~", "/", "/tmp") if isinstance(path, str) else (b"~", b"/", b"/tmp")
    if "HOME" in os.environ or not (path == home or path.startswith(home + slash)):
        return expanduser(path)
    return folder + path[1:]


class _UtcConverter:
    """`time.gmtime` with the right day of the week. Not a function, because as a class attribute it would become a method:
    `logging.Formatter.converter` is one."""

    def __init__(self, convert):
        self._convert = convert

    def __call__(self, seconds=None, /):
        parts = self._convert(seconds)
        return time.struct_time((*parts[:6], (parts[6] - 1) % 7, *parts[7:9], "UTC", 0))


# Locale-dependent directives of `strftime`, in the C locale.
_FORMATS = {"%c": "%a %b %e %H:%M:%S %Y", "%x": "%m/%d/%y", "%X": "%H:%M:%S", "%Z": "UTC"}


def _strftime(format, *args, strftime=time.strftime):
    if any(part in format for part in _FORMATS):
        format = re.sub("%.", lambda match: _FORMATS.get(match[0], match[0]), format, flags=re.DOTALL)
    return strftime(format, *args)


os.urandom = _urandom
os.path.expanduser = _expanduser

# The C library looks up its preopened folders at the first access; do that in the base image, so that every image based on
# it knows the folder of packages.
os.stat("/packages")

if not hasattr(os, "chmod"):
    os.chmod = _chmod
if not hasattr(signal, "SIGTERM"):
    signal.Signals = enum.IntEnum("Signals", {"SIGINT": 2, "SIGTERM": 15}, module="signal")
    signal.SIGINT, signal.SIGTERM = signal.Signals
if not hasattr(time, "tzname"):
    # a sandbox runs in UTC; `strptime` reads these
    time.tzname, time.timezone, time.altzone, time.daylight = ("UTC", "UTC"), 0, 0, 0
    time.tzset = lambda: None
if time.gmtime(0).tm_wday != 3:
    # 1 January 1970 was a Thursday, and weeks begin on Monday
    time.gmtime = time.localtime = _UtcConverter(time.gmtime)
if time.strftime("%Z") != "UTC":
    time.strftime = _strftime
