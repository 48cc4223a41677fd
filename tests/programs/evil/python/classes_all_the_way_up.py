# A common escape from sandboxes: from an empty tuple to all classes, and among them those that open files or start
# processes. The classes exist, but their system calls fail.
# gives: []
def evil(canary):
    found, seen = [], [object]
    while seen:
        kind = seen.pop()
        try:
            below = type.__subclasses__(kind)
        except TypeError:
            continue
        seen.extend(below)
        for one in below:
            for arguments in ((canary,), (canary, "rb"), (["id"],), ("id",), (0,), ()):
                if one.__name__ in NAMES:
                    found.extend(outcome(one, arguments))
            names = getattr(getattr(one, "__init__", None), "__globals__", {})
            for module in ("os", "posix", "sys", "subprocess", "socket"):
                system = getattr(names.get(module), "system", None)
                if callable(system):
                    found.extend(outcome(system, ("id",)))
    return sorted(set(found))


NAMES = {"FileIO", "Popen", "_wrap_close", "FileLoader", "SourceFileLoader", "catch_warnings", "Process", "_socketobject", "mmap"}


def outcome(one, arguments):
    try:
        instance = one(*arguments)
        content = instance.read() if hasattr(instance, "read") else None
        # standard input is empty
        return [f"{one.__name__}: {content!r}"] if content else []
    except BaseException:
        return []
