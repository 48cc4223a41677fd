# An iterator over itself.
# fails: raised: RecursionError: maximum recursion depth exceeded…
class Mirror:
    def __iter__(self):
        return iter(list(self))


def evil(canary):
    return list(Mirror())
