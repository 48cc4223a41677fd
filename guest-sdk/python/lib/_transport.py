"""An asyncio transport on top of `bue._connection`, for `open_connection` and clients built from protocols."""

import asyncio

from bue import _connection, _sockets

_READ_SIZE = 256 * 1024
# Unsent bytes at which the protocol's `pause_writing` is called.
_HIGH_WATER = 64 * 1024


class Transport(asyncio.Transport):
    """One connection: a task sends what the protocol writes, then passes it the response."""

    def __init__(self, loop, connection, protocol):
        super().__init__({"peername": (connection.host, connection.port)})
        self._loop = loop
        self._connection = connection
        self._protocol = protocol
        self._unsent = bytearray()
        self._has_work = asyncio.Event()
        self._is_reading_paused = self._is_closing = self._is_writing_paused = False
        protocol.connection_made(self)
        self._task = loop.create_task(self._run())

    async def _run(self):
        lost_error = None
        try:
            while not (self._is_closing and not self._unsent):
                await self._send_or_receive()
        except OSError as error:
            lost_error = error
        finally:
            self._is_closing = True
            self._connection.close()
            self._protocol.connection_lost(lost_error)

    async def _send_or_receive(self):
        self._has_work.clear()
        if self._unsent:
            data, self._unsent = bytes(self._unsent), bytearray()
            await self._loop.wait(self._connection.send(data))
            self._resume_writing()
        elif self._connection.has_more() and not self._is_reading_paused:
            data = await self._loop.wait(self._connection.receive(_READ_SIZE, None))
            if data:
                self._protocol.data_received(data)
            elif not self._protocol.eof_received():
                self.close()
        else:
            await self._has_work.wait()

    def _resume_writing(self):
        if self._is_writing_paused:
            self._is_writing_paused = False
            self._protocol.resume_writing()

    def write(self, data):
        self._unsent += data
        self._has_work.set()
        if len(self._unsent) > _HIGH_WATER and not self._is_writing_paused:
            self._is_writing_paused = True
            self._protocol.pause_writing()

    def close(self):
        self._is_closing = True
        self._has_work.set()
        if self._connection.has_more() and not self._unsent:
            # the task waits for a response that is no longer needed
            self._task.cancel()

    def abort(self):
        self._unsent.clear()
        self._is_closing = True
        self._task.cancel()

    def is_closing(self):
        return self._is_closing

    def pause_reading(self):
        self._is_reading_paused = True

    def resume_reading(self):
        self._is_reading_paused = False
        self._has_work.set()

    def is_reading(self):
        return not self._is_reading_paused

    def can_write_eof(self):
        return False

    def get_protocol(self):
        return self._protocol

    def set_protocol(self, protocol):
        self._protocol = protocol

    def get_write_buffer_size(self):
        return len(self._unsent)

    def get_write_buffer_limits(self):
        return (0, _HIGH_WATER)

    def set_write_buffer_limits(self, high=None, low=None):
        pass


def connect(loop, protocol_factory, host, port, context, sock):
    """Implements `loop.create_connection`."""
    connection = _connection.Connection(host, port, None) if sock is None else sock.connected()
    if context:
        _sockets.start_tls(connection, None if context is True else context)
    protocol = protocol_factory()
    return Transport(loop, connection, protocol), protocol
