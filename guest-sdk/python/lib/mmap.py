"""`mmap` for files that are only read, and for memory that a step has to itself: the content is a copy."""

import os as _os

ACCESS_DEFAULT, ACCESS_READ, ACCESS_WRITE, ACCESS_COPY = 0, 1, 2, 3
PROT_READ, PROT_WRITE, PROT_EXEC = 1, 2, 4
MAP_SHARED, MAP_PRIVATE, MAP_ANONYMOUS = 1, 2, 32
MAP_ANON = MAP_ANONYMOUS
PAGESIZE = ALLOCATIONGRANULARITY = 65536
error = OSError


class mmap:
    """The content of a file, or zeros."""

    def __init__(self, fileno, length, flags=MAP_SHARED, prot=PROT_READ | PROT_WRITE, access=ACCESS_DEFAULT, offset=0):
        if length < 0:
            raise OverflowError("memory mapped length must be positive")
        if offset < 0:
            raise OverflowError("memory mapped offset must be positive")
        if access not in (ACCESS_DEFAULT, ACCESS_READ, ACCESS_WRITE, ACCESS_COPY):
            raise ValueError("mmap invalid access parameter.")
        is_private = access == ACCESS_COPY or (access == ACCESS_DEFAULT and flags & MAP_PRIVATE)
        is_read_only = access == ACCESS_READ or (access == ACCESS_DEFAULT and not prot & PROT_WRITE)
        if fileno != -1 and not (is_private or is_read_only):
            raise OSError("a step has no shared memory: map the file with access=ACCESS_READ or ACCESS_COPY")
        self._data = bytearray(length) if fileno == -1 else _read(fileno, length, offset)
        self._is_writable = not is_read_only
        self._position = 0

    def _content(self):
        if self._data is None:
            raise ValueError("mmap closed or invalid")
        return self._data

    def _writable(self):
        if not self._is_writable:
            raise TypeError("mmap can't modify a readonly memory map.")
        return self._content()

    @property
    def closed(self):
        return self._data is None

    def close(self):
        self._data = None

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.close()

    def __len__(self):
        return len(self._content())

    def size(self):
        return len(self)

    def __getitem__(self, index):
        value = self._content()[index]
        return bytes(value) if isinstance(index, slice) else value

    def __setitem__(self, index, value):
        data = self._writable()
        if isinstance(index, slice) and len(data[index]) != len(value):
            raise IndexError("mmap slice assignment is wrong size")
        data[index] = value

    def __buffer__(self, flags):
        view = memoryview(self._content())
        return view if self._is_writable else view.toreadonly()

    def find(self, sub, start=None, end=None):
        return self._content().find(sub, self._position if start is None else start, len(self) if end is None else end)

    def rfind(self, sub, start=None, end=None):
        return self._content().rfind(sub, self._position if start is None else start, len(self) if end is None else end)

    def tell(self):
        self._content()
        return self._position

    def seek(self, offset, whence=0):
        position = offset + (0, self._position, len(self))[whence]
        if not 0 <= position <= len(self):
            raise ValueError("seek out of range")
        self._position = position
        return position

    def seekable(self):
        return True

    def read(self, count=None):
        begin = self._position
        end = len(self) if count is None or count < 0 else min(begin + count, len(self))
        self._position = max(begin, end)
        return bytes(self._content()[begin:end])

    def read_byte(self):
        if self._position >= len(self):
            raise ValueError("read byte out of range")
        return self.read(1)[0]

    def readline(self):
        end = self._content().find(b"\n", self._position)
        return self.read(-1 if end < 0 else end + 1 - self._position)

    def write(self, data):
        target, data = self._writable(), bytes(data)
        if len(data) > len(target) - self._position:
            raise ValueError("data out of range")
        target[self._position : self._position + len(data)] = data
        self._position += len(data)
        return len(data)

    def write_byte(self, byte):
        self.write(bytes([byte]))

    def move(self, dest, src, count):
        data = self._writable()
        if min(dest, src, count) < 0 or max(dest, src) + count > len(data):
            raise ValueError("source, destination, or count out of range")
        data[dest : dest + count] = data[src : src + count]

    def flush(self, offset=0, size=None):
        self._content()

    def madvise(self, option, start=0, length=None):
        self._content()

    def resize(self, size):
        raise SystemError("mmap: resizing not available--no mremap()")


def _read(fileno, length, offset):
    size = _os.fstat(fileno).st_size
    if offset > size or (length and offset + length > size):
        raise ValueError("mmap length is greater than file size")
    if not length and size == offset:
        raise ValueError("cannot mmap an empty file")
    data = bytearray()
    length = length or size - offset
    position = _os.lseek(fileno, 0, _os.SEEK_CUR)
    try:
        _os.lseek(fileno, offset, _os.SEEK_SET)
        while len(data) < length:
            part = _os.read(fileno, length - len(data))
            if not part:
                raise ValueError("mmap length is greater than file size")
            data += part
    finally:
        _os.lseek(fileno, position, _os.SEEK_SET)
    return data
