"""Patches for individual libraries, applied when they are imported. `bue._sockets` is independent of libraries.

HTTP libraries recognize connection errors by where they occur. Here a connection is only made when a request is sent, so
connection errors occur there, marked with `is_connecting`; the patches raise the library's own exception for them.
"""

import asyncio
import functools
import os
import sys

from bue import _connection, _http_client, _requests, _sockets

# where the step sees the time zone database
_TIME_ZONES = "/usr/share/zoneinfo"


class PatchFinder:
    """Intercepts imports of the modules in `_PATCHES`."""

    @staticmethod
    def find_spec(name, path=None, target=None):
        patch = _PATCHES.get(name)
        if patch is None:
            return None
        for finder in sys.meta_path:
            spec = finder.find_spec(name, path, target) if finder is not PatchFinder else None
            if spec is not None:
                spec.loader = _PatchingLoader(spec.loader, patch)
                return spec
        return None


class _PatchingLoader:
    """Executes a module, then patches it."""

    def __init__(self, inner, patch):
        self.inner = inner
        self.patch = patch

    def __getattr__(self, name):
        return getattr(self.inner, name)

    def create_module(self, spec):
        return self.inner.create_module(spec)

    def exec_module(self, module):
        self.inner.exec_module(module)
        self.patch(module)


def _patch_urllib3(module):
    from urllib3 import exceptions

    resolution_error = getattr(exceptions, "NameResolutionError", None)

    def send(self, data):
        try:
            super(module.HTTPConnection, self).send(data)
        except OSError as error:
            if isinstance(error, module.BaseSSLError) or not getattr(error, "is_connecting", False):
                raise
            if isinstance(error, TimeoutError):
                raise exceptions.ConnectTimeoutError(self, f"Connection to {self.host} timed out: {error}") from error
            if resolution_error and isinstance(error, module.socket.gaierror):
                raise resolution_error(self.host, self, error) from error
            raise exceptions.NewConnectionError(self, f"Failed to establish a new connection: {error}") from error

    module.HTTPConnection.send = send


def _patch_httpcore_sync(module):
    write = module.SyncStream.write

    def connect_and_write(self, buffer, timeout=None):
        try:
            write(self, buffer, timeout)
        except (module.WriteError, module.WriteTimeout) as error:
            raise _to_httpcore_error(error.__cause__, error) from error.__cause__

    module.SyncStream.write = connect_and_write


def _patch_httpcore_async(module):
    module.AutoBackend = _async_backend()


def _async_backend():
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
                raise _to_httpcore_error(error, _exceptions.WriteError(error)) from error

        async def aclose(self):
            self.connection.close()

        async def start_tls(self, ssl_context, server_hostname=None, timeout=None):
            with _exceptions.map_exceptions({OSError: _exceptions.ConnectError}):
                await asyncio.get_running_loop().wait(_sockets.securing(self.connection, ssl_context, server_hostname, timeout))
            return self

        def get_extra_info(self, info):
            return self.connection.is_readable() if info == "is_readable" else None

    class Backend(AsyncNetworkBackend):
        async def connect_tcp(self, host, port, timeout=None, local_address=None, socket_options=None):
            return Stream(_connection.Connection(host, port, timeout))

        async def sleep(self, seconds):
            await asyncio.sleep(seconds)

    return Backend


def _to_httpcore_error(error, default):
    from httpcore import _exceptions

    if not getattr(error, "is_connecting", False):
        return default
    return (_exceptions.ConnectTimeout if isinstance(error, TimeoutError) else _exceptions.ConnectError)(error)


def _patch_certifi(module):
    path = module.__file__.removesuffix("core.py") + "cacert.pem"
    if os.path.isfile(path):
        _sockets.trusted.add(path)
    else:
        # a certifi next to the step was packed without its data files
        module.where = lambda: _sockets.CERTIFICATES


def _patch_sqlite3(module):
    connect = module.connect

    def connect_and_explain(database, *args, **kwargs):
        try:
            return connect(database, *args, **kwargs)
        except module.OperationalError as error:
            if getattr(error, "sqlite_errorcode", None) != module.SQLITE_CANTOPEN:
                raise
            raise _cannot_open(module, database) from None

    module.connect = functools.wraps(connect)(connect_and_explain)
    for error in vars(module).values():
        # CPython names them by the public module
        if isinstance(error, type) and issubclass(error, Exception) and error.__module__ == "_sqlite3":
            error.__module__ = "sqlite3"


