"""asyncio's transport over `bue._wire`: what `open_connection` and clients made of protocols stand on."""

import asyncio

from bue import _sockets, _wire

_PIECE = 256 * 1024
# Bytes that wait to be sent before the protocol is told to stop writing.
_MOST_WAITING = 64 * 1024


class Transport(asyncio.Transport):
    """One connection: a task sends what the protocol writes, then gives it what is answered."""

    def __init__(self, loop, connection, protocol):
        super().__init__({"peername": (connection.host, connection.port)})
        self._loop = loop
        self._connection = connection
        self._protocol = protocol
        self._unsent = bytearray()
        self._wanted = asyncio.Event()
        self._is_paused = self._is_closing = self._is_full = False
        protocol.connection_made(self)
        self._task = loop.create_task(self._run())

    async def _run(self):
        lost = None
        try:
            while not (self._is_closing and not self._unsent):
                await self._turn()
        except OSError as error:
            lost = error
        finally:
            self._is_closing = True
            self._connection.close()
            self._protocol.connection_lost(lost)

    async def _turn(self):
        self._wanted.clear()
        if self._unsent:
            data, self._unsent = bytes(self._unsent), bytearray()
            await self._loop.wait(self._connection.send(data))
            self._tell_of_room()
        elif self._connection.has_more() and not self._is_paused:
            data = await self._loop.wait(self._connection.receive(_PIECE, None))
            if data:
                self._protocol.data_received(data)
            elif not self._protocol.eof_received():
                self.close()
        else:
            await self._wanted.wait()

    def _tell_of_room(self):
        if self._is_full:
            self._is_full = False
            self._protocol.resume_writing()

    def write(self, data):
        self._unsent += data
        self._wanted.set()
        if len(self._unsent) > _MOST_WAITING and not self._is_full:
            self._is_full = True
            self._protocol.pause_writing()

    def close(self):
        self._is_closing = True
        self._wanted.set()
        if self._connection.has_more() and not self._unsent:
            # it waits for what nobody wants any more
            self._task.cancel()

    def abort(self):
        self._unsent.clear()
        self._is_closing = True
        self._task.cancel()

    def is_closing(self):
        return self._is_closing

    def pause_reading(self):
        self._is_paused = True

    def resume_reading(self):
        self._is_paused = False
        self._wanted.set()

    def is_reading(self):
        return not self._is_paused

    def can_write_eof(self):
        return False

    def get_protocol(self):
        return self._protocol

    def set_protocol(self, protocol):
        self._protocol = protocol

    def get_write_buffer_size(self):
        return len(self._unsent)

    def get_write_buffer_limits(self):
        return (0, _MOST_WAITING)

    def set_write_buffer_limits(self, high=None, low=None):
        pass


def connect(loop, make_protocol, host, port, context, sock):
    """What `loop.create_connection` gives."""
    connection = _wire.Connection(host, port, None) if sock is None else sock.connected()
    if context:
        _sockets.start_tls(connection, None if context is True else context)
    protocol = make_protocol()
    return Transport(loop, connection, protocol), protocol
