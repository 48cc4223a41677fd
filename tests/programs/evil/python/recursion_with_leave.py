# Raises the recursion limit to the largest number and calls itself.
# fails: raised: RecursionError: …
import sys


def again():
    return again()


def evil(canary):
    sys.setrecursionlimit(2**31 - 1)
    return again()
