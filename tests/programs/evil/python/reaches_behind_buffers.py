# Reads and writes beyond the ends of buffers, in every module that uses them.
# gives: []
import array
import io
import struct


def evil(canary):
    block = bytearray(16)
    view = memoryview(block)
    doors = {
        "cast": lambda: view.cast("B", [1 << 40]),
        "slice": lambda: bytes(view[0:1000])[16],
        "negative": lambda: struct.unpack_from("<Q", block, -1000),
        "behind": lambda: struct.pack_into("<Q", block, 12, 1),
        "far": lambda: struct.unpack_from("<Q", block, 1 << 62),
        "count": lambda: struct.unpack("999999999s", block),
        "resized": lambda: block.extend(b"x" * 1000),
        "index": lambda: array.array("b", [1])[1 << 62],
        "seek": lambda: io.BytesIO(b"x").seek(-1),
        "readinto": lambda: view.toreadonly().__setitem__(0, 1),
        "hex": lambda: bytes.fromhex("zz"),
        "int": lambda: (1).to_bytes(-1, "big"),
        "bytes": lambda: bytes(-1),
        "released": lambda: (view.release(), view[0]),
    }
    return [name for name, door in doors.items() if is_open(door)]


def is_open(door):
    try:
        door()
    except Exception:
        return False
    return True
