"""Named values of the bucket, which steps and people share: `bue.bucket.get`, `set`, `delete` and `open`.

A script allows names with `!allow bucket reports/today` or `!allow bucket reports/*`. A value is bytes of any length. It gets its
name when it is complete: nobody sees a part of it, and of a write that fails nothing is left.
"""

import codecs
import datetime
import errno
import io
import math
import sys

import _bue_net
import bue
from bue._scheduler import wait_alone, wait_for_host

__all__ = ["delete", "get", "open", "set"]

# Bytes that are sent at a time.
_PART = 1024 * 1024
# Bytes that are requested at a time.
_READ_SIZE = 256 * 1024

_NO_DEFAULT = object()

# Files that are open for writing. The step fails if some are left when it returns.
unclosed = []


def get(name, default=_NO_DEFAULT):
    """Return the value of a name as bytes.

    Without a value, return the default, or raise KeyError if there is none. A value that is larger than the memory of the step is
    read with `open`.
    """
    exchange = _Exchange(_bue_net.open_value(_checked(name), _READ_SIZE), wait_for_host)
    with exchange:
        data = exchange.result()
        if data is None:
            if default is _NO_DEFAULT:
                raise KeyError(name)
            return default
        parts = [data[0]]
        while not data[1]:
            data = exchange.read()
            parts.append(data[0])
        return b"".join(parts)


