"""asyncio without sockets: a loop that waits for the host where others select, so that it suspends the whole step."""

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
    """Waits for the host instead of for sockets."""

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
    """One thread, no signals: timers, tasks, and tickets of the host."""

    def __init__(self):
        super().__init__()
        # tickets, and the futures that are told of their ends
        self._waiting = {}
        self._selector = _Selector(self._waiting)

    async def ended(self, tickets, seconds):
        """What of these has ended: at least one, or none when the time is over."""
        future = self.create_future()
        self._waiting.update(dict.fromkeys(tickets, future))
        timer = None if seconds is None else self.call_later(seconds, self._give_up, future, tickets)
        try:
            return await future
        finally:
            self._forget(future, tickets)
            if timer is not None:
                timer.cancel()

    def _give_up(self, future, tickets):
        # at once, so that what ends from here on is kept for the next who asks
        self._forget(future, tickets)
        if not future.done():
            future.set_result([])

    def _forget(self, future, tickets):
        for ticket in tickets:
            if self._waiting.get(ticket) is future:
                del self._waiting[ticket]

    def _process_events(self, events):
        told = {}
        for ended in events:
            told.setdefault(self._waiting.pop(ended[0]), []).append(ended)
        for future, ends in told.items():
            if not future.done():
                future.set_result(ends)

    def _write_to_self(self):
        # there is no other thread that could have called us
        pass

    async def wait(self, steps):
        """Runs a method of `bue._wire` that waits, while other tasks go on."""
        try:
            tickets, seconds = next(steps)
            while True:
                tickets, seconds = steps.send(await self.ended(tickets, seconds))
        except StopIteration as stopped:
            return stopped.value

    async def create_connection(self, protocol_factory, host=None, port=None, *, ssl=None, sock=None, **options):
        """A connection that speaks HTTP/1.1."""
        return _transport.connect(self, protocol_factory, host, port, ssl, sock)

    async def sock_connect(self, sock, address):
        sock.connect(address)

    def run_in_executor(self, executor, work, *args):
        """There are no threads in a sandbox; the work is done at once."""
        self._check_closed()
        future = self.create_future()
        try:
            future.set_result(work(*args))
        except (SystemExit, KeyboardInterrupt):
            raise
        except BaseException as error:
            future.set_exception(error)
        return future

    async def shutdown_default_executor(self, timeout=None):
        pass


asyncio.unix_events._DefaultEventLoopPolicy._loop_factory = Loop
# a sandbox gets no signals, and its `signal` module has no names for them
asyncio.runners.signal = types.SimpleNamespace(SIGINT=2, getsignal=lambda number: None, default_int_handler=object())
for _module in (asyncio, asyncio.unix_events):
    _module.SelectorEventLoop = _module.EventLoop = Loop


def run(awaitable):
    """What an `async def` step gives."""
    with asyncio.Runner(loop_factory=Loop) as runner:
        return runner.run(_await(awaitable))


async def _await(awaitable):
    return await awaitable


def iterate(items):
    """The elements of an async generator, one after the other."""
    with asyncio.Runner(loop_factory=Loop) as runner:
        iterator = aiter(items)
        while True:
            try:
                yield runner.run(_await(anext(iterator)))
            except StopAsyncIteration:
                return
