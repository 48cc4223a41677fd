# Waits for three thousand years.
# with: time_ms=250
# fails: limit: The step ran longer than its time limit of 250 ms; give it more with `!timeout`, or answer `pending` instead of waiting
import _bue_net as net


def evil(canary):
    net.wait([], 1e11)
