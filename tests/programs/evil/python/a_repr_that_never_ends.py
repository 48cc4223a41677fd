# A result of an unsupported type, whose `repr` never returns.
# with: time_ms=250
# fails: bad_result: result is an instance of a_repr_that_never_ends.Endless, which cannot travel between steps; return vars(it), or a dict of what you need
class Endless:
    def __getattr__(self, name):
        while True:
            pass

    def __repr__(self):
        while True:
            pass


def evil(canary):
    return Endless()
