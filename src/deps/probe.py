"""Imports modules where steps run, and says what came of it."""

import importlib


def probe(modules):
    """[module, what went wrong or None] for each."""
    return [[module, _problem(module)] for module in modules]


def _problem(module):
    try:
        importlib.import_module(module)
    except BaseException as error:
        text = str(error).splitlines()
        return f"{type(error).__name__}: {text[0]}" if text else type(error).__name__
    return None
