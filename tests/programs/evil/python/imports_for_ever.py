# Loops forever while the module is imported.
# at: import
# with: time_ms=250
# fails: limit: The step ran longer than its time limit of 250 ms; give it more with `!timeout`, or answer `pending` instead of waiting
while True:
    pass
