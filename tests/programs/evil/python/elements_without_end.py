# A stream that never ends.
# loop: for row in rows() (line 3)
# with: stream_bytes=4194304
# fails: limit: The step gave more than its stream limit of 4 MiB for its loop…
def evil(canary):
    while True:
        yield "x" * 10_000
