# Reference cycles, unreachable and reachable ones.
# with: memory_bytes=134217728
# fails: limit: The step went over its memory limit of 128 MiB; give rows piece by piece (`yield`), or run it on a worker with a higher limit…
HELD = []


def evil(canary):
    while True:
        one, other = [], []
        one.append(other), other.append(one)
        HELD.append(bytearray(100_000)) if len(HELD) < 10_000 else None
