# Reads files with every function that Python has; returns what it read that is not its own.
# gives: []
import glob
import io
import os
import pathlib

# its own code, its private `/tmp`, the time zone database, the root itself
OWN = {"files_read.py", "tmp", "usr", ""}


def evil(canary):
    doors = [
        lambda: open(canary).read(),
        lambda: open(canary, "rb", buffering=0).read(),
        lambda: io.FileIO(canary).read(),
        lambda: io.open_code(canary).read(),
        lambda: os.read(os.open(canary, os.O_RDONLY), 100),
        lambda: pathlib.Path(canary).read_text(),
        lambda: set(os.listdir("/")) - OWN or None,
        lambda: {entry.name for entry in os.scandir(".")} - OWN or None,
        lambda: {name.strip("/") for name in glob.glob("/*")} - OWN or None,
        lambda: {folder.split("/")[1] for folder, _, _ in os.walk("/")} - OWN or None,
        lambda: os.listdir("/tmp") or None,
        lambda: os.stat(canary).st_size,
        lambda: os.readlink("/proc/self/exe"),
        lambda: os.access(canary, os.R_OK) or None,
        lambda: os.path.exists(canary) or None,
        lambda: pathlib.Path(canary).exists() or None,
        lambda: __import__("fileinput").input([canary]).readline(),
        lambda: __import__("linecache").getline(canary, 1) or None,
        lambda: __import__("runpy").run_path(canary),
        lambda: __import__("sqlite3").connect(f"file:{canary}?mode=ro", uri=True),
        lambda: __import__("mmap").mmap(0, 4096),
    ]
    return [str(given) for given in map(tried, doors) if given is not None]


def tried(door):
    try:
        return door()
    except Exception:
        return None