def _cannot_open(module, database):
    error = module.OperationalError(
        f"unable to open database file {os.fsdecode(database)!r}: a step can write in /tmp only, and reads the files that the"
        f" script packs; `/tmp/{os.path.basename(os.fsdecode(database))}` can be opened, and ends with the step"
    )
    error.sqlite_errorcode, error.sqlite_errorname = module.SQLITE_CANTOPEN, "SQLITE_CANTOPEN"
    return error


def rehearse():
    """Make requests against a fake host, if the user's module imported an HTTP library. What the first requests set up
    (openers, compiled patterns, caches, specialized bytecode) is then in the module's image, instead of being set up in every
    step, on pages that every step would have to copy."""
    host, _connection._bue_net = _connection._bue_net, _FakeHost
    try:
        for name in _REHEARSALS.keys() & sys.modules.keys():
            _rehearse_with(sys.modules[name], *_REHEARSALS[name])
    finally:
        _connection._bue_net = host


def _rehearse_with(module, is_original, rehearsal):
    try:
        # leave a library alone that the user's module has changed
        if is_original(module):
            for _ in range(_REPEATS):
                rehearsal(module)
    except Exception:
        # the user's module may have changed the library, or be another module of that name; the step will report errors
        pass


# More than the number of runs after which the interpreter specializes bytecode.
_REPEATS = 8


def _rehearse_urllib(request):
    if request._opener is None:
        request.install_opener(request.build_opener())
    with request.urlopen("http://rehearsal/") as response:
        response.read()


def _rehearse_client(client):
    connection = client.HTTPConnection("rehearsal", timeout=1)
    connection.request("POST", "/", b"{}", {"content-type": "application/json"})
    connection.getresponse().read()
    connection.close()


def _rehearse_requests(requests):
    requests.get("http://rehearsal/", params={"a": 1}, headers={"b": "c"}, timeout=1).json()
    with requests.Session() as session:
        session.post("https://rehearsal/", json={"a": 1}).raise_for_status()


def _rehearse_urllib3(urllib3):
    with urllib3.PoolManager() as pool:
        pool.request("GET", "http://rehearsal/", fields={"a": "1"}).json()
        pool.request("POST", "http://rehearsal/", body=b"{}", headers={"content-type": "application/json"})


def _rehearse_httpx(httpx):
    with httpx.Client() as client:
        client.get("http://rehearsal/", params={"a": 1}, headers={"b": "c"}).json()
        client.post("http://rehearsal/", json={"a": 1}).raise_for_status()


def _is_defined_in(module, *functions):
    return all(function.__module__.partition(".")[0] == module for function in functions)


_REHEARSALS = {
    "http.client": (lambda client: _is_defined_in("http", client.HTTPConnection.request), _rehearse_client),
    "urllib.request": (lambda request: request._opener is None, _rehearse_urllib),
    "requests": (
        lambda requests: _is_defined_in("requests", requests.Session.request, requests.Session.send, requests.adapters.HTTPAdapter.send),
        _rehearse_requests,
    ),
    "urllib3": (
        lambda urllib3: _is_defined_in("urllib3", urllib3.PoolManager.urlopen, urllib3.HTTPConnectionPool.urlopen),
        _rehearse_urllib3,
    ),
    "httpx": (lambda httpx: _is_defined_in("httpx", httpx.Client.request, httpx.Client.send), _rehearse_httpx),
}


class _FakeHost:
    """Answers every request immediately."""

    @staticmethod
    def start(*args):
        return 0

    @staticmethod
    def start_bytes(data, *args):
        return 0, len(data), False, None

    @staticmethod
    def wait(tickets, seconds):
        headers = [("content-type", "application/json"), ("content-length", "2")]
        return [(0, "response", (200, "HTTP/1.1", "OK", headers, b"{}", True))]

    @staticmethod
    def close(exchange):
        pass


def _patch_time_zones(module):
    module.reset_tzpath([_TIME_ZONES])


_PATCHES = {
    "certifi.core": _patch_certifi,
    "http.client": _http_client.patch,
    "httpcore._backends.auto": _patch_httpcore_async,
    "httpcore._backends.sync": _patch_httpcore_sync,
    "requests.compat": _requests.patch_compat,
    "requests.structures": _requests.patch_structures,
    "sqlite3.dbapi2": _patch_sqlite3,
    "urllib3.connection": _patch_urllib3,
    "zoneinfo._tzpath": _patch_time_zones,
}
