# Exits with an invalid code.
# fails: trap: …
import os


def evil(canary):
    os._exit(-1000)
