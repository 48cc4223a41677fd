# A key whose hash is that of a tuple that contains it.
# fails: raised: RecursionError: maximum recursion depth exceeded…
class Mirror:
    def __hash__(self):
        return hash((self,))


def evil(canary):
    return hash(Mirror())
