"""Imports modules inside a sandbox and returns the errors."""

import importlib


def probe(modules):
    """Returns [module, error or None] for each module."""
    return [[module, _error(module)] for module in modules]


def _error(module):
    try:
        importlib.import_module(module)
    except BaseException as error:
        text = str(error).splitlines()
        return f"{type(error).__name__}: {text[0]}" if text else type(error).__name__
    return None
