# A group of exceptions a thousand levels deep.
# fails: limit: The step went over its …
def evil(canary):
    error = ValueError("innermost")
    for _ in range(1000):
        error = ExceptionGroup("outer", [error, error])
    raise error
