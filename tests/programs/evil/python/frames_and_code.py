# Walks the stack frames to its callers and modifies running code. Everything it finds is its own copy.
# gives: []
import gc
import sys


def evil(canary):
    found = []
    frame = sys._getframe()
    while frame is not None:
        found += [name for name in (*frame.f_locals, *frame.f_globals) if "token" in name.lower() or "password" in name.lower()]
        frame = frame.f_back
    for one in gc.get_objects():
        if isinstance(one, str) and "canary-" in one:
            found.append(one)
    return [name for name in found if not name.startswith("_")]
