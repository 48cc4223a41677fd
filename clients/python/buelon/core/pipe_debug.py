"""`buelon.core.pipe_debug`: counters in `test.db` of the working directory. In a step they raise an error."""

from __future__ import annotations

import sqlite3
from typing import Any, Callable, TypeVar

from .._missing import missing

__getattr__ = missing(__name__, "`bue status` shows how long steps take")

F = TypeVar("F", bound=Callable[..., Any])


def counter(_id: str, change: float = 1, table_name: str = "counter") -> float:
    """Change a counter, and return it."""
    table = '"' + table_name.replace('"', '""') + '"'
    connection = sqlite3.connect("test.db")
    try:
        with connection:
            connection.execute(f"CREATE TABLE IF NOT EXISTS {table} (id PRIMARY KEY, count)")
            connection.execute(f"INSERT OR IGNORE INTO {table} VALUES (?, 0)", (_id,))
            connection.execute(f"UPDATE {table} SET count = count + ? WHERE id = ?", (change, _id))
            row = connection.execute(f"SELECT count FROM {table} WHERE id = ?", (_id,)).fetchone()
        count: float = row[0]
        return count
    finally:
        connection.close()


def timeit(func: F) -> F:
    """Return the function."""
    return func
