# A number of eight billion bits.
# with: memory_bytes=134217728
# fails: limit: The step went over its memory limit of 128 MiB; give rows piece by piece (`yield`), or run it on a worker with a higher limit…
def evil(canary):
    return (1 << (8 * 10**9)).bit_length()
