"""Exceptions as the user reads them: his frames and what they called, none of ours."""

import datetime
import traceback

from bue import _loader

# Texts longer than this are cut: a traceback is read by a person and stored for every attempt.
_MOST_MESSAGE = 4_000
_MOST_TRACE = 16_000
_MOST_CHAIN = 20


def describe(error, inputs):
    """(message, traceback, milliseconds to wait or None) of a raised exception."""
    return _message(error, inputs), _trace(error), _retry_after(error)


def _message(error, inputs):
    if isinstance(error, SystemExit):
        return f"the step called sys.exit({'' if error.code is None else _cut(repr(error.code), 200)}); return instead"
    if isinstance(error, MemoryError):
        return "MemoryError: " + (_text(error) or "the step asked for more memory than its sandbox may have")
    name, text = _name(type(error)), _text(error)
    message = f"{name}: {text}" if text else name
    return message + _hint(error, inputs)


def _hint(error, inputs):
    if isinstance(error, ModuleNotFoundError) and error.name:
        return (
            f". `{error.name}` is no file next to the step and not in the standard library of the sandbox; neighbouring"
            " files travel with the step, packages are named with `!requires` or in requirements.txt"
        )
    if isinstance(error, TypeError) and inputs is not None and not _frames(error.__traceback__):
        return f". The step was given {inputs} input{'' if inputs == 1 else 's'}"
    return ""


def _text(error):
    if isinstance(error, SyntaxError) and error.filename is not None:
        return _cut(f"{error.msg} ({error.filename}, line {error.lineno})", _MOST_MESSAGE)
    try:
        text = _cut(str(error).rstrip(), _MOST_MESSAGE)
        # where the native stack ends, the interpreter raises without a word
        return text or ("maximum recursion depth exceeded" if isinstance(error, RecursionError) else "")
    except BaseException as second:
        return f"<its __str__ raised {_name(type(second))}>"


def _name(cls):
    module = cls.__module__
    own = (_loader.bundle.name if _loader.bundle else None, "builtins", "__main__")
    return cls.__qualname__ if module in own else f"{module}.{cls.__qualname__}"


def _trace(error):
    lines = []
    for index, (part, joint) in enumerate(_chain(error)):
        if index:
            lines.append(joint)
        lines += _one(part)
    return _cut_middle("".join(lines), _MOST_TRACE)


def _chain(error):
    """The exception and those it came from, the first one first, each with the words that lead to it."""
    chain, seen = [], set()
    while error is not None and id(error) not in seen and len(chain) < _MOST_CHAIN:
        seen.add(id(error))
        if error.__cause__ is not None:
            source, joint = error.__cause__, "\nThe above exception was the direct cause of the following exception:\n\n"
        elif error.__context__ is not None and not error.__suppress_context__:
            source, joint = error.__context__, "\nDuring handling of the above exception, another exception occurred:\n\n"
        else:
            source, joint = None, ""
        chain.append((error, joint))
        error = source
    return reversed(chain)


def _one(error):
    frames = _frames(error.__traceback__)
    lines = ["Traceback (most recent call last):\n"] if frames else []
    lines += traceback.StackSummary.from_list(frames).format()
    if isinstance(error, SyntaxError):
        lines += _excerpt(error)
    text = _text(error)
    lines.append(f"{_name(type(error))}: {text}\n" if text else f"{_name(type(error))}\n")
    for note in getattr(error, "__notes__", ()):
        lines.append(_cut(str(note), _MOST_MESSAGE) + "\n")
    if isinstance(error, BaseExceptionGroup):
        for number, inner in enumerate(error.exceptions[:_MOST_CHAIN], 1):
            lines.append(f"  +---- {number}\n")
            lines += ["  | " + line for part in _one(inner) for line in part.splitlines(True)]
    return lines


def _frames(trace):
    """From the user's first frame on, without the machinery of imports and of our loop."""
    frames, begun = [], False
    files = _loader.bundle.files if _loader.bundle else ()
    while trace is not None:
        path = trace.tb_frame.f_code.co_filename
        begun = begun or path in files
        if begun and not path.startswith(("<bue>", "<frozen importlib")):
            frames.append(_frame(trace, path, path in files))
        trace = trace.tb_next
    return frames


def _frame(trace, path, is_users):
    code, line = trace.tb_frame.f_code, trace.tb_lineno
    text = _line(path, line) if is_users else ""
    shown = path if is_users or "/" in path or path.startswith("<") else f"<frozen {path}>"
    return traceback.FrameSummary(shown, line, code.co_name, lookup_line=False, line=text)


def _line(path, number):
    import linecache

    if path not in linecache.cache:
        source = _loader.Loader(path, _loader.bundle.files[path]).get_source()
        linecache.cache[path] = (len(source), None, source.splitlines(True), path)
    return linecache.getline(path, number).strip()


def _excerpt(error):
    if error.filename is None or error.lineno is None:
        return []
    lines = [f'  File "{error.filename}", line {error.lineno}\n']
    text = (error.text or "").rstrip("\n")
    if not text.strip():
        return lines
    stripped = text.lstrip()
    lines.append(f"    {_cut(stripped, 200)}\n")
    column = (error.offset or 0) - 1 - (len(text) - len(stripped))
    if 0 <= column <= 200:
        lines.append("    " + " " * column + "^\n")
    return lines


def _retry_after(error):
    """What the other side asked us to wait: a number of seconds or a date, on the exception or its HTTP answer."""
    try:
        for said in _waits(error):
            seconds = _seconds(said)
            if seconds is not None and 0 <= seconds < 1e9:
                return int(seconds * 1000)
    except Exception:
        pass
    return None


def _waits(error):
    yield getattr(error, "retry_after", None)
    for holder in (getattr(error, "response", None), error):
        headers = getattr(holder, "headers", None)
        if hasattr(headers, "get"):
            yield headers.get("Retry-After") or headers.get("retry-after")


def _seconds(said):
    if isinstance(said, datetime.timedelta):
        return said.total_seconds()
    if isinstance(said, (int, float)):
        return float(said)
    if not isinstance(said, str):
        return None
    if said.strip().replace(".", "", 1).isdigit():
        return float(said)
    # late: it brings `random`, which every image would then have to seed anew
    import email.utils

    when = email.utils.parsedate_to_datetime(said)
    if when.tzinfo is None:
        when = when.replace(tzinfo=datetime.timezone.utc)
    return max(0.0, (when - datetime.datetime.now(datetime.timezone.utc)).total_seconds())


def _cut(text, most):
    return text if len(text) <= most else f"{text[:most]}… ({len(text)} characters)"


def _cut_middle(text, most):
    if len(text) <= most:
        return text
    head, tail = text[: most // 2], text[-most // 2 :]
    left_out = text[len(head) : -len(tail)].count("\n")
    return f"{head}\n… {left_out} lines left out …\n{tail}"
