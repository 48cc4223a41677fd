# Threads that start threads: each runs inside the call that starts it, so this is a recursion.
# fails: …
import threading


def evil(canary):
    threading.Thread(target=evil, args=(canary,)).start()
    raise RuntimeError("started")
