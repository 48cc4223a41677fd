"""What `Hub`, `Run` and the others share: the connections to hub and bucket, and reading their answers."""

from __future__ import annotations

import json
import re
from typing import Any, Callable, Dict, List, Optional, Type, TypeVar
from urllib.parse import quote

from ._errors import BueError, CorruptValue, VersionMismatch
from ._pages import Blob
from ._settings import Address, Settings
from ._transport import Request, Transport
from ._version import __version__
from ._views import HubInfo, ViewError, from_json, list_from_json

T = TypeVar("T")

_VERSION = re.compile(r"\d{1,6}\.\d{1,6}\.\d{1,6}[0-9A-Za-z.+-]{0,40}")
_LOCAL_HOSTS = ("localhost", "127.0.0.1", "::1", "0.0.0.0", "::")


class Session:
    """The connections of a client."""

    def __init__(self, settings: Settings, timeout: float) -> None:
        self.settings = settings
        self.timeout = timeout
        self.hub = Transport("hub", settings.hubs, settings, timeout)
        self.hub.explain = self.explain
        self._bucket: Optional[Transport] = None

    def close(self) -> None:
        self.hub.close()
        if self._bucket is not None:
            self._bucket.close()

    @property
    def bucket(self) -> Transport:
        """The connections to the bucket: at the address of the settings, else at the one that the hub names."""
        if self._bucket is None:
            address = self.settings.bucket or self._named_bucket()
            self._bucket = Transport("bucket", (address,), self.settings, self.timeout)
        return self._bucket

    def _named_bucket(self) -> Address:
        named = self.get(HubInfo, "/v1/info").bucket
        if named is None:
            raise BueError(
                "the hub does not know a bucket; start it with -k, or give the bucket's address as `bucket` or BUE_BUCKET"
            )
        address = Address.parse(named)
        if address.host in _LOCAL_HOSTS:
            # the hub means its own machine
            return Address(self.hub.current.host, address.port, address.tls)
        return address

    def get(self, cls: Type[T], path: str, wait: float = 0.0) -> T:
        """Read an object of the hub."""
        return self.read(Request("GET", path, wait=wait), lambda value: from_json(cls, value))

    def get_list(self, cls: Type[T], path: str) -> List[T]:
        """Read a list of the hub."""
        return self.read(Request("GET", path), lambda value: list_from_json(cls, value))

    def read(self, request: Request, parse: Callable[[Any], T]) -> T:
        """Send a request to the hub and read the JSON of its answer."""
        return _read(self.hub, request, parse)

    def read_of_bucket(self, request: Request, parse: Callable[[Any], T]) -> T:
        """Send a request to the bucket and read the JSON of its answer."""
        return _read(self.bucket, request, parse)

    def fetch(self, blob: Blob) -> bytes:
        """Return a blob of the bucket."""
        request = Request("GET", f"/v1/blobs/{blob.hash}", max_reply=max(blob.length, 64 * 1024))
        data = self.bucket.send_ok(request).body
        if len(data) != blob.length:
            raise CorruptValue(f"blob {blob.hash} has {len(data)} bytes instead of {blob.length}; the bucket may be damaged")
        return data

    def explain(self, error: BueError) -> BueError:
        """Return the error, or one that says which side is older if the hub is of another release."""
        try:
            reply = self.hub.send(Request("GET", "/v1/info"))
            theirs = json.loads(reply.body)["version"]
        except (BueError, ValueError, KeyError, TypeError, RecursionError):
            return error
        if not isinstance(theirs, str) or not _VERSION.fullmatch(theirs) or theirs == __version__:
            return error
        return VersionMismatch(_mismatch_text(reply.address.authority, theirs, str(error)))


def _read(server: Transport, request: Request, parse: Callable[[Any], T]) -> T:
    value = server.json(request)
    try:
        return parse(value)
    except ViewError as error:
        raise server.unexpected(server.current, str(error)) from None


def _mismatch_text(authority: str, theirs: str, reason: str) -> str:
    if _order(theirs) < _order(__version__):
        advice = f"the hub is older: install bue {__version__} there, or type `pip install bue=={theirs}` here"
    else:
        advice = f"this package is older: type `pip install bue=={theirs}` here"
    return f"the hub at {authority} is bue {theirs}, and this package is bue {__version__}; {advice} ({reason})"


def _order(version: str) -> List[int]:
    return [int(number) for number in re.findall(r"\d+", version)]


def segment(text: str) -> str:
    """Return a text as one part of a path."""
    return quote(text, safe="-_.~")


def query(**parameters: Any) -> str:
    """Return the query of these parameters, without those that are None."""
    pairs = [
        f"{quote(name, safe='-_.~')}={quote(str(value), safe='-_.~')}"
        for name, value in parameters.items()
        if value is not None
    ]
    return "?" + "&".join(pairs) if pairs else ""


def json_request(method: str, path: str, value: Any, **options: Any) -> Request:
    """Return a request with a JSON body."""
    body = json.dumps(value, allow_nan=False).encode("utf-8")
    return Request(method, path, body, "application/json", **options)


def expect_nothing(_: Any) -> None:
    """Read an answer without content."""


def changed_jobs(value: Any) -> int:
    """Read the number of jobs that a request has changed."""
    jobs: Dict[str, Any] = value if isinstance(value, dict) else {}
    if not isinstance(jobs.get("jobs"), int):
        raise ViewError("the answer has no number of jobs")
    number: int = jobs["jobs"]
    return number
