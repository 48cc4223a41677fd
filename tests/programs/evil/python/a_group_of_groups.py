# A group of exceptions a thousand levels deep.
# fails: raised: ExceptionGroup: ('outer', <element repr() failed>)
def evil(canary):
    error = ValueError("innermost")
    for _ in range(1000):
        error = ExceptionGroup("outer", [error, error])
    raise error
