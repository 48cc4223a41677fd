# A generator that ignores GeneratorExit.
# loop: for row in rows() (line 3)
# with: stream_bytes=1048576
# fails: limit: The step gave more than its stream limit of 1 MiB for its loop…
def evil(canary):
    while True:
        try:
            yield "x" * 10_000
        except BaseException:
            pass
