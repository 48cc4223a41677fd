# Uses descriptors by number, duplicates them, and creates pipes. Standard input is at its end, the log cannot be read.
# gives: []
import os


def evil(canary):
    found = []
    for number in range(-5, 200):
        for door in (read, double, status):
            try:
                found.append([number, door.__name__, str(door(number))])
            except Exception:
                pass
    for door in (lambda: os.pipe(), lambda: os.openpty(), lambda: os.memfd_create("x"), lambda: os.eventfd(1)):
        try:
            found.append(str(door()))
        except Exception:
            pass
    return [one for one in found if one[1:] not in (["read", "b''"], ["status", "0"])]


def read(number):
    return os.read(number, 100)


def double(number):
    return os.dup(number)


def status(number):
    return os.fstat(number).st_size
