# A number of ten million digits, to text and back: the slow conversion is refused.
# fails: raised: ValueError: Exceeds the limit (4300 digits) for integer string conversion…
def evil(canary):
    return int("9" * 10_000_000)
