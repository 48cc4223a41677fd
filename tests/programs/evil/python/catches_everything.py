# Catches every exception and continues.
# with: time_ms=250
# fails: limit: The step ran longer than its time limit of 250 ms; give it more with `!timeout`, or answer `pending` instead of waiting
def evil(canary):
    while True:
        try:
            while True:
                pass
        except BaseException:
            pass
