# Computes forever inside the interpreter, without executing a line of Python.
# with: time_ms=250
# fails: limit: The step ran longer than its time limit of 250 ms; give it more with `!timeout`, or answer `pending` instead of waiting
import itertools


def evil(canary):
    return any(itertools.repeat(0))
