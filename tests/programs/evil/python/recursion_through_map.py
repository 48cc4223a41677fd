# A function mapped over its own mapping.
# fails: raised: RecursionError: …
def again(value):
    return [*map(again, [value])]


def evil(canary):
    return list(again(1))
