"""Exceptions as users see them: the frames of their files and of what those called, without bue's own frames."""

import datetime
import errno
import os
import traceback

from bue import _loader

# Longer texts are truncated: a traceback is read by a person and stored for every attempt.
_MAX_MESSAGE = 4_000
_MAX_TRACE = 16_000
_MAX_CHAIN = 20
# The file of the module `os`, as tracebacks name it.
_OS_FILE = os._Environ.__getitem__.__code__.co_filename


def describe(error, inputs):
    """Return (message, traceback, milliseconds to wait or None) for a raised exception."""
    return _message(error, inputs), _trace(error), _retry_after(error)


def _message(error, inputs):
    if isinstance(error, SystemExit):
        return f"the step called sys.exit({'' if error.code is None else _truncate(repr(error.code), 200)}); return instead"
    if isinstance(error, MemoryError):
        return "MemoryError: " + (_text(error) or "the step asked for more memory than its sandbox may have")
    name, text = _name(type(error)), _text(error)
    message = f"{name}: {text}" if text else name
    return message + _hint(error, inputs)


def _hint(error, inputs):
    if isinstance(error, ModuleNotFoundError) and error.name:
        return (
            f". `{error.name}` is neither a file next to the step nor in the standard library of the sandbox;"
            " neighbouring files are packed with the step, packages are named with `!requires` or in requirements.txt"
        )
    if isinstance(error, FileNotFoundError) and _is_name_outside_packages(error.filename):
        if error.filename.startswith("/"):
            return ". A step sees the files that are packed with it (`!files`), those of its packages, and `/tmp`, which is its own"
        return f". Only files that are named are packed with a step: write `!files {error.filename}` above the step, or a pattern"
    if isinstance(error, OSError) and error.errno == errno.EROFS:
        return (
            ". A step can write to `/tmp`, whose files are gone when it ends; return what is to be kept, or store it with a"
            " request"
        )
    if isinstance(error, KeyError) and _is_raised_by_environ(error.__traceback__):
        name = error.args[0] if error.args and isinstance(error.args[0], str) else "NAME"
        return (
            f". `!allow env {name}` above the step requests this variable, and `[env]` in the worker's bue.toml sets it; it is set"
            " when the function is called, not while the module is imported"
        )
    if isinstance(error, TypeError) and inputs is not None and not _frames(error.__traceback__):
        return f". The step was given {inputs} input{'' if inputs == 1 else 's'}"
    return ""


def _is_name_outside_packages(name):
    return isinstance(name, str) and not name.startswith(("/packages", "/tmp/"))


def _is_raised_by_environ(trace):
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    code = trace.tb_frame.f_code if trace is not None else None
    return code is not None and code.co_name == "__getitem__" and code.co_filename == _OS_FILE


def _text(error):
    if isinstance(error, SyntaxError) and error.filename is not None:
        return _truncate(f"{error.msg} ({error.filename}, line {error.lineno})", _MAX_MESSAGE)
    try:
        text = _truncate(str(error).rstrip(), _MAX_MESSAGE)
        # at the end of the native stack, the interpreter raises without a message
        return text or ("maximum recursion depth exceeded" if isinstance(error, RecursionError) else "")
    except BaseException as second:
        return f"<its __str__ raised {_name(type(second))}>"


def _name(cls):
    module = cls.__module__
    is_own = module in ("builtins", "__main__") or (_loader.bundle is not None and module in _loader.bundle.entries)
    return cls.__qualname__ if is_own else f"{module}.{cls.__qualname__}"


def _trace(error):
    lines = []
    for index, (link, separator) in enumerate(_chain(error)):
        if index:
            lines.append(separator)
        lines += _format_one(link)
    return _truncate_middle("".join(lines), _MAX_TRACE)


