# A comparison that calls itself.
# fails: raised: RecursionError: maximum recursion depth exceeded…
class Mirror:
    def __eq__(self, other):
        return other == self


def evil(canary):
    return Mirror() == Mirror()
