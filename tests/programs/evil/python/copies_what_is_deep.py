# A copy of what is a hundred thousand levels deep.
# fails: raised: RecursionError: …
import copy


def evil(canary):
    value = []
    for _ in range(100_000):
        value = [value]
    return copy.deepcopy(value)
