"""The release of this package. It is the release of the program `bue` too, and a test compares the two."""

__version__ = "0.1.0"
