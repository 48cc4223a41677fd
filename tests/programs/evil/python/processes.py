# Starts a process with every function that Python has; returns those that worked.
# gives: []
import os


def evil(canary):
    doors = {
        "system": lambda: os.system("id"),
        "popen": lambda: os.popen("id").read(),
        "fork": lambda: os.fork(),
        "exec": lambda: os.execv("/bin/sh", ["sh"]),
        "spawn": lambda: os.spawnv(os.P_WAIT, "/bin/sh", ["sh"]),
        "posix_spawn": lambda: os.posix_spawn("/bin/sh", ["sh"], {}),
        "subprocess": lambda: __import__("subprocess").run(["id"], check=True),
        "multiprocessing": lambda: __import__("multiprocessing").Process(target=print).start(),
        "pool": lambda: __import__("concurrent.futures").futures.ProcessPoolExecutor(1).submit(print).result(1),
        "pty": lambda: __import__("pty").spawn("sh"),
        "kill": lambda: os.kill(1, 9),
        "killpg": lambda: os.killpg(0, 9),
        "webbrowser": lambda: __import__("webbrowser").open("http://a.example") or 1 / 0,
        "pdb": lambda: __import__("pdb").run("1"),
        "asyncio": lambda: __import__("asyncio").run(shell()),
    }
    return [name for name, door in doors.items() if is_open(door)]


async def shell():
    import asyncio

    await asyncio.create_subprocess_shell("id")


def is_open(door):
    try:
        door()
    except Exception:
        return False
    return True
