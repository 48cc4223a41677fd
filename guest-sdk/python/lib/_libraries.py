"""What single libraries need to hear, said when they are imported. All else is in `bue._sockets`, which knows of none.

A library tells errors of making a connection from others by where it meets them. Here a connection is only made when a
request is sent, so errors of the first kind come up there, marked with `is_connecting`.
"""

import asyncio
import os.path
import sys

from bue import _sockets, _wire


class Finder:
    """Sees the modules of `_ADAPTED` being imported."""

    @staticmethod
    def find_spec(name, path=None, target=None):
        adapt = _ADAPTED.get(name)
        if adapt is None:
            return None
        for finder in sys.meta_path:
            spec = finder.find_spec(name, path, target) if finder is not Finder else None
            if spec is not None:
                spec.loader = _Loader(spec.loader, adapt)
                return spec
        return None


class _Loader:
    """Runs a module, and then what changes it."""

    def __init__(self, inner, adapt):
        self.inner = inner
        self.adapt = adapt

    def __getattr__(self, name):
        return getattr(self.inner, name)

    def create_module(self, spec):
        return self.inner.create_module(spec)

    def exec_module(self, module):
        self.inner.exec_module(module)
        self.adapt(module)


def _urllib3(module):
    from urllib3 import exceptions

    named = getattr(exceptions, "NameResolutionError", None)

    def send(self, data):
        try:
            super(module.HTTPConnection, self).send(data)
        except OSError as error:
            if isinstance(error, module.BaseSSLError) or not getattr(error, "is_connecting", False):
                raise
            if isinstance(error, TimeoutError):
                raise exceptions.ConnectTimeoutError(self, f"Connection to {self.host} timed out: {error}") from error
            if named and isinstance(error, module.socket.gaierror):
                raise named(self.host, self, error) from error
            raise exceptions.NewConnectionError(self, f"Failed to establish a new connection: {error}") from error

    module.HTTPConnection.send = send


def _httpcore_sync(module):
    write = module.SyncStream.write

    def connect_and_write(self, buffer, timeout=None):
        try:
            write(self, buffer, timeout)
        except (module.WriteError, module.WriteTimeout) as error:
            raise _of_httpcore(error.__cause__, error) from error.__cause__

    module.SyncStream.write = connect_and_write


def _httpcore_async(module):
    module.AutoBackend = _backend()


def _backend():
    from httpcore import _exceptions
    from httpcore._backends.base import AsyncNetworkBackend, AsyncNetworkStream

    class Stream(AsyncNetworkStream):
        def __init__(self, connection):
            self.connection = connection

        async def read(self, max_bytes, timeout=None):
            with _exceptions.map_exceptions({TimeoutError: _exceptions.ReadTimeout, OSError: _exceptions.ReadError}):
                return await asyncio.get_running_loop().wait(self.connection.receive(max_bytes, timeout))

        async def write(self, buffer, timeout=None):
            try:
                await asyncio.get_running_loop().wait(self.connection.send(buffer))
            except OSError as error:
                raise _of_httpcore(error, _exceptions.WriteError(error)) from error

        async def aclose(self):
            self.connection.close()

        async def start_tls(self, ssl_context, server_hostname=None, timeout=None):
            with _exceptions.map_exceptions({OSError: _exceptions.ConnectError}):
                _sockets.start_tls(self.connection, ssl_context)
            return self

        def get_extra_info(self, info):
            return self.connection.is_readable() if info == "is_readable" else None

    class Backend(AsyncNetworkBackend):
        async def connect_tcp(self, host, port, timeout=None, local_address=None, socket_options=None):
            return Stream(_wire.Connection(host, port, timeout))

        async def sleep(self, seconds):
            await asyncio.sleep(seconds)

    return Backend


def _of_httpcore(error, other):
    from httpcore import _exceptions

    if not getattr(error, "is_connecting", False):
        return other
    return (_exceptions.ConnectTimeout if isinstance(error, TimeoutError) else _exceptions.ConnectError)(error)


def _certifi(module):
    path = module.__file__.removesuffix("core.py") + "cacert.pem"
    if os.path.isfile(path):
        _sockets.trusted.add(path)
    else:
        # a neighbour of the step travels without files that are no modules
        module.where = lambda: _sockets.CERTIFICATES


def rehearse():
    """Makes a request that no host hears, when a module that makes requests was loaded. What a first request prepares
    (openers, compiled patterns, caches) then stands in the module's image, instead of being prepared in every step."""
    request = sys.modules.get("urllib.request")
    if request is None or request.__spec__.origin != "frozen" or request._opener is not None:
        return
    host, _wire._bue_net = _wire._bue_net, _Rehearsal
    try:
        opener = request.build_opener()
        with opener.open("http://rehearsal/") as response:
            response.read()
        request.install_opener(opener)
    except Exception:
        # whatever the user's module changed in there, it is not this that should say so
        pass
    finally:
        _wire._bue_net = host


class _Rehearsal:
    """A host that answers at once."""

    @staticmethod
    def start(*request):
        return 0

    @staticmethod
    def wait(tickets, seconds):
        headers = [("content-type", "application/json"), ("content-length", "2")]
        return [(0, "response", (200, "HTTP/1.1", "OK", headers, b"{}", True))]

    @staticmethod
    def close(exchange):
        pass


_ADAPTED = {
    "certifi.core": _certifi,
    "httpcore._backends.auto": _httpcore_async,
    "httpcore._backends.sync": _httpcore_sync,
    "urllib3.connection": _urllib3,
}
