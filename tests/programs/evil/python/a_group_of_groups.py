# A group of exceptions a thousand levels deep.
# fails: limit: The step went over its stack limit of 2 MiB: it calls itself too deeply; use a loop
def evil(canary):
    error = ValueError("innermost")
    for _ in range(1000):
        error = ExceptionGroup("outer", [error, error])
    raise error
