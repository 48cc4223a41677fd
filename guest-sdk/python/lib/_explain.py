"""What to say of a value that cannot travel. Only reached when something is wrong already."""

import types

_KINDS = {
    types.FunctionType: "a function",
    types.BuiltinFunctionType: "a function",
    types.MethodType: "a method",
    types.ModuleType: "a module",
    types.GeneratorType: "a generator",
    types.CoroutineType: "a coroutine that nobody awaited",
    types.AsyncGeneratorType: "an async generator",
    type(None): "None",
    bool: "a bool",
    int: "an int",
    float: "a float",
    complex: "a complex number",
    str: "a text",
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
    """What a value is, in words: `a function`, `an instance of example.Account`."""
    known = _KINDS.get(type(value))
    if known is not None:
        return known
    if isinstance(value, type):
        return f"the class {value.__qualname__}"
    return f"an instance of {_class_name(type(value))}"


def refuse(value):
    """`is a function, which cannot travel between steps; return …`"""
    return f"is {kind(value)}, which cannot travel between steps; {_instead(value)}"


def short(value, most=40):
    """A value as text, cut."""
    try:
        text = repr(value[:most] if isinstance(value, (str, bytes)) else value)
    except BaseException:
        return object.__repr__(value)
    if isinstance(value, (str, bytes)):
        return f"{text[:-1]}…{text[-1]}" if len(value) > most else text
    return text if len(text) <= most else text[:most] + "…"


def _class_name(cls):
    module = cls.__module__
    return cls.__qualname__ if module in ("builtins", None) else f"{module}.{cls.__qualname__}"


def _instead(value):
    if isinstance(value, (types.FunctionType, types.BuiltinFunctionType, types.MethodType)):
        return "call it, and return what it gives"
    if isinstance(value, types.CoroutineType):
        return "await it"
    if isinstance(value, type) or isinstance(value, types.ModuleType):
        return "return data"
    for test, advice in _ADVICE:
        if test(value):
            return advice
    return "return numbers, texts, bytes, lists and dicts"


def _is_a(*names):
    return lambda value: any(base.__name__ in names for base in type(value).__mro__)


_ADVICE = (
    (_is_a("Result", "StepStatus"), "return it by itself, not inside another value"),
    (_is_a("Enum"), "return its .value"),
    (_is_a("PurePath"), "return str(it)"),
    (_is_a("timedelta"), "return its total_seconds()"),
    (_is_a("complex", "Fraction"), "return str(it)"),
    (lambda value: hasattr(type(value), "__dataclass_fields__"), "return dataclasses.asdict(it)"),
    (lambda value: hasattr(type(value), "model_dump"), "return its model_dump()"),
    (lambda value: hasattr(type(value), "__iter__"), "return list(it)"),
    (lambda value: hasattr(value, "__dict__"), "return vars(it), or a dict of what is needed"),
)
