# Compiles source again and again.
# with: time_ms=250
# fails: limit: The step ran longer than its time limit of 250 ms; give it more with `!timeout`, or answer `pending` instead of waiting
def evil(canary):
    while True:
        compile("x = [" + "1, " * 10_000 + "]", "x", "exec")
