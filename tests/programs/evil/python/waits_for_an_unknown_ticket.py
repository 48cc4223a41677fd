# Waits for operations that it never started; the error is returned at once, and it waits again.
# with: time_ms=250
# fails: limit: The step ran longer than its time limit of 250 ms; give it more with `!timeout`, or answer `pending` instead of waiting
import _bue_net as net


def evil(canary):
    while True:
        net.wait([1, 2, 3, 2**63, 2**64 - 1], 1e12)
