# A result that is its own element.
# fails: bad_result: …
def evil(canary):
    value = []
    value.append(value)
    return value
