# The square root of two to a million places, with the decimal module.
# with: time_ms=250
# fails: limit: The step ran longer than its time limit of 250 ms; give it more with `!timeout`, or answer `pending` instead of waiting
from decimal import Context, Decimal


def evil(canary):
    return str(Context(prec=1_000_000).sqrt(Decimal(2)))
