"""The exceptions of this package. Every message says what happened and what to do."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, List, Optional, Sequence

if TYPE_CHECKING:
    from ._views import FailedJob

# Failed jobs in the message of a RunFailed.
_MAX_ERRORS = 5


class BueError(Exception):
    """The base of all exceptions of this package."""


class InvalidSetting(BueError, ValueError):
    """An argument or a variable of the environment is not valid."""


class HubUnreachable(BueError, ConnectionError):
    """No address of the hub or the bucket could be connected to. The request was not sent."""


class ConnectionBroken(BueError, ConnectionError):
    """The connection broke before the answer was complete. The request may have had its effect."""


class RequestTimedOut(BueError, TimeoutError):
    """The server did not answer in time. The request may have had its effect."""


class TlsError(BueError, ConnectionError):
    """A certificate was refused, or one side does not use TLS."""


class UnexpectedServer(BueError):
    """The answer is not one of a hub or bucket of bue."""


class VersionMismatch(BueError):
    """The hub or the program `bue` is of another release than this package, and the two do not understand each other.

    The message says which of them is older, and what to install.
    """


class TooLarge(BueError):
    """A request or an answer is larger than the limit of a message."""


class UnsupportedValue(BueError, ValueError):
    """A value cannot be represented: a parameter as JSON, or a result in Python. Nothing was sent or returned."""


class CorruptValue(BueError, ValueError):
    """The bytes of a stored value are damaged."""


@dataclass(frozen=True)
class FieldError:
    """What is wrong with one field of a request, such as a parameter."""

    field: str
    message: str


class Refused(BueError):
    """The server refused the request.

    status: the HTTP status. code: for programs, such as `run_not_found`; it does not change between releases.
    message: what happened. hint: what to do; may be empty. fields: what is wrong with single fields of the request.
    """

    def __init__(self, status: int, code: str, message: str, hint: str = "", fields: Sequence[FieldError] = ()) -> None:
        super().__init__(f"{message}; {hint}" if hint else message)
        self.status = status
        self.code = code
        self.message = message
        self.hint = hint
        self.fields: List[FieldError] = list(fields)


class NotFound(Refused, LookupError):
    """There is no such run, job, pipeline, schedule, step or key."""


class AccessDenied(Refused):
    """The server does not know the token, or its role may not do this."""


class Conflict(Refused):
    """The request does not fit the present state, or a key was used before for another request."""


class UnfitParams(Refused, ValueError):
    """Parameters are missing, unknown or invalid. `fields` has an entry for each of them."""


class UnfitSchedule(Refused, ValueError):
    """Fields of a schedule are wrong. `fields` has an entry for each of them."""


class BinaryNotFound(BueError):
    """The program `bue` is neither beside this Python, nor in PATH, nor named by BUE_BIN."""


class CommandFailed(BueError):
    """The program `bue` failed.

    arguments: what was executed, without the program. code: its exit code. stderr: what it printed.
    """

    def __init__(self, arguments: Sequence[str], code: int, stderr: str) -> None:
        text = stderr.strip() or "it printed nothing"
        super().__init__(f"`bue {arguments[0]}` failed with exit code {code}: {text}")
        self.arguments = list(arguments)
        self.code = code
        self.stderr = stderr


class ScriptError(CommandFailed):
    """The script has errors. The message has all of them, with file, line and hint; nothing was submitted."""


class WaitTimedOut(BueError, TimeoutError):
    """The run had not ended when the timeout of `wait` passed. It goes on."""


class RunFailed(BueError):
    """The run that was waited for failed or was cancelled.

    run: its id. state: `failed` or `cancelled`. errors: the first failed jobs, with their tracebacks.
    """

    def __init__(self, run: str, state: str, errors: Sequence[FailedJob], count: int) -> None:
        super().__init__(_run_failed_text(run, state, errors, count))
        self.run = run
        self.state = state
        self.errors: List[FailedJob] = list(errors)


class NoResult(BueError):
    """A call of the run, or a round of its loop, has no result: it failed, was cancelled, was skipped or still runs.

    line: the line of the call in the script. state: why it has none.
    """

    def __init__(self, line: int, name: Optional[str], state: str) -> None:
        call = f"line {line}" + (f" (`{name}`)" if name else "")
        super().__init__(
            f"the call in {call} has no result, or not in all rounds of its loop: {state}; `run.calls()` returns what there "
            "is, and `run.errors()` the failed jobs"
        )
        self.line = line
        self.name = name
        self.state = state


def _run_failed_text(run: str, state: str, errors: Sequence[FailedJob], count: int) -> str:
    if state == "cancelled":
        return f"run {run} was cancelled"
    lines = [f"run {run} failed" + (f": {count} jobs" if count != 1 else "")]
    for error in errors[:_MAX_ERRORS]:
        lines.append(f"job {error.job}, step `{error.step}`: {error.failure.message}")
        lines.extend(f"    {line}" for line in (error.failure.trace or "").rstrip().splitlines())
    if count > _MAX_ERRORS:
        lines.append(f"… and {count - _MAX_ERRORS} more; `run.errors()` returns all of them")
    return "\n".join(lines)