def set(name, value, *, expires=None):
    """Store a value under a name, and replace an older one: bytes, or a text, which is encoded in UTF-8.

    It stays until it is deleted or, with `expires`, for so many seconds or a timedelta.
    """
    if isinstance(value, str):
        value = value.encode()
    try:
        view = memoryview(value).cast("B")
    except TypeError:
        message = f"a value of the bucket is bytes or a str, not {type(value).__name__}; for example json.dumps(value)"
        raise TypeError(message) from None
    exchange = _Exchange(_bue_net.store_value(_checked(name), _seconds(expires)), wait_for_host)
    with exchange:
        exchange.result()
        for start in range(0, len(view) - _PART, _PART):
            exchange.write(view[start : start + _PART], False)
        exchange.write(view[max(len(view) - 1, 0) // _PART * _PART :], True)


def delete(name):
    """Delete the value of a name. If there is none, nothing happens, so that a step that runs again does not fail."""
    exchange = _Exchange(_bue_net.delete_value(_checked(name)), wait_for_host)
    with exchange:
        exchange.result()


def open(name, mode="r", *, encoding=None, errors=None, newline=None, expires=None):
    """Open a value as a file, to read it ("r", "rb") or to write it ("w", "wb"), a piece at a time.

    What is written becomes the value when the file is closed. Use `with`: if its block raises an exception, nothing is stored.
    """
    flags = mode if isinstance(mode, str) else ""
    kind = flags.replace("t", "", 1).replace("b", "", 1)
    if kind not in ("r", "w") or ("t" in flags and "b" in flags):
        raise ValueError(f"a value is opened with one of the modes 'r', 'rb', 'w' and 'wb', not {mode!r}")
    if "b" in flags and (encoding is not None or errors is not None or newline is not None):
        raise ValueError("a value that is opened in binary mode has no encoding, errors and newline")
    if newline not in (None, "", "\n", "\r", "\r\n"):
        raise ValueError(f"illegal newline value: {newline!r}")
    if kind == "r" and expires is not None:
        raise ValueError("only a value that is written can expire")
    if kind == "r":
        file = io.BufferedReader(_Reader(_checked(name)), _READ_SIZE)
        return file if "b" in flags else io.TextIOWrapper(file, encoding or "utf-8", errors, newline)
    # an unknown encoding is an error before anything is sent
    encoder = None if "b" in flags else codecs.getincrementalencoder(encoding or "utf-8")(errors or "strict")
    file = _Writer(_checked(name), _seconds(expires))
    return file if encoder is None else _TextWriter(file, encoder, encoding or "utf-8", errors or "strict", newline)


def refuse_unclosed():
    """Called when the step has returned and left files in `unclosed`."""
    names = ", ".join(f"`{file.name}`" for file in unclosed[:5])
    for file in list(unclosed):
        file.discard()
    raise RuntimeError(
        f"not stored, because the file that it was written to was not closed: {names}; write it in a block of"
        " `with bue.bucket.open(...) as file`"
    )


def _checked(name):
    if not isinstance(name, str):
        raise TypeError(f"the name of a value is a str, not {type(name).__name__}")
    return name


def _seconds(expires):
    """The time until a value expires, in whole seconds."""
    if expires is None:
        return None
    seconds = expires.total_seconds() if isinstance(expires, datetime.timedelta) else expires
    if isinstance(seconds, bool) or not isinstance(seconds, (int, float)):
        raise TypeError(f"`expires` is a number of seconds or a timedelta, not {type(expires).__name__}")
    if not 0 < seconds < 2**53:
        raise ValueError(f"a value cannot expire after {seconds} seconds")
    return math.ceil(seconds)


class _Exchange:
    """An operation of the host on one value, and those that follow it. `wait` decides what runs meanwhile."""

    def __init__(self, ticket, wait):
        self._ticket = ticket
        self._wait = wait

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        """End it. What was not stored completely is discarded."""
        _bue_net.close(self._ticket)

    def result(self):
        """The result of the operation: what it has read, and whether that is all; or None."""
        return self._complete(self._ticket)

    def read(self):
        """The next bytes, and whether they are the last."""
        return self._complete(_bue_net.read(self._ticket, _READ_SIZE))

    def write(self, data, is_last):
        self._complete(_bue_net.write(self._ticket, data, is_last))

    def _complete(self, ticket):
        [(_, what, value)] = self._wait(_bue_net.wait, (ticket,), None)
        if what == "failed":
            raise _to_exception(*value)
        return value


def _to_exception(kind, message):
    match kind:
        case "denied":
            return PermissionError(message)
        case "bad_request":
            return ValueError(message)
        case _:
            return OSError(message)


class _Reader(io.RawIOBase):
    """The bytes of a value."""

    mode = "rb"
    _exchange = None

    def __init__(self, name):
        super().__init__()
        self.name = name
        self._exchange = _Exchange(_bue_net.open_value(name, _READ_SIZE), wait_alone)
        try:
            data = self._exchange.result()
            if data is None:
                raise FileNotFoundError(errno.ENOENT, "the bucket has no value of this name", name)
        except BaseException:
            self.close()
            raise
        self._take(data)

    def _take(self, data):
        self._unread, self._is_at_end = memoryview(data[0]), data[1]

    def readable(self):
        return True

    def readinto(self, buffer):
        if self.closed:
            raise ValueError("read of a closed file")
        if not self._unread and not self._is_at_end:
            self._take(self._exchange.read())
        view = memoryview(buffer).cast("B")
        size = min(len(view), len(self._unread))
        view[:size] = self._unread[:size]
        self._unread = self._unread[size:]
        return size

    def close(self):
        if not self.closed and self._exchange is not None:
            self._exchange.close()
        super().close()


class _Writer(io.BufferedIOBase):
    """A value that is written. It is stored by `close`, and by nothing else: not when the file is collected, and not when the step
    ends."""

    mode = "wb"
    _exchange = None
    _is_discarded = False

    def __init__(self, name, expires):
        super().__init__()
        self.name = name
        self._unsent = bytearray()
        self._size = 0
        self._exchange = _Exchange(_bue_net.store_value(name, expires), wait_alone)
        try:
            self._exchange.result()
        except BaseException:
            self.discard()
            raise
        unclosed.append(self)

    def __enter__(self):
        self._expect_open()
        return self

    def __exit__(self, kind, *_):
        if kind is None:
            self.close()
        else:
            self.discard()

    def __del__(self):
        """Does not store it, as the method of the base class would."""

    def _expect_open(self):
        if self.closed:
            raise ValueError("the file is closed")
        if self._is_discarded:
            raise OSError(f"`{self.name}` is not stored, because writing it failed before")

    def writable(self):
        return True

    def tell(self):
        self._expect_open()
        return self._size

    def write(self, data):
        self._expect_open()
        if isinstance(data, str):
            raise TypeError("a bytes-like object is required, not 'str'")
        view = memoryview(data)
        if not view.contiguous:
            view = memoryview(view.tobytes())
        view = view.cast("B")
        self._size += len(view)
        for start in range(0, len(view), _PART):
            self._unsent += view[start : start + _PART]
            if len(self._unsent) > _PART:
                self._send(bytes(self._unsent[:_PART]), False)
                del self._unsent[:_PART]
        return len(view)

    def _send(self, data, is_last):
        try:
            self._exchange.write(data, is_last)
        except BaseException:
            # without these bytes, the value must not be stored
            self._drop()
            raise

    def flush(self):
        """Does nothing: bytes are sent when there are enough of them, and seen when the file is closed."""
        if self.closed:
            raise ValueError("the file is closed")

    def close(self):
        """Store the value."""
        if self.closed:
            return
        try:
            self._expect_open()
            self._send(bytes(self._unsent), True)
        finally:
            self.discard()

    def discard(self):
        """Close the file. What has not been stored will not be."""
        self._drop()
        super().close()

    def _drop(self):
        """End the exchange, once."""
        if not self._is_discarded and self._exchange is not None:
            self._is_discarded = True
            self._unsent = bytearray()
            self._exchange.close()
            if self in unclosed:
                unclosed.remove(self)


class _TextWriter(io.TextIOBase):
    """A text on top of it."""

    mode = "w"

    def __init__(self, buffer, encoder, encoding, errors, newline):
        super().__init__()
        self._buffer = buffer
        self._encoder = encoder
        self._encoding = encoding
        self._errors = errors
        self._newline = newline if newline in ("\r", "\r\n") else None

    @property
    def name(self):
        return self._buffer.name

    @property
    def buffer(self):
        return self._buffer

    @property
    def encoding(self):
        return self._encoding

    @property
    def errors(self):
        return self._errors

    def __enter__(self):
        self._buffer.__enter__()
        return self

    def __exit__(self, kind, *_):
        if kind is None:
            self.close()
        else:
            self.discard()

    def __del__(self):
        """Neither stores nor discards it: a file that was forgotten is an error of the step."""

    def writable(self):
        return True

    def write(self, text):
        if not isinstance(text, str):
            raise TypeError(f"write() argument must be str, not {type(text).__name__}")
        encoded = text if self._newline is None else text.replace("\n", self._newline)
        self._buffer.write(self._encoder.encode(encoded))
        return len(text)

    def flush(self):
        """Does nothing, as for bytes."""
        if self.closed:
            raise ValueError("the file is closed")

    def close(self):
        """Store the value."""
        if self.closed:
            return
        try:
            self._buffer.write(self._encoder.encode("", True))
            self._buffer.close()
        finally:
            self.discard()

    def discard(self):
        """Close the file. What has not been stored will not be."""
        self._buffer.discard()
        super().close()


# `import bue` is enough to use it
bue.bucket = sys.modules[__name__]
