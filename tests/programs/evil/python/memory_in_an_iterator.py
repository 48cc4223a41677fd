# A list of the elements of an endless iterator.
# with: memory_bytes=134217728
# fails: limit: The step went over its memory limit of 128 MiB; give rows piece by piece (`yield`), or run it on a worker with a higher limit…
import itertools


def evil(canary):
    return list(itertools.repeat(1))
