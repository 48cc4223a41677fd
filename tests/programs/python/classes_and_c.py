"""The order of base classes, and modules that a sandbox has in another form: `ctypes` and `mmap`."""

import ctypes
import mmap
import tempfile


def _names(kind):
    return " ".join(base.__name__ for base in kind.__mro__)


# gives: ["D A B C object", "G F E B C object", "TypeError"]
def bases_keep_their_order():
    class C: pass
    class B: pass
    class A(C): pass
    class D(A, B, C): pass
    class E(B, C): pass
    class F(B): pass
    class G(F, E): pass

    try:
        type("H", (C, A), {})
    except TypeError as error:
        return [_names(D), _names(G), type(error).__name__]


# gives: [4, 4, 1, -2147483648, 255, 0.10000000149011612]
def numbers_of_c_have_their_sizes():
    sizes = [ctypes.sizeof(kind) for kind in (ctypes.c_long, ctypes.c_void_p, ctypes.c_char)]
    return [*sizes, ctypes.c_int32(2**31).value, ctypes.c_uint8(-1).value, ctypes.c_float(0.1).value]


# gives: ["hi", [1, 2, 0], 12]
def arrays_of_c_are_lists():
    buffer = ctypes.create_string_buffer(b"hi", 5)
    array = (ctypes.c_int32 * 3)(1, 2)
    return [buffer.value.decode(), list(array), ctypes.sizeof(array)]


# fails: raised: OSError: libm.so: a step cannot load libraries with native code
def libraries_cannot_be_loaded():
    class Point(ctypes.Structure):
        _fields_ = [("x", ctypes.c_int)]

    ctypes.CDLL("libm.so")


# fails: raised: NotImplementedError: a step has no memory of C…
def structures_can_only_be_declared():
    class Point(ctypes.Structure):
        _fields_ = [("x", ctypes.c_int)]

    return Point(1)


# gives: ["b", 10, 3, "def", "line\n"]
def a_file_is_mapped():
    with tempfile.TemporaryFile() as file:
        file.write(b"abcdefline\n")
        file.flush()
        with mmap.mmap(file.fileno(), 10, access=mmap.ACCESS_READ) as part:
            with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_COPY) as whole:
                whole.seek(6)
                return [chr(part[1]), len(part), part.find(b"d"), part[3:6].decode(), whole.readline().decode()]


# fails: raised: OSError: a step has no shared memory: map the file with access=ACCESS_READ or ACCESS_COPY
def a_file_cannot_be_written_through_a_map():
    with tempfile.TemporaryFile() as file:
        file.write(b"x")
        file.flush()
        mmap.mmap(file.fileno(), 0)
