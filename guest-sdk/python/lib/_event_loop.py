"""asyncio: an event loop that waits for the host instead of a selector. Waiting suspends the whole step."""

import asyncio
import asyncio.base_events
import asyncio.events
import asyncio.runners
import asyncio.unix_events
import socket
import types

import _bue_net

from bue import _scheduler, _soft_limit, _transport


class _Selector:
    """A selector that waits for operations of the host instead of file descriptors. Threads run meanwhile; they wake the loop with
    `call_soon_threadsafe`, which makes something ready."""

    def __init__(self, waiting, ready):
        self.waiting = waiting
        self.ready = ready

    def select(self, timeout):
        if self.waiting:
            return _scheduler.wait_for_host(_bue_net.wait, list(self.waiting), timeout, self.is_woken)
        if timeout is None:
            self.wait_for_threads()
        elif timeout > 0:
            _scheduler.wait_for_timer(timeout, self.is_woken)
        return ()

    def wait_for_threads(self):
        if not _scheduler.queued:
            raise RuntimeError("every task waits for another one, and nothing is left that could wake any of them")
        _scheduler.block(self.is_woken, None, "something that wakes its event loop")

    def is_woken(self):
        return bool(self.ready)


class Loop(asyncio.base_events.BaseEventLoop):
    """An event loop without file descriptors and signals: timers, tasks, threads, and tickets of the host."""

    def __init__(self):
        super().__init__()
        # for each ticket, the future that receives its completion
        self._waiting = {}
        self._selector = _Selector(self._waiting, self._ready)
        # the coroutine that it runs until it is complete, if the step has a soft limit
        self._main = None

    def create_task(self, coro, **options):
        if _soft_limit.message is None or self.is_running() or not asyncio.iscoroutine(coro):
            return super().create_task(coro, **options)
        main = _soft_limit.MainCoroutine(coro)
        main.task = super().create_task(main, **options)
        return main.task

    def run_until_complete(self, future):
        if _soft_limit.message is not None and asyncio.iscoroutine(future):
            future = self.create_task(future)
            # as the method itself does with a task of its own: if the loop stops before, the caller learns it
            future._log_destroy_pending = False
        main = future.get_coro() if isinstance(future, asyncio.Task) else None
        self._main = main if isinstance(main, _soft_limit.MainCoroutine) else None
        return super().run_until_complete(future)

    def interrupt_main(self, error):
        """Have an error raised in the main task, unless it is the one that runs. Returns whether it will be."""
        main = self._main
        if main is None or main.task.done() or main.task is asyncio.current_task(self):
            return False
        main.error = error
        return main.task.cancel()

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
        # the selector looks for itself whether a thread has called `call_soon_threadsafe`
        pass

    async def wait(self, operation):
        """Drive a generator of a waiting method of `bue._connection`, while other tasks run."""
        try:
            tickets, timeout, *_ = next(operation)
            while True:
                tickets, timeout, *_ = operation.send(await self.completed(tickets, timeout))
        except StopIteration as stop:
            return stop.value

    async def create_connection(
        self, protocol_factory, host=None, port=None, *, ssl=None, sock=None, server_hostname=None, ssl_handshake_timeout=None, **options
    ):
        """Open a TCP connection, or one that can only speak HTTP/1.1."""
        return await _transport.connect(self, protocol_factory, host, port, ssl, sock, server_hostname, ssl_handshake_timeout)

    async def start_tls(
        self, transport, protocol, sslcontext, *, server_side=False, server_hostname=None, ssl_handshake_timeout=None, **options
    ):
        if server_side or not isinstance(transport, _transport.TcpTransport):
            raise TypeError("TLS can be started on a TCP connection that the step has opened")
        await transport.start_tls(sslcontext, server_hostname, ssl_handshake_timeout)
        return transport

    async def sock_connect(self, sock, address):
        await self.wait(sock.opening(address, None))

    async def sock_recv(self, sock, max_bytes):
        return await self.wait(sock.connected().receive(max_bytes, None))

    async def sock_recv_into(self, sock, buffer):
        data = await self.sock_recv(sock, len(buffer))
        buffer[: len(data)] = data
        return len(data)

    async def sock_sendall(self, sock, data):
        await self.wait(sock.connected().send(data, None))

    async def getaddrinfo(self, host, port, *, family=0, type=0, proto=0, flags=0):
        # resolves nothing, so it needs no thread
        return socket.getaddrinfo(host, port, family, type, proto, flags)

    async def shutdown_default_executor(self, timeout=None):
        """Run what the default pool has not started yet. Python's own would do it in another thread."""
        self._executor_shutdown_called = True
        if self._default_executor is not None:
            self._default_executor.shutdown(wait=True)


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
