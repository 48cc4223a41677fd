# An object with a million levels, which is deallocated when the step ends.
# fails: limit: The step went over its stack limit of 3 MiB: it calls itself too deeply; use a loop
def evil(canary):
    value = None
    for _ in range(1_000_000):
        value = [value]
    return 1
