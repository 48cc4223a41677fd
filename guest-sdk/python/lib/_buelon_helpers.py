"""`buelon.helpers.pipe_util`, `buelon.helpers.json_parser` and `buelon.helpers.optional`: functions that need nothing but Python."""

import importlib
import json
import math
import uuid


def json_copy(obj):
    return json.loads(json.dumps(obj))


def get_id():
    """Return an identifier: a letter and 32 hexadecimal digits."""
    return f"a{uuid.uuid4().hex}"


def trim(s):
    s = s.strip()
    return s[1:-1] if s[:1] == '"' and s[-1:] == '"' else s


def extract_json(txt):
    """Return the index behind the first JSON object of a text, and the text up to there."""
    start = txt.find("{")
    if start < 0:
        return 0, ""
    try:
        _, end = json.JSONDecoder().raw_decode(txt, start)
    except ValueError:
        end = len(txt)
    return end, txt[:end]


def safe_is_nan(v):
    try:
        return math.isnan(v)
    except (TypeError, ValueError, OverflowError):
        return False


def try_number(value, _type=float, on_fail_return_value=None, asignment=None, nan_allowed=False):
    """Return the number, or `on_fail_return_value`. With a list as `asignment`, put the number into it and return True."""
    try:
        number = _type(value)
    except (TypeError, ValueError, OverflowError):
        return on_fail_return_value
    if isinstance(asignment, list):
        asignment[:1] = [number]
    if not nan_allowed and safe_is_nan(number):
        return on_fail_return_value
    return True if isinstance(asignment, list) else number


def try_json_loads(data, func=lambda a: a):
    try:
        return json.loads(data)
    except (TypeError, ValueError):
        return func(data)


class PipeObject:
    """An object that shows its attributes and can be a dict."""

    def __repr__(self):
        return f"{type(self).__name__}({', '.join(f'{name}={value!r}' for name, value in vars(self).items())})"

    def to_json(self):
        return vars(self)

    def from_json(self, json):
        self.__dict__ = json
        return self


def dumps(*args, **kwargs):
    return json.dumps(*args, **kwargs).encode()


def loads(data, **kwargs):
    return json.loads(data, **kwargs)


class MissingDependency:
    """Stands for a module that is not there: any use of it is an error."""

    def __init__(self, name, error):
        self.__dict__.update(_name=name, _error=error)

    def __getattr__(self, item):
        raise ModuleNotFoundError(f"`{self._name}` is not among the step's packages") from self._error

    def __call__(self, *args, **kwargs):
        self.__getattr__("__call__")

    def __bool__(self):
        return False


def optional_import(name, extra=None, submodules=()):
    try:
        module = importlib.import_module(name)
        for submodule in submodules:
            importlib.import_module(f"{name}.{submodule}")
        return module
    except ImportError as error:
        return MissingDependency(name, error)


def is_available(module):
    return not isinstance(module, MissingDependency)
