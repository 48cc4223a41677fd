# Ends its process with a code that no process has.
# fails: trap: …
import os


def evil(canary):
    os._exit(-1000)
