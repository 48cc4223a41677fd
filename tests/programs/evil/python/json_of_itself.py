# A list that contains itself a hundred thousand times.
# fails: raised: RecursionError: maximum recursion depth exceeded while encoding a JSON object
import json


def evil(canary):
    value = []
    for _ in range(100_000):
        value = [value]
    return json.dumps(value)
