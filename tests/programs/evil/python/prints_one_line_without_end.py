# Prints an endless line, on every stream.
# with: output_bytes=1048576 log_bytes=4096
# fails: limit: The step printed more than its output limit of 1 MiB; print less, or write the data to the result
import os
import sys


def evil(canary):
    while True:
        sys.__stderr__.write("y" * 5000)
        os.write(1, b"x" * 5000)
