"""asyncio without sockets: an event loop that waits for the host instead of a selector. Waiting suspends the whole step."""

import asyncio
import asyncio.base_events
import asyncio.events
import asyncio.runners
import asyncio.unix_events
import time
import types

import _bue_net

from bue import _transport


class _Selector:
    """A selector that waits for operations of the host instead of sockets."""

    def __init__(self, waiting):
        self.waiting = waiting

    def select(self, timeout):
        if self.waiting:
            return _bue_net.wait(list(self.waiting), timeout)
        if timeout is None:
            raise RuntimeError("every task waits for another one, and nothing is left that could wake any of them")
        if timeout > 0:
            time.sleep(timeout)
        return ()


class Loop(asyncio.base_events.BaseEventLoop):
    """An event loop without threads and signals: timers, tasks, and tickets of the host."""

    def __init__(self):
        super().__init__()
        # for each ticket, the future that receives its completion
        self._waiting = {}
        self._selector = _Selector(self._waiting)

    async def completed(self, tickets, timeout):
        """Wait for at least one of these to complete and return the completions, or none on timeout."""
        future = self.create_future()
        self._waiting.update(dict.fromkeys(tickets, future))
        timer = None if timeout is None else self.call_later(timeout, self._time_out, future, tickets)
        try:
            return await future
        finally:
            self._forget(future, tickets)
            if timer is not None:
                timer.cancel()

    def _time_out(self, future, tickets):
        # immediately, so that later completions are kept for the next caller that waits for them
        self._forget(future, tickets)
        if not future.done():
            future.set_result([])

    def _forget(self, future, tickets):
        for ticket in tickets:
            if self._waiting.get(ticket) is future:
                del self._waiting[ticket]

    def _process_events(self, events):
        by_future = {}
        for completion in events:
            by_future.setdefault(self._waiting.pop(completion[0]), []).append(completion)
        for future, completions in by_future.items():
            if not future.done():
                future.set_result(completions)

    def _write_to_self(self):
        # no other thread can call `call_soon_threadsafe`
        pass

    async def wait(self, operation):
        """Drive a generator of a waiting method of `bue._connection`, while other tasks run."""
        try:
            tickets, timeout = next(operation)
            while True:
                tickets, timeout = operation.send(await self.completed(tickets, timeout))
        except StopIteration as stop:
            return stop.value

    async def create_connection(self, protocol_factory, host=None, port=None, *, ssl=None, sock=None, **options):
        """Open a connection that can only speak HTTP/1.1."""
        return _transport.connect(self, protocol_factory, host, port, ssl, sock)

    async def sock_connect(self, sock, address):
        sock.connect(address)

    def run_in_executor(self, executor, func, *args):
        """Run the function immediately: a sandbox has no other threads."""
        self._check_closed()
        future = self.create_future()
        try:
            future.set_result(func(*args))
        except (SystemExit, KeyboardInterrupt):
            raise
        except BaseException as error:
            future.set_exception(error)
        return future

    async def shutdown_default_executor(self, timeout=None):
        pass


asyncio.unix_events._DefaultEventLoopPolicy._loop_factory = Loop
# a sandbox receives no signals, and its `signal` module lacks these names
asyncio.runners.signal = types.SimpleNamespace(SIGINT=2, getsignal=lambda number: None, default_int_handler=object())
for _module in (asyncio, asyncio.unix_events):
    _module.SelectorEventLoop = _module.EventLoop = Loop


def run(awaitable):
    """Run the coroutine of an `async def` step and return its result."""
    with asyncio.Runner(loop_factory=Loop) as runner:
        return runner.run(_await(awaitable))


async def _await(awaitable):
    return await awaitable


def iterate(items):
    """Yield the elements of an async generator."""
    with asyncio.Runner(loop_factory=Loop) as runner:
        iterator = aiter(items)
        while True:
            try:
                yield runner.run(_await(anext(iterator)))
            except StopAsyncIteration:
                return
