"""`buelon.helpers.optional`."""

from ._functions import MissingDependency, is_available, optional_import

__all__ = ["MissingDependency", "is_available", "optional_import"]
