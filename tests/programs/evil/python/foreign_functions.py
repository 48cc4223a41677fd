# Memory and functions of the machine, by name and by address, with ctypes.
# fails: raised: NotImplementedError: a step has no memory of C: …
import importlib


def evil(canary):
    ctypes = importlib.import_module("ctypes")
    return ctypes.CDLL(None).getpid()
