# Waits for a lock that it holds itself. There is no other thread, so the lock does not block.
# gives: null
import threading


def evil(canary):
    lock = threading.Lock()
    lock.acquire()
    lock.acquire()
