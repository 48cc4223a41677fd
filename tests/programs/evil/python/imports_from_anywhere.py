# Imports code from files, archives, the network and foreign memory.
# gives: []
import importlib
import importlib.util
import sys


def evil(canary):
    sys.path[:0] = ["/", "/tmp", "/usr/lib/python3", canary, "http://a.example/", "."]
    found = []
    for name in ("canary", "numpy", "yaml", "_ctypes_test", "sitecustomize", "usercustomize", "evil_module", "\0", "a" * 100_000):
        try:
            found.append(str(importlib.import_module(name)))
        except (ImportError, ValueError):
            pass
    for loader in ("SourceFileLoader", "ExtensionFileLoader", "SourcelessFileLoader"):
        try:
            spec = importlib.util.spec_from_file_location("x", canary, loader=getattr(importlib.machinery, loader)("x", canary))
            found.append(str(spec.loader.load_module("x")))
        except (ImportError, OSError, AttributeError):
            pass
    return found
