"""Threads where there are none: what would run beside runs at once, and waiting for another thread is a mistake.

`Thread.start` already runs its function to the end. What is missing is everything that waits.
"""

import _thread
import concurrent.futures
import concurrent.futures.thread
import threading
import time


def _wait(self, timeout=None):
    """`Condition.wait`, under `Event`, `Queue`, `Barrier` and the rest: nobody else can make it come true."""
    if not self._is_owned():
        raise RuntimeError("cannot wait on un-acquired lock")
    if timeout is None:
        raise RuntimeError("this waits for another thread, and a sandbox has only one: it would wait for ever")
    time.sleep(max(timeout, 0))
    return False


def _submit(self, work, /, *args, **kwargs):
    """A pool's `submit`: the work is done at once, and the future it returns is finished."""
    if self._shutdown:
        raise RuntimeError("cannot schedule new futures after shutdown")
    future = concurrent.futures.Future()
    try:
        future.set_result(work(*args, **kwargs))
    except (SystemExit, KeyboardInterrupt):
        raise
    except BaseException as error:
        future.set_exception(error)
    return future


class _Local:
    """`threading.local` of the only thread. The interpreter's own does not find the attributes of its class."""


if not hasattr(_thread.RLock, "_is_owned"):
    _thread.RLock._is_owned = lambda self: self.locked_count > 0
threading.Condition.wait = _wait
threading.local = _thread._local = _Local
concurrent.futures.thread.ThreadPoolExecutor.submit = _submit
