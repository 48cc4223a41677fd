# JSON of a hundred thousand brackets.
# fails: limit: The step went over its stack limit of 2 MiB: it calls itself too deeply; use a loop
import json


def evil(canary):
    return json.loads("[" * 100_000)
