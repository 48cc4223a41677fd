# Memory and functions of the machine, by name and by address, with ctypes.
# fails: raised: ModuleNotFoundError: …
import importlib


def evil(canary):
    ctypes = importlib.import_module("ctypes")
    return ctypes.CDLL(None).getpid()
