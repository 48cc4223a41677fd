# Prints control sequences: colours, bells, titles, backspaces, forged timestamps, incomplete characters.
# gives: 1
# log: …Z [31mred ]0;title 9999-12-31T23:59:59.999Z forged…
import sys


def evil(canary):
    print("\x1b[31mred\x07 \x1b]0;title\x07 \b\r9999-12-31T23:59:59.999Z forged\x9b2J\x85\x7f")
    sys.stdout.buffer.write(b"\xff\xfe half \xe2\x82\n")
    return 1