def _chain(error):
    """The exception and its causes, the earliest first, each with the sentence that follows it in a traceback."""
    chain, seen = [], set()
    while error is not None and id(error) not in seen and len(chain) < _MAX_CHAIN:
        seen.add(id(error))
        if error.__cause__ is not None:
            source, separator = error.__cause__, "\nThe above exception was the direct cause of the following exception:\n\n"
        elif error.__context__ is not None and not error.__suppress_context__:
            source, separator = error.__context__, "\nDuring handling of the above exception, another exception occurred:\n\n"
        else:
            source, separator = None, ""
        chain.append((error, separator))
        error = source
    return reversed(chain)


def _format_one(error):
    frames = _frames(error.__traceback__)
    lines = ["Traceback (most recent call last):\n"] if frames else []
    lines += traceback.StackSummary.from_list(frames).format()
    if isinstance(error, SyntaxError):
        lines += _excerpt(error)
    text = _text(error)
    lines.append(f"{_name(type(error))}: {text}\n" if text else f"{_name(type(error))}\n")
    for note in getattr(error, "__notes__", ()):
        lines.append(_truncate(str(note), _MAX_MESSAGE) + "\n")
    if isinstance(error, BaseExceptionGroup):
        for number, inner in enumerate(error.exceptions[:_MAX_CHAIN], 1):
            lines.append(f"  +---- {number}\n")
            lines += ["  | " + line for text in _format_one(inner) for line in text.splitlines(True)]
    return lines


def _frames(trace):
    """The frames from the first one in the user's files on, without those of the import system and of our event loop."""
    frames, is_in_user_code = [], False
    files = _loader.bundle.files if _loader.bundle else ()
    while trace is not None:
        path = trace.tb_frame.f_code.co_filename
        is_in_user_code = is_in_user_code or path in files
        if is_in_user_code and not path.startswith(("<bue>", "<frozen importlib")):
            frames.append(_frame_summary(trace, path, path in files))
        trace = trace.tb_next
    return frames


def _frame_summary(trace, path, is_user_file):
    code, line = trace.tb_frame.f_code, trace.tb_lineno
    text = _source_line(path, line) if is_user_file else ""
    shown = path if is_user_file or "/" in path or path.startswith("<") else f"<frozen {path}>"
    return traceback.FrameSummary(shown, line, code.co_name, lookup_line=False, line=text)


def _source_line(path, number):
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
    lines.append(f"    {_truncate(stripped, 200)}\n")
    column = (error.offset or 0) - 1 - (len(text) - len(stripped))
    if 0 <= column <= 200:
        lines.append("    " + " " * column + "^\n")
    return lines


def _retry_after(error):
    """How long the server asked to wait: seconds or a date, on the exception or on its HTTP response."""
    try:
        for value in _retry_after_values(error):
            seconds = _seconds(value)
            if seconds is not None and 0 <= seconds < 1e9:
                return int(seconds * 1000)
    except Exception:
        pass
    return None


def _retry_after_values(error):
    yield getattr(error, "retry_after", None)
    for holder in (getattr(error, "response", None), error):
        headers = getattr(holder, "headers", None)
        if hasattr(headers, "get"):
            yield headers.get("Retry-After") or headers.get("retry-after")


def _seconds(value):
    if isinstance(value, datetime.timedelta):
        return value.total_seconds()
    if isinstance(value, (int, float)):
        return float(value)
    if not isinstance(value, str):
        return None
    if value.strip().replace(".", "", 1).isdigit():
        return float(value)
    # imported late: it imports `random`, which every image would then have to reseed
    import email.utils

    date = email.utils.parsedate_to_datetime(value)
    if date.tzinfo is None:
        date = date.replace(tzinfo=datetime.timezone.utc)
    return max(0.0, (date - datetime.datetime.now(datetime.timezone.utc)).total_seconds())


def _truncate(text, max_length):
    return text if len(text) <= max_length else f"{text[:max_length]}… ({len(text)} characters)"


def _truncate_middle(text, max_length):
    if len(text) <= max_length:
        return text
    head, tail = text[: max_length // 2], text[-max_length // 2 :]
    omitted = text[len(head) : -len(tail)].count("\n")
    return f"{head}\n… {omitted} lines omitted …\n{tail}"
