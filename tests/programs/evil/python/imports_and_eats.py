# Allocates memory while the module is imported.
# at: import
# with: memory_bytes=134217728
# fails: limit: The step went over its memory limit of 128 MiB; give rows piece by piece (`yield`), or run it on a worker with a higher limit…
HELD = []
while True:
    HELD.append(bytearray(1 << 20))
