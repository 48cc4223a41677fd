# A metaclass whose `__instancecheck__` checks itself.
# fails: raised: RecursionError: …
class Meta(type):
    def __instancecheck__(self, other):
        return isinstance(other, self)


class Mirror(metaclass=Meta):
    pass


def evil(canary):
    return isinstance(1, Mirror)
