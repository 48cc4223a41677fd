# Registers an exit handler that never returns.
# gives: 1
import atexit
import weakref


def evil(canary):
    atexit.register(for_ever)
    weakref.finalize(evil, for_ever)
    return 1


def for_ever():
    while True:
        pass
