"""Named values in the bucket."""

from __future__ import annotations

import datetime
import io
from typing import IO, TYPE_CHECKING, BinaryIO, Iterable, Iterator, Optional, Union, cast
from urllib.parse import quote

from ._errors import BueError, NotFound, TooLarge
from ._session import query
from ._transport import Request, Stream, Upload
from ._views import BucketKey, BucketKeyPage, from_json

if TYPE_CHECKING:
    from ._session import Session

# Bytes of a value that are sent at a time.
_PIECE = 256 * 1024

# Seconds, or a duration, after which a value expires.
Expires = Union[None, float, datetime.timedelta]


class Bucket:
    """Named values, which scripts and people share: `hub.bucket`.

    A key consists of parts separated by `/` and has at most 1024 bytes. A value has at most 64 GiB; reading and writing it
    with `open` needs no more memory than a piece of it.
    """

    def __init__(self, session: Session) -> None:
        self._session = session

    def get(self, key: str, *, max_bytes: int = 256 * 1024 * 1024) -> Optional[bytes]:
        """Return the value under a key; None if there is none.

        Raises TooLarge if it has more than `max_bytes`: use `open`.
        """
        try:
            return self._session.bucket.send_ok(Request("GET", _path(key), max_reply=max_bytes)).body
        except NotFound as error:
            if error.code == "key_not_found":
                return None
            raise
        except TooLarge as error:
            raise TooLarge(f"the value of `{key}` has more than {max_bytes} bytes; read it with `open`") from error

    def set(
        self,
        key: str,
        value: Union[bytes, bytearray, memoryview, BinaryIO, Iterable[bytes]],
        *,
        expires: Expires = None,
    ) -> None:
        """Store a value under a key, and replace an older one at once.

        value: bytes, a file that is open for reading in binary mode, or pieces. expires: seconds or a timedelta after which
        the value is gone; None for never.
        """
        path = _path(key) + _expires(expires)
        if isinstance(value, (bytes, bytearray, memoryview)):
            request = Request("PUT", path, bytes(value), "application/octet-stream", wait=_upload_time(len(value)))
            self._session.bucket.send_ok(request)
            return
        if isinstance(value, str):
            raise TypeError("the bucket stores bytes; pass value.encode()")
        pieces = _pieces(cast(IO[bytes], value)) if hasattr(value, "read") else value
        self._session.bucket.upload(Request("PUT", path, content_type="application/octet-stream"), pieces)

    def delete(self, key: str) -> bool:
        """Delete a key. Returns whether it existed."""
        try:
            self._session.bucket.send_ok(Request("DELETE", _path(key)))
        except NotFound as error:
            if error.code == "key_not_found":
                return False
            raise
        return True

    def list(self, prefix: str = "") -> Iterator[BucketKey]:
        """Return the values whose keys begin with a prefix, in the order of their keys, as an iterator.

        It requests a page at a time, so values that change meanwhile may be in it or not.
        """
        after: Optional[str] = ""
        while after is not None:
            selected = query(prefix=prefix, after=after, limit=1000)
            request = Request("GET", "/v1/keys" + selected, max_reply=16 * 1024 * 1024)
            page = self._session.read_of_bucket(request, lambda value: from_json(BucketKeyPage, value))
            yield from page.keys
            after = page.next

    def open(self, key: str, mode: str = "rb", *, expires: Expires = None) -> BinaryIO:
        """Open a value for reading (`rb`) or writing (`wb`), as a binary file. Use it in a `with` statement.

        The value that is written is there once the file is closed; after an exception in the `with` statement, the older
        value stays. Raises NotFound if the key to read does not exist.
        """
        if mode in ("rb", "r"):
            return BucketReader(self._session.bucket.open(Request("GET", _path(key))))
        if mode in ("wb", "w"):
            request = Request("PUT", _path(key) + _expires(expires), content_type="application/octet-stream")
            return cast(BinaryIO, BucketWriter(self._session.bucket.begin_upload(request)))
        raise ValueError(f"the mode is `rb` or `wb`, and not {mode!r}")


class _RawReader(io.RawIOBase):
    def __init__(self, stream: Stream) -> None:
        super().__init__()
        self._stream = stream

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: object) -> int:
        view = memoryview(buffer).cast("B")  # type: ignore[arg-type]
        piece = self._stream.read_some(max(len(view), 1)) if len(view) else b""
        view[: len(piece)] = piece
        return len(piece)

    def close(self) -> None:
        self._stream.close()
        super().close()


class BucketReader(io.BufferedReader):
    """A value that is being read."""

    def __init__(self, stream: Stream) -> None:
        super().__init__(_RawReader(stream), _PIECE)


class BucketWriter(io.RawIOBase):
    """A value that is being written. It is stored by `close`, unless the `with` statement was left by an exception."""

    def __init__(self, upload: Upload) -> None:
        self._upload = upload
        self._waiting = bytearray()
        super().__init__()

    def writable(self) -> bool:
        return True

    def write(self, data: object) -> int:
        if self.closed:
            raise ValueError("the value is closed already")
        view = memoryview(data).cast("B")  # type: ignore[arg-type]
        self._waiting += view
        while len(self._waiting) >= _PIECE:
            self._send(_PIECE)
        return len(view)

    def _send(self, size: int) -> None:
        piece = bytes(self._waiting[:size])
        del self._waiting[:size]
        self._upload.send(piece)

    def close(self) -> None:
        """Store the value. Raises if it is refused."""
        if self.closed:
            return
        try:
            self._send(_PIECE)
            self._upload.finish()
        finally:
            self._upload.abort()
            super().close()

    def abort(self) -> None:
        """Close without storing anything."""
        self._upload.abort()
        super().close()

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        if error is None:
            self.close()
        else:
            self.abort()

    def __del__(self) -> None:
        # a value that nobody closed may be incomplete
        self._upload.abort()


def _path(key: str) -> str:
    if not key:
        raise BueError("a key of the bucket is not empty")
    return "/v1/keys/" + quote(key, safe="/-_.~")


def _expires(expires: Expires) -> str:
    if expires is None:
        return ""
    seconds = expires.total_seconds() if isinstance(expires, datetime.timedelta) else float(expires)
    if not 0 < seconds < 2**53 or seconds != seconds:
        raise ValueError(f"a value expires after a time, and not after {expires!r}")
    # rounded up: it is there for at least this long
    return f"?expires_s={int(-(-seconds // 1))}"


def _upload_time(length: int) -> float:
    """The seconds that sending so many bytes may take, at the slowest speed that the bucket accepts (32 KiB in 30 s)."""
    return min(length / 1024, 3600.0)


def _pieces(file: IO[bytes]) -> Iterator[bytes]:
    while True:
        piece = file.read(_PIECE)
        if isinstance(piece, str):
            raise TypeError("the file is open in text mode; open it with mode `rb`")
        if not piece:
            return
        yield piece
