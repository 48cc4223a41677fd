"""What `ctypes` needs to be imported: types with sizes and values, for the libraries that only look at those. There is no C
memory in a step, so pointers, structures and functions can be declared, and raise when they are used.
"""

import struct as _struct

__version__ = "1.1.0"
RTLD_LOCAL, RTLD_GLOBAL = 0, 256
FUNCFLAG_CDECL, FUNCFLAG_PYTHONAPI, FUNCFLAG_USE_ERRNO, FUNCFLAG_USE_LASTERROR = 1, 4, 8, 16
SIZEOF_TIME_T = 8
_memmove_addr = _memset_addr = _string_at_addr = _cast_addr = _memoryview_at_addr = _wstring_at_addr = 0

# Codes of types whose size `struct` knows under another one: objects, texts and wide characters.
_SIZES = {"O": "P", "z": "P", "Z": "P", "u": "I", "g": "d"}
_INTEGERS = "bBhHiIlLqQP"


class ArgumentError(Exception):
    pass


def _refuse(*args, **kwargs):
    raise NotImplementedError("a step has no memory of C: no pointers, structures, callbacks or functions of libraries")


class _DataType(type):
    """The type of C types."""

    def __mul__(cls, length):
        if length < 0:
            raise ValueError("Array length must be >= 0")
        return type(cls)(f"{cls.__name__}_Array_{length}", (Array,), {"_type_": cls, "_length_": length})

    from_buffer = from_buffer_copy = from_address = in_dll = _refuse


class _CData(metaclass=_DataType):
    """A value of a C type."""

    _size_ = _alignment_ = 0

    @classmethod
    def from_param(cls, value):
        return value if isinstance(value, cls) else cls(value)


class _SimpleCData(_CData):
    """A number, a character, or a pointer that is not followed."""

    def __init_subclass__(cls, **kwargs):
        super().__init_subclass__(**kwargs)
        code = getattr(cls, "_type_", "")
        if len(code) != 1 or code not in "cbBhHiIlLqQfdgP?OzZu":
            raise AttributeError(f"a sandbox has no C type of the code {code!r}")
        cls._size_ = cls._alignment_ = _struct.calcsize(_SIZES.get(code, code))
        if "__ctype_le__" not in vars(cls):
            cls.__ctype_le__ = cls.__ctype_be__ = cls

    def __init__(self, value=None):
        self.value = self._default() if value is None else value

    @property
    def value(self):
        return self._value

    @value.setter
    def value(self, value):
        self._value = self._convert(value)

    def _default(self):
        return {"c": b"\0", "u": "\0", "?": False, "f": 0.0, "d": 0.0, "g": 0.0}.get(
            self._type_, None if self._type_ in "OzZP" else 0
        )

    def _convert(self, value):
        code = self._type_
        if code in _INTEGERS:
            if value is None and code == "P":
                return None
            if not isinstance(value, int):
                raise TypeError(f"an integer is required (got type {type(value).__name__})")
            bits = 8 * self._size_
            value &= (1 << bits) - 1
            is_negative = code in "bhilq" and value >> bits - 1
            return value - (1 << bits) if is_negative else value
        if code in "fdg":
            return _struct.unpack(_SIZES.get(code, code), _struct.pack(_SIZES.get(code, code), value))[0]
        if code == "c":
            value = bytes([value]) if isinstance(value, int) else bytes(value)
            if len(value) != 1:
                raise TypeError("one character bytes, bytearray, or an integer in range(256) expected")
        return bool(value) if code == "?" else value

    def __bool__(self):
        return self.value not in (0, None, b"\0")

    def __repr__(self):
        return f"{type(self).__name__}({self.value!r})"


class Array(_CData):
    """Values of one type."""

    _type_, _length_ = None, 0

    def __init_subclass__(cls, **kwargs):
        super().__init_subclass__(**kwargs)
        cls._size_, cls._alignment_ = cls._type_._size_ * cls._length_, cls._type_._alignment_

    def __init__(self, *values):
        if len(values) > self._length_:
            raise IndexError("invalid index")
        self._items = [self._type_(*((value,) if at < len(values) else ())) for at, value in self._padded(values)]

    def _padded(self, values):
        return enumerate(list(values) + [None] * (self._length_ - len(values)))

    def __len__(self):
        return self._length_

    def __getitem__(self, index):
        if isinstance(index, slice):
            values = [item.value for item in self._items[index]]
            return b"".join(values) if self._code() == "c" else "".join(values) if self._code() == "u" else values
        item = self._items[index]
        return item.value if isinstance(item, _SimpleCData) else item

    def __setitem__(self, index, value):
        if isinstance(index, slice):
            _refuse()
        self._items[index] = value if isinstance(value, self._type_) else self._type_(value)

    def _code(self):
        return getattr(self._type_, "_type_", "") if issubclass(self._type_, _SimpleCData) else ""

    @property
    def raw(self):
        if self._code() != "c":
            raise AttributeError("raw")
        return self[:]

    @raw.setter
    def raw(self, value):
        self._replace(value)

    @property
    def value(self):
        if self._code() not in ("c", "u"):
            raise AttributeError("value")
        content = self[:]
        return content.split(content[:0] + (b"\0" if self._code() == "c" else "\0"))[0]

    @value.setter
    def value(self, value):
        end = b"\0" if self._code() == "c" else "\0"
        self._replace(value + end if len(value) < self._length_ else value)

    def _replace(self, value):
        if len(value) > self._length_:
            raise ValueError("byte string too long" if self._code() == "c" else "string too long")
        for index in range(len(value)):
            self._items[index] = self._type_(value[index : index + 1])


class _Declared(_CData):
    """A type that can be declared, of which no value can be made."""

    __init__ = _refuse


class Structure(_Declared):
    _fields_ = ()


class Union(_Declared):
    _fields_ = ()


class _Pointer(_Declared):
    _size_ = _alignment_ = _struct.calcsize("P")

    def __init_subclass__(cls, **kwargs):
        super().__init_subclass__(**kwargs)
        if isinstance(vars(cls).get("_type_"), type):
            cls._type_.__pointer_type__ = cls

    @classmethod
    def set_type(cls, target):
        cls._type_ = target


class CFuncPtr(_CData):
    """A function that can be declared and not be called."""

    _size_ = _alignment_ = _struct.calcsize("P")
    __call__ = _refuse

    def __init__(self, *args):
        pass


class CField:
    __init__ = _refuse


def sizeof(kind):
    kind = kind if isinstance(kind, type) else type(kind)
    if not issubclass(kind, _CData):
        raise TypeError("this type has no size")
    if issubclass(kind, (Structure, Union)):
        _refuse()
    return kind._size_


def alignment(kind):
    sizeof(kind)
    return (kind if isinstance(kind, type) else type(kind))._alignment_


def dlopen(name, mode=0):
    if name is None:
        return 0
    raise OSError(f"{name}: a step cannot load libraries with native code")


def get_errno():
    return 0


def set_errno(number):
    return 0


byref = addressof = resize = buffer_info = dlsym = dlclose = call_function = _refuse
