# Calls itself for ever.
# fails: raised: RecursionError: …
def evil(canary):
    return evil(canary)
