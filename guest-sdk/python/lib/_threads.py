"""Threads in a sandbox, which has only one: work for another thread runs immediately, and waiting for one is an error.

RustPython's `Thread.start` already runs the function to its end here. This module replaces what waits.
"""

import _thread
import concurrent.futures
import concurrent.futures.thread
import threading
import time


def _wait(self, timeout=None):
    """`Condition.wait`, which `Event`, `Queue`, `Barrier` and others use: no other thread can make the condition true."""
    if not self._is_owned():
        raise RuntimeError("cannot wait on un-acquired lock")
    if timeout is None:
        raise RuntimeError("this waits for another thread, and a sandbox has only one: it would wait forever")
    time.sleep(max(timeout, 0))
    return False


def _submit(self, function, /, *args, **kwargs):
    """`ThreadPoolExecutor.submit`: runs the function immediately and returns a finished future."""
    if self._shutdown:
        raise RuntimeError("cannot schedule new futures after shutdown")
    future = concurrent.futures.Future()
    try:
        future.set_result(function(*args, **kwargs))
    except (SystemExit, KeyboardInterrupt):
        raise
    except BaseException as error:
        future.set_exception(error)
    return future


class _Local:
    """`threading.local` for the only thread. RustPython's own does not find attributes of a subclass."""


if not hasattr(_thread.RLock, "_is_owned"):
    _thread.RLock._is_owned = lambda self: self.locked_count > 0
threading.Condition.wait = _wait
threading.local = _thread._local = _Local
concurrent.futures.thread.ThreadPoolExecutor.submit = _submit
