"""Descriptions of values for error messages. Only called when something is already wrong."""

import types

_KINDS = {
    types.FunctionType: "a function",
    types.BuiltinFunctionType: "a function",
    types.MethodType: "a method",
    types.ModuleType: "a module",
    types.GeneratorType: "a generator",
    types.CoroutineType: "a coroutine that was never awaited",
    types.AsyncGeneratorType: "an async generator",
    type(None): "None",
    bool: "a bool",
    int: "an int",
    float: "a float",
    complex: "a complex number",
    str: "a string",
    bytes: "bytes",
    bytearray: "bytes",
    list: "a list",
    tuple: "a tuple",
    dict: "a map",
    set: "a set",
    frozenset: "a set",
    range: "a range",
}


def kind(value):
    """Return what a value is: `a function`, `an instance of example.Account`."""
    builtin = _KINDS.get(type(value))
    if builtin is not None:
        return builtin
    if isinstance(value, type):
        return f"the class {value.__qualname__}"
    return f"an instance of {_class_name(type(value))}"


def explain_unsupported(value):
    """Return `is a function, which cannot travel between steps; return …`."""
    return f"is {kind(value)}, which cannot travel between steps; {_advice(value)}"


def short_repr(value, max_length=40):
    """Return the repr of a value, truncated."""
    try:
        text = repr(value[:max_length] if isinstance(value, (str, bytes)) else value)
    except BaseException:
        return object.__repr__(value)
    if isinstance(value, (str, bytes)):
        return f"{text[:-1]}…{text[-1]}" if len(value) > max_length else text
    return text if len(text) <= max_length else text[:max_length] + "…"


def _class_name(cls):
    module = cls.__module__
    return cls.__qualname__ if module in ("builtins", None) else f"{module}.{cls.__qualname__}"


def _advice(value):
    if isinstance(value, (types.FunctionType, types.BuiltinFunctionType, types.MethodType)):
        return "call it, and return its result"
    if isinstance(value, types.CoroutineType):
        return "await it"
    if isinstance(value, type) or isinstance(value, types.ModuleType):
        return "return data"
    for matches, advice in _ADVICE:
        if matches(value):
            return advice
    return "return numbers, strings, bytes, lists and dicts"


def _has_base(*names):
    return lambda value: any(base.__name__ in names for base in type(value).__mro__)


_ADVICE = (
    (_has_base("Result", "StepStatus"), "return it by itself, not inside another value"),
    (_has_base("Enum"), "return its .value"),
    (_has_base("PurePath"), "return str(it)"),
    (_has_base("timedelta"), "return its total_seconds()"),
    (_has_base("complex", "Fraction"), "return str(it)"),
    (lambda value: hasattr(type(value), "__dataclass_fields__"), "return dataclasses.asdict(it)"),
    (lambda value: hasattr(type(value), "model_dump"), "return its model_dump()"),
    (lambda value: hasattr(type(value), "__iter__"), "return list(it)"),
    (lambda value: hasattr(value, "__dict__"), "return vars(it), or a dict of what you need"),
)
