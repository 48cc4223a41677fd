# A number, formatted a billion characters wide.
# with: memory_bytes=134217728
# fails: limit: The step went over its memory limit of 128 MiB; give rows piece by piece (`yield`), or run it on a worker with a higher limit…
def evil(canary):
    return len("%1000000000d" % 1)
