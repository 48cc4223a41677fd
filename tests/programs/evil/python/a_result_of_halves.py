# Texts that are half characters, and a number that is none.
# fails: bad_result: …
def evil(canary):
    return {"\ud800": "\udfff", "x": float("nan")}
