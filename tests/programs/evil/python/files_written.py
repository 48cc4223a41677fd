# Creates files and folders with every function that Python has; returns those that worked: in
# its own `/tmp`, which is memory. The file of the machine has a name in `/tmp` too, and is not touched.
# gives: ["open","append","os","rename","temporary","folder"]
import os
import pathlib
import shutil
import tempfile


def evil(canary):
    doors = {
        "open": lambda: open("/tmp/evil", "w"),
        "append": lambda: open(canary, "a"),
        "exclusive": lambda: open("evil", "x"),
        "os": lambda: os.open("/tmp/evil", os.O_CREAT | os.O_WRONLY),
        "mkdir": lambda: os.mkdir("/tmp/evil"),
        "makedirs": lambda: os.makedirs("a/b/c"),
        "symlink": lambda: os.symlink(canary, "link"),
        "link": lambda: os.link(canary, "link"),
        "rename": lambda: os.rename(canary, canary + ".gone"),
        "remove": lambda: os.remove(canary),
        "chmod": lambda: os.chmod(canary, 0o777),
        "truncate": lambda: os.truncate(canary, 0),
        "utime": lambda: os.utime(canary),
        "path": lambda: pathlib.Path("evil").write_text("x"),
        "temporary": lambda: tempfile.NamedTemporaryFile(),
        "folder": lambda: tempfile.mkdtemp(),
        "copy": lambda: shutil.copy(canary, "evil"),
        "tree": lambda: shutil.rmtree("/tmp", ignore_errors=False),
        "archive": lambda: shutil.make_archive("evil", "zip", "/"),
    }
    return [name for name, door in doors.items() if is_open(door)]


def is_open(door):
    try:
        door()
    except Exception:
        return False
    return True
