# Texts with lone surrogates, and a number that is NaN.
# fails: bad_result: …
def evil(canary):
    return {"\ud800": "\udfff", "x": float("nan")}
