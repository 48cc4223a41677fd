"""The soft limit of `!timeout 60s soft 50s`: `TimeoutSoon` is raised once in the step.

It is raised in the main thread. Threads on top of it end first, because it cannot go on before. In an event loop, it is raised in
the main task, which is what was given to `asyncio.run` or is the step's function: where that runs, or else at its `await`.
"""

import asyncio
import collections.abc

import bue
from bue import _scheduler

# The message of the exception. None if the step has no soft limit.
message = None


def set_message(text):
    """Called before the step's function, if it has a soft limit."""
    global message
    message = text


def deliver():
    """Called when the limit has been reached, where the step's code runs or waits: raise the exception, or have it raised."""
    if len(_scheduler.stack) > 1:
        _scheduler.call_in_main(deliver)
    error = bue.TimeoutSoon(message)
    loop = asyncio._get_running_loop()
    interrupt_main = getattr(loop, "interrupt_main", None)
    if interrupt_main is None or not interrupt_main(error):
        raise error


class MainCoroutine(collections.abc.Coroutine):
    """The coroutine of a main task. `error` is raised in it at the next occasion: what it waits for is cancelled, and the error takes
    the place of the cancellation."""

    def __init__(self, coroutine):
        self._coroutine = coroutine
        self.error = None
        self.task = None

    def send(self, value):
        return self._coroutine.send(value) if self.error is None else self._coroutine.throw(self._take())

    def throw(self, error, *details):
        is_cancelled = self.error is not None and isinstance(error, asyncio.CancelledError)
        return self._coroutine.throw(self._take()) if is_cancelled else self._coroutine.throw(error, *details)

    def close(self):
        return self._coroutine.close()

    def __await__(self):
        return self._coroutine.__await__()

    def __getattr__(self, name):
        return getattr(self._coroutine, name)

    def _take(self):
        error, self.error = self.error, None
        self.task.uncancel()
        return error
