# Waits for a lock that it holds itself. Nothing could release it, so waiting is an error.
# fails: raised: RuntimeError: deadlock: thread `MainThread` waits for a lock that it holds itself…
import threading


def evil(canary):
    lock = threading.Lock()
    lock.acquire()
    lock.acquire()
