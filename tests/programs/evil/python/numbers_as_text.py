# A number of ten million digits, as text and back: what would take for ever is refused.
# fails: raised: ValueError: Exceeds the limit (4300 digits) for integer string conversion…
def evil(canary):
    return int("9" * 10_000_000)
