# Joins texts into one of a terabyte.
# with: memory_bytes=134217728
# fails: limit: The step went over its memory limit of 128 MiB; give rows piece by piece (`yield`), or run it on a worker with a higher limit…
def evil(canary):
    return len(("x" * 10_000_000).join(["y"] * 100_000))
