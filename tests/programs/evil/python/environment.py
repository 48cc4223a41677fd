# Searches for information about the machine.
# gives: {"environ":0,"argv":0,"found":[]}
import os
import sys


def evil(canary):
    doors = {
        "user": lambda: os.getlogin(),
        "home": lambda: os.environ["HOME"],
        "expanded": lambda: None if os.path.expanduser("~") == "/tmp" else os.path.expanduser("~"),
        "host": lambda: __import__("socket").gethostname() if __import__("socket").gethostname() != "localhost" else None,
        "node": lambda: None if __import__("platform").node() in ("", "localhost") else __import__("platform").node(),
        "uid": lambda: os.getuid() or None,
        "parent": lambda: os.getppid(),
        "load": lambda: os.getloadavg(),
        "cores": lambda: os.sched_getaffinity(0),
        "usage": lambda: __import__("resource").getrusage(0),
        "passwords": lambda: __import__("pwd").getpwall(),
        "terminal": lambda: os.get_terminal_size(),
        "executable": lambda: sys.executable or None,
        "orig_argv": lambda: sys.orig_argv or None,
    }
    found = [f"{name}: {given}" for name, door in doors.items() if (given := tried(door)) is not None]
    return {"environ": len(os.environ), "argv": len([word for word in sys.argv if word]), "found": found}


def tried(door):
    try:
        return door()
    except Exception:
        return None
