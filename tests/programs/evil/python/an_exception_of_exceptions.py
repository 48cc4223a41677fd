# A chain of a hundred thousand causes of an exception, which ends in a cycle.
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
