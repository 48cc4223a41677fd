# Sorts by a key function that never returns.
# with: time_ms=250
# fails: limit: The step ran longer than its time limit of 250 ms; give it more with `!timeout`, or answer `pending` instead of waiting
import itertools


def evil(canary):
    return sorted(range(10), key=lambda x: next(y for y in itertools.count() if y < 0))
