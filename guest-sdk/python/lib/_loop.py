"""asyncio without sockets: a loop that sleeps where others select, so that the host suspends the whole step."""

import asyncio
import asyncio.base_events
import asyncio.events
import asyncio.runners
import asyncio.unix_events
import time
import types


class _Nothing:
    """A selector with nothing to select."""

    @staticmethod
    def select(timeout):
        if timeout is None:
            raise RuntimeError("every task waits for another one, and nothing is left that could wake any of them")
        if timeout > 0:
            time.sleep(timeout)
        return ()


class Loop(asyncio.base_events.BaseEventLoop):
    """One thread, no sockets, no signals: timers and tasks."""

    _selector = _Nothing

    def _process_events(self, events):
        pass

    def _write_to_self(self):
        # there is no other thread that could have called us
        pass

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
