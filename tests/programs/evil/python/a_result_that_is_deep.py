# A result with a thousand levels.
# fails: bad_result: …
def evil(canary):
    value = []
    for _ in range(1000):
        value = [value]
    return value
