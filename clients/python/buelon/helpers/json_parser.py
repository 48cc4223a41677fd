"""`buelon.helpers.json_parser`."""

from ._functions import dumps, loads

__all__ = ["dumps", "loads"]
