# Sleeps for zero seconds, forever: other steps still run.
# with: time_ms=250
# fails: limit: The step ran longer than its time limit of 250 ms; give it more with `!timeout`, or answer `pending` instead of waiting
import time


def evil(canary):
    while True:
        time.sleep(0)
