# A regular expression with catastrophic backtracking.
# with: time_ms=250
# fails: limit: The step ran longer than its time limit of 250 ms; give it more with `!timeout`, or answer `pending` instead of waiting
import re


def evil(canary):
    return re.match(r"(a|a)*$", "a" * 100 + "b") is None
