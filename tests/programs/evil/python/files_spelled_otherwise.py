# The same file by other names: relative, with dots, as bytes, through /proc, by descriptor, with a zero byte.
# gives: []
import os


def evil(canary):
    names = [
        canary, "." + canary, ".." * 3 + canary, "/." + canary, "//" + canary[1:], "/../.." + canary, canary + "/", canary + "/.",
        "/proc/self/root" + canary, "/proc/1/root" + canary, "/proc/self/cwd" + canary, "/dev/fd/0", "/dev/stdin",
        "/proc/self/environ", "/proc/self/maps", "/proc/self/fd/3", "/dev/mem", "/dev/kmsg", "file://" + canary,
        canary.encode(), canary + "\0.txt", "\0", "", ".", "..", "/", "a" * 100_000, "/" * 100_000, "\ud800", 3, 4, 5, 1 << 40, -1,
        "bue/../../.." + canary, "C:\\x", "\\\\host\\share", "<bue>/bue.py", "step.py",
    ]
    return [str(name)[:40] for name in names if is_readable(name)]


def is_readable(name):
    try:
        with open(name, "rb") as file:
            return bool(file.read(1))
    except Exception:
        return False
