"""Names of `os` and `signal` that libraries import whether they use them or not, and the folder of packages."""

import enum
import errno
import os
import signal


def _chmod(*arguments, **named):
    raise OSError(errno.ENOSYS, "a sandbox has no files, so there is nothing whose mode could be changed")


# Looked at once for the base image, so that the C library knows of the folder in every image made of it.
os.stat("/packages")

if not hasattr(os, "chmod"):
    os.chmod = _chmod
if not hasattr(signal, "SIGTERM"):
    signal.Signals = enum.IntEnum("Signals", {"SIGINT": 2, "SIGTERM": 15}, module="signal")
    signal.SIGINT, signal.SIGTERM = signal.Signals
