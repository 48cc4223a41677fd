# Aborts.
# fails: trap: …
import os


def evil(canary):
    os.abort()
