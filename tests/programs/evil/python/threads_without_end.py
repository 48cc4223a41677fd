# Threads that start threads: each runs where it is started, so that this is a recursion.
# fails: …
import threading


def evil(canary):
    threading.Thread(target=evil, args=(canary,)).start()
    raise RuntimeError("started")
