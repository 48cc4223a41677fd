# An attribute that looks itself up.
# fails: raised: RecursionError: maximum recursion depth exceeded…
class Mirror:
    def __getattr__(self, name):
        return getattr(self, name + "x")


def evil(canary):
    return Mirror().x
