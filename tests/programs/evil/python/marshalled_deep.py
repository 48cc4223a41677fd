# Ten thousand nested marshalled lists.
# fails: limit: The step went over its stack limit of 3 MiB: it calls itself too deeply; use a loop
import marshal


def evil(canary):
    return marshal.loads(b"[\x01\0\0\0" * 10_000)
