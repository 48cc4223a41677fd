# A function mapped over what it maps.
# fails: raised: RecursionError: …
def again(value):
    return [*map(again, [value])]


def evil(canary):
    return list(again(1))
