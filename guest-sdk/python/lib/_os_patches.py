"""Fills gaps of `os` and `signal`: names that libraries use, and long `os.urandom` reads."""

import enum
import os
import signal

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
