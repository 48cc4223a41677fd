"""`buelon.helpers.pipe_util`."""

from ._functions import (
    PipeObject,
    extract_json,
    get_id,
    json_copy,
    safe_is_nan,
    trim,
    try_json_loads,
    try_number,
)

__all__ = [
    "PipeObject",
    "extract_json",
    "get_id",
    "json_copy",
    "safe_is_nan",
    "trim",
    "try_json_loads",
    "try_number",
]
