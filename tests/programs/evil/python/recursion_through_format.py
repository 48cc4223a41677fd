# A `__format__` that calls itself.
# fails: raised: RecursionError: maximum recursion depth exceeded…
class Mirror:
    def __format__(self, how):
        return format(self, how)


def evil(canary):
    return f"{Mirror():x}"
