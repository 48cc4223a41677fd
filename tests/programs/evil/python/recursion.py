# Calls itself forever.
# fails: raised: RecursionError: …
def evil(canary):
    return evil(canary)
