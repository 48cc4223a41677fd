# A list that contains itself a hundred thousand times.
# fails: limit: The step went over its stack limit of 2 MiB: it calls itself too deeply; use a loop
import json


def evil(canary):
    value = []
    for _ in range(100_000):
        value = [value]
    return json.dumps(value)
