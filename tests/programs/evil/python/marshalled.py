# Malformed marshalled code objects and lists.
# gives: []
import marshal


def evil(canary):
    loaded = []
    for stream in (b"", b"[\xff\xff\xff\x7f", b"(" * 3, b"s\xff\xff\xff\x7f", b"c" + b"\0" * 100, b"\xe3" + b"\xff" * 60, b"l\xff\xff\xff\x7f"):
        try:
            loaded.append(str(marshal.loads(stream)))
        except Exception:
            pass
    return loaded
