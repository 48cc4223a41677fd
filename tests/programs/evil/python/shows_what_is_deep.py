# The `repr` of an object with a million levels.
# fails: limit: The step went over its stack limit of 3 MiB: it calls itself too deeply; use a loop
def evil(canary):
    value = []
    for _ in range(1_000_000):
        value = [value]
    return len(repr(value))
