# A number of a billion digits.
# with: memory_bytes=134217728
# fails: limit: The step went over its memory limit of 128 MiB; give rows piece by piece (`yield`), or run it on a worker with a higher limit…
def evil(canary):
    return len(str(7 ** (10**9)))
