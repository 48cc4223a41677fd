# A result of three megabytes, with a limit of one.
# with: result_bytes=1048576
# fails: limit: …1048576 bytes…
def evil(canary):
    return ["x" * 3000] * 1000
