# Source that executes itself.
# fails: raised: RecursionError: …
SOURCE = "exec(SOURCE)"


def evil(canary):
    exec(SOURCE)
