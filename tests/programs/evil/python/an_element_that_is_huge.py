# A stream with one element that is larger than a batch.
# loop: for row in rows() (line 3)
# with: result_bytes=1048576
# fails: limit: …
def evil(canary):
    yield "x" * 3_000_000
