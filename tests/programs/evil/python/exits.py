# Ends its process.
# fails: trap: The step ended its own process with code 3; return a value instead
import os


def evil(canary):
    os._exit(3)
