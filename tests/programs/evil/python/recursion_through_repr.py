# A `__repr__` that calls itself.
# fails: raised: RecursionError: …
class Mirror:
    def __repr__(self):
        return f"{self!r}"


def evil(canary):
    return repr(Mirror())
