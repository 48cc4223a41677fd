"""What to say about names of Buelon that are not here."""

from __future__ import annotations

from typing import Any, Callable, NoReturn


def missing(module: str, advice: str) -> Callable[[str], Any]:
    """Return the `__getattr__` of a module: an error that says what to use instead."""

    def getattr_of_module(name: str) -> NoReturn:
        hint = "" if name.startswith("__") else f"; {advice}"
        raise AttributeError(f"module {module!r} of bue has no attribute {name!r}{hint}")

    return getattr_of_module
