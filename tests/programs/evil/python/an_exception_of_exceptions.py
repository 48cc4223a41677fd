# An exception that was caused by one that was caused by one, a hundred thousand times, and in the end by itself.
# fails: raised: ValueError: last
def evil(canary):
    error = first = ValueError("first")
    for number in range(100_000):
        error.__cause__ = error.__context__ = ValueError(number)
        error = error.__cause__
    error.__cause__ = first
    last = ValueError("last")
    last.__cause__ = first
    raise last
