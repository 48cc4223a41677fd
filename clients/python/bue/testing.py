"""Steps in tests: `run_step` runs one in the real sandbox, with pytest, unittest or anything else.

    from bue.testing import run_step

    def test_a_finished_report_has_a_url():
        assert run_step("steps.py", "get_status", {"id": 7})["url"] == "https://example.com/7"

The program `bue` does it (`bue try`), without a hub. A result is what JSON has for it (`docs/results.md`): a date is a text,
a tuple a list.
"""

from __future__ import annotations

import math
import os
import tempfile
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any, Dict, List, Mapping, Optional, Sequence, Union

from . import _binary
from ._errors import BueError, InvalidSetting, ScriptError, UnsupportedValue
from ._steps import Result, StepStatus

__all__ = ["StepFailed", "StepRun", "run_step", "try_step"]

# A step may be the first one on a machine, for which the sandbox is compiled.
_TIMEOUT = 300.0
_STATUSES = {"pending": StepStatus.pending, "reset": StepStatus.reset, "cancelled": StepStatus.cancel}


class StepFailed(BueError):
    """The step failed. error: the message. trace: the traceback with the user's files and lines; log: what it printed."""

    def __init__(self, step: str, error: str, trace: Optional[str], log: str) -> None:
        text = f"step `{step}` failed: {error}"
        if trace:
            text += "\n" + trace.rstrip()
        if log:
            text += "\nIts log:\n" + log.rstrip()
        super().__init__(text)
        self.step = step
        self.error = error
        self.trace = trace
        self.log = log


@dataclass(frozen=True)
class StepRun:
    """One execution of a step.

    outcome: `completed`, `pending`, `reset`, `cancelled` or `failed`. value: the result, if it completed. error and trace:
    if it failed. log: what it printed, each line with its time.
    """

    step: str
    outcome: str
    value: Any
    error: Optional[str]
    trace: Optional[str]
    log: str


def run_step(
    file: Union[str, os.PathLike[str]],
    step: str,
    *inputs: Any,
    allow_net: Sequence[str] = (),
    allow_tcp: Sequence[str] = (),
    env: Optional[Mapping[str, str]] = None,
    timeout: float = _TIMEOUT,
) -> Any:
    """Run a step once in a sandbox on this machine, and return its value.

    file: a script, or a Python file, whose function `step` is then the step. inputs: its arguments: None, bools, ints, floats,
    texts, lists and dicts with texts as keys. allow_net, allow_tcp, env: hosts, hosts with ports, and environment variables
    that it may use. In a script, the step may use only those that the script asks for with `!allow`.

    Returns a `Result` with the status if the step answers `pending`, `reset` or `cancel`. Raises StepFailed with the step's
    traceback, and ScriptError if the script or the code has errors.
    """
    run = try_step(file, step, *inputs, allow_net=allow_net, allow_tcp=allow_tcp, env=env, timeout=timeout)
    if run.outcome == "completed":
        return run.value
    if run.outcome in _STATUSES:
        return Result(status=_STATUSES[run.outcome])
    raise StepFailed(step, run.error or run.outcome, run.trace, run.log)


def try_step(
    file: Union[str, os.PathLike[str]],
    step: str,
    *inputs: Any,
    allow_net: Sequence[str] = (),
    allow_tcp: Sequence[str] = (),
    env: Optional[Mapping[str, str]] = None,
    timeout: float = _TIMEOUT,
) -> StepRun:
    """As `run_step`, but return everything about the execution, also if the step failed."""
    path = os.path.abspath(os.fspath(file))
    if not os.path.isfile(path):
        raise InvalidSetting(f"there is no file {path}")
    with ExitStack() as files:
        if path.endswith(".py"):
            folder = files.enter_context(tempfile.TemporaryDirectory(prefix="bue-"))
            path = _script_of(path, step, folder, _rules(allow_net, allow_tcp, env))
        arguments = ["try", "--json", *_permissions(allow_net, allow_tcp, env)]
        for position, value in enumerate(inputs):
            name = files.enter_context(_binary.JsonFile(_argument(value, f"argument {position + 1}")))
            arguments += ["--input", f"@{name}"]
        arguments += ["--", path, step]
        output = _binary.run(arguments, timeout=timeout, accepted=(0, 1))
    if not output.stdout.strip():
        raise ScriptError(arguments, output.returncode, output.stderr)
    return _step_run(_binary.parse_json(arguments, output.stdout))


def _step_run(json: Dict[str, Any]) -> StepRun:
    try:
        return StepRun(*(json[name] for name in ("step", "outcome", "value", "error", "trace", "log")))
    except KeyError as error:
        raise BueError(f"`bue try --json` did not print {error}; is it of another release?") from None


def _rules(net: Sequence[str], tcp: Sequence[str], env: Optional[Mapping[str, str]]) -> List[str]:
    rules = [("net", host) for host in net] + [("tcp", host) for host in tcp] + [("env", name) for name in env or ()]
    return [f"!allow {kind} {_word(name)}\n" for kind, name in rules]


def _permissions(net: Sequence[str], tcp: Sequence[str], env: Optional[Mapping[str, str]]) -> List[str]:
    arguments: List[str] = []
    if net:
        arguments.append("--allow-net=" + ",".join(map(_word, net)))
    if tcp:
        arguments.append("--allow-tcp=" + ",".join(map(_word, tcp)))
    for name, value in (env or {}).items():
        arguments.append(f"--env={_word(name)}={value}")
    return arguments


def _script_of(path: str, step: str, folder: str, rules: Sequence[str]) -> str:
    """Write a script with the function of a Python file as its only step."""
    if not step.isidentifier():
        raise InvalidSetting(f"`{step}` is not the name of a function")
    if any(char in path for char in "`#,()\n\r"):
        raise InvalidSetting(f"a script cannot name {path}: rename its folder, without any of the characters ` # , ( )")
    script = os.path.join(folder, "test.bue")
    with open(script, "w", encoding="utf-8") as file:
        file.write(f"{''.join(rules)}import python ({step}) {path}\n")
    return script


def _word(text: str) -> str:
    if not text or any(char.isspace() or char in ",`#" for char in text):
        raise InvalidSetting(f"`{text}` is not the name of a host or a variable")
    return text


def _argument(value: Any, place: str) -> Any:
    """Return an argument if JSON keeps its type: the step must get what the test passes."""
    if value is None or isinstance(value, (bool, int, str)):
        return value
    if isinstance(value, float):
        if math.isfinite(value):
            return value
        raise UnsupportedValue(f"{place} is {value!r}, which JSON cannot represent")
    if isinstance(value, list):
        return [_argument(item, f"{place}[{position}]") for position, item in enumerate(value)]
    if isinstance(value, dict) and all(isinstance(key, str) for key in value):
        return {key: _argument(item, f"{place}[{key!r}]") for key, item in value.items()}
    kind = "dict with keys that are not texts" if isinstance(value, dict) else type(value).__name__
    raise UnsupportedValue(
        f"{place} is a {kind}, which JSON cannot represent; call the function itself, or give the step its argument as the "
        "result of another step"
    )
