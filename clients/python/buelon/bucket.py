"""`buelon.bucket`: named values."""

from __future__ import annotations

import asyncio
from typing import Any, Dict, Iterable, Mapping, Optional

import bue

from ._missing import missing

__getattr__ = missing(__name__, "`bue.Hub().bucket` has what the bucket can do; `bue bucket` starts one")

# The prefix of the keys that Buelon calls persistent.
PERSISTENT_PATH = "__PERSISTENT__"


class Client:
    """A client of the bucket. Its address is that of BUCKET_CLIENT_HOST and _PORT, else the one that the hub names.

    A key is kept until it is deleted, persistent or not. Timeouts are seconds.
    """

    def __init__(self) -> None:
        self._hub = bue.Hub(timeout=300.0)

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        self._hub.close()

    def set(self, key: str, data: bytes, timeout: Optional[float] = 300.0, persistent: bool = False) -> None:
        """Store bytes under a key."""
        self._hub.bucket.set(_key(key, persistent), data)

    def get(self, key: str, timeout: Optional[float] = 300.0, persistent: bool = False) -> Optional[bytes]:
        """Return the bytes under a key; None if there are none."""
        return self._hub.bucket.get(_key(key, persistent))

    async def async_get(self, key: str, timeout: Optional[float] = 300.0, persistent: bool = False) -> Optional[bytes]:
        """As `get`."""
        return await asyncio.get_running_loop().run_in_executor(None, self.get, key, timeout, persistent)

    def delete(self, key: str, timeout: Optional[float] = 300.0, persistent: bool = False) -> None:
        """Delete a key, if it exists."""
        self._hub.bucket.delete(_key(key, persistent))

    def bulk_get(self, keys: Iterable[str], save: bool = False, persistent: bool = False) -> Dict[str, Optional[bytes]]:
        """Return the bytes under each key."""
        return {key: self.get(key, persistent=persistent) for key in keys}

    def bulk_set(self, keys_values: Mapping[str, bytes], save: bool = False, persistent: bool = False) -> None:
        """Store bytes under each key."""
        for key, data in keys_values.items():
            self.set(key, data, persistent=persistent)

    def clean_up(self, object_lifetime: Any = None) -> None:
        """Do nothing, as for Buelon's bucket in files. `bue.Hub().bucket.set(…, expires=…)` stores a value that expires."""


def _key(key: str, persistent: bool) -> str:
    return f"{PERSISTENT_PATH}/{key}" if persistent else key
