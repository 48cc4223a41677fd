# A hundred thousand keys with the same hash.
# with: time_ms=250
# fails: limit: The step ran longer than its time limit of 250 ms; give it more with `!timeout`, or answer `pending` instead of waiting
class Key:
    def __hash__(self):
        return 1

    def __eq__(self, other):
        return self is other


def evil(canary):
    return len({Key(): number for number in range(1_000_000)})
