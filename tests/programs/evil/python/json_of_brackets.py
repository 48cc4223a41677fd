# JSON of a hundred thousand brackets.
# fails: raised: RecursionError: maximum recursion depth exceeded while decoding a JSON object from a string
import json


def evil(canary):
    return json.loads("[" * 100_000)
