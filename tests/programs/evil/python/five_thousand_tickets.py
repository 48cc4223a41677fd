# Waits for more tickets than the list of a request may contain.
# fails: trap: The guest broke its contract with the host: a request cannot be read: …
import _bue_net as net


def evil(canary):
    return net.wait(list(range(1, 5001)), 1)
