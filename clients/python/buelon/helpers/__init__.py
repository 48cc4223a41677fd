"""`buelon.helpers`: the helpers that steps import. They are the files that the sandbox has, so a test sees the same."""

from . import json_parser, optional, pipe_util, sqlite3_helper

__all__ = ["json_parser", "optional", "pipe_util", "sqlite3_helper"]
