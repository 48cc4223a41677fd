# One element of a stream that is larger than a batch may be.
# loop: for row in rows() (line 3)
# with: result_bytes=1048576
# fails: limit: …
def evil(canary):
    yield "x" * 3_000_000
