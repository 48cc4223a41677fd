# A deep copy of a hundred thousand levels.
# fails: raised: RecursionError: …
import copy


def evil(canary):
    value = []
    for _ in range(100_000):
        value = [value]
    return copy.deepcopy(value)
