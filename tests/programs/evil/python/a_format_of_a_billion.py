# A field of a billion characters, with `format`.
# with: memory_bytes=134217728
# fails: limit: The step went over its memory limit of 128 MiB; give rows piece by piece (`yield`), or run it on a worker with a higher limit…
def evil(canary):
    return len(format(1, ">1000000000"))
