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
    """Makes requests that no host hears, when a module that makes requests was loaded. What the first ones prepare (openers,
    compiled patterns, caches, code rewritten for the types it met) then stands in the module's image, instead of being
    prepared in every step, on pages that every step would have to copy."""
    host, _wire._bue_net = _wire._bue_net, _Rehearsal
    try:
        for name in _REHEARSED.keys() & sys.modules.keys():
            _rehearse_with(sys.modules[name], *_REHEARSED[name])
    finally:
        _wire._bue_net = host


def _rehearse_with(module, is_original, rehearsal):
    try:
        # what the user's module put something of its own into is left alone
        if is_original(module):
            for _ in range(_TIMES):
                rehearsal(module)
    except Exception:
        # whatever the user's module changed in there, or called by that name, it is not this that should say so
        pass


# More than the number of runs after which the interpreter has rewritten code.
_TIMES = 8


def _with_urllib(request):
    if request._opener is None:
        request.install_opener(request.build_opener())
    with request.urlopen("http://rehearsal/") as response:
        response.read()


def _with_client(client):
    connection = client.HTTPConnection("rehearsal", timeout=1)
    connection.request("POST", "/", b"{}", {"content-type": "application/json"})
    connection.getresponse().read()
    connection.close()


def _with_requests(requests):
    requests.get("http://rehearsal/", params={"a": 1}, headers={"b": "c"}, timeout=1).json()
    with requests.Session() as session:
        session.post("https://rehearsal/", json={"a": 1}).raise_for_status()


def _with_httpx(httpx):
    with httpx.Client() as client:
        client.get("http://rehearsal/", params={"a": 1}, headers={"b": "c"}).json()
        client.post("http://rehearsal/", json={"a": 1}).raise_for_status()


def _is_of(module, *functions):
    return all(function.__module__.partition(".")[0] == module for function in functions)


_REHEARSED = {
    "http.client": (lambda client: _is_of("http", client.HTTPConnection.request), _with_client),
    "urllib.request": (lambda request: request._opener is None, _with_urllib),
    "requests": (
        lambda requests: _is_of("requests", requests.Session.request, requests.Session.send, requests.adapters.HTTPAdapter.send),
        _with_requests,
    ),
    "httpx": (lambda httpx: _is_of("httpx", httpx.Client.request, httpx.Client.send), _with_httpx),
}


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
