# Waits for a lock that it holds itself. There is no other thread, and it is not held up.
# gives: null
import threading


def evil(canary):
    lock = threading.Lock()
    lock.acquire()
    lock.acquire()
