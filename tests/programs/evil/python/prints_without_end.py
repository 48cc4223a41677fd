# Prints forever.
# with: output_bytes=1048576 log_bytes=4096
# fails: limit: The step printed more than its output limit of 1 MiB; print less, or write the data to the result
# log: …more bytes were printed; a step's log keeps 4 KiB
def evil(canary):
    while True:
        print("x" * 1000)
