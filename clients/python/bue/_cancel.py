"""Cancelling what another thread does: the asynchronous client runs each call in a thread.

A `Scope` belongs to one call. When it is cancelled, it closes the connection, or ends the process, that the call waits for.
"""

from __future__ import annotations

import contextlib
import threading
import time
from typing import Callable, Iterator, List, Optional

_current = threading.local()


class Cancelled(BaseException):
    """The call was cancelled. Nobody sees it: the task that made the call has been cancelled too."""


class Scope:
    """One call, and how to interrupt it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._interrupts: List[Callable[[], None]] = []
        self._cancelled = threading.Event()

    def cancel(self) -> None:
        """Interrupt the call, now and whatever it waits for later. Callable from any thread."""
        with self._lock:
            self._cancelled.set()
            for interrupt in self._interrupts:
                interrupt()

    @contextlib.contextmanager
    def entered(self) -> Iterator[None]:
        """Make this the scope of the calls in this thread."""
        _current.scope = self
        try:
            yield
        finally:
            _current.scope = None

    @contextlib.contextmanager
    def interruptible(self, interrupt: Callable[[], None]) -> Iterator[None]:
        with self._lock:
            if self._cancelled.is_set():
                raise Cancelled
            self._interrupts.append(interrupt)
        try:
            yield
        except Exception:
            # what the interrupted operation raises is of no interest
            if self._cancelled.is_set():
                raise Cancelled from None
            raise
        finally:
            with self._lock:
                self._interrupts.remove(interrupt)
        if self._cancelled.is_set():
            raise Cancelled

    def sleep(self, seconds: float) -> None:
        if self._cancelled.wait(seconds):
            raise Cancelled


def _scope() -> Optional[Scope]:
    scope: Optional[Scope] = getattr(_current, "scope", None)
    return scope


@contextlib.contextmanager
def interruptible(interrupt: Callable[[], None]) -> Iterator[None]:
    """While in this context, the call of this thread is cancelled by calling `interrupt`."""
    scope = _scope()
    if scope is None:
        yield
        return
    with scope.interruptible(interrupt):
        yield


def sleep(seconds: float) -> None:
    """Sleep, unless the call of this thread is cancelled."""
    scope = _scope()
    if scope is None:
        time.sleep(seconds)
    else:
        scope.sleep(seconds)
