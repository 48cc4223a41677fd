"""Steps and scripts in tests: `run_step` runs a step in the real sandbox, `run_script` a whole script in simulated time. With
pytest, unittest or anything else.

    from bue.testing import run_step

    def test_a_finished_report_has_a_url():
        assert run_step("steps.py", "get_status", {"id": 7})["url"] == "https://example.com/7"

The program `bue` runs them (`bue try`, `bue run`); no hub is needed. The result of a step has the types that the step returned.
Those of a script are what JSON has for them (`docs/results.md`): a date is a text, a tuple a list.
"""

from __future__ import annotations

import base64
import datetime
import math
import os
import tempfile
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any, Dict, List, Mapping, Optional, Sequence, Union

from . import _binary
from ._errors import BueError, InvalidSetting, ScriptError, UnsupportedValue
from ._http_answers import AnsweringServer, Answers, Request, Response, UnexpectedRequest, in_turn
from ._steps import Result, StepStatus
from ._values import decode, params_to_json
from ._views import moment

__all__ = [
    "FailedStep",
    "Request",
    "Response",
    "ScriptCall",
    "ScriptFailed",
    "ScriptRun",
    "StepFailed",
    "StepRun",
    "UnexpectedRequest",
    "in_turn",
    "run_script",
    "run_step",
    "try_step",
]

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
        arguments = ["try", "--json", "--values", "cbor", *_permissions(allow_net, allow_tcp, env)]
        for position, value in enumerate(inputs):
            name = files.enter_context(_binary.JsonFile(_argument(value, f"argument {position + 1}")))
            arguments += ["--input", f"@{name}"]
        arguments += ["--", path, step]
        output = _binary.run(arguments, timeout=timeout, accepted=(0, 1))
    if not output.stdout.strip():
        raise ScriptError(arguments, output.returncode, output.stderr)
    return _step_run(_binary.parse_json(arguments, output.stdout))


@dataclass(frozen=True)
class ScriptCall:
    """A call of the script. value is None unless state is `completed`; name is that of the variable it is assigned to, if any.

    In a loop, value is the list of the values of the rounds, with None for one that has none. used: something else in the
    script uses the value.
    """

    line: int
    name: Optional[str]
    used: bool
    value: Any
    state: str


@dataclass(frozen=True)
class FailedStep:
    """A job that failed. error is the message with the traceback."""

    step: str
    error: str
    attempts: int


@dataclass(frozen=True)
class ScriptRun:
    """A run of a script that has ended.

    started and ended are simulated times, in UTC. requests are those of all steps, in the order in which they were answered.
    output is what the program wrote to stderr: the failures, and what the steps printed.
    """

    state: str
    calls: List[ScriptCall]
    failed: List[FailedStep]
    started: datetime.datetime
    ended: datetime.datetime
    requests: List[Request] = field(repr=False)
    output: str = field(repr=False)

    @property
    def results(self) -> List[Any]:
        """The value of each call whose result nothing else in the script uses, as `bue run` prints them."""
        return [call.value for call in self.calls if not call.used]

    @property
    def duration(self) -> datetime.timedelta:
        """The simulated time from start to end."""
        return self.ended - self.started


class ScriptFailed(BueError):
    """The run failed. run: all about it."""

    def __init__(self, run: ScriptRun) -> None:
        super().__init__(f"the run {run.state}\n{run.output.rstrip()}")
        self.run = run


def run_script(
    file: Union[str, os.PathLike[str]],
    params: Optional[Mapping[str, Any]] = None,
    *,
    http: Answers = None,
    start: Union[str, datetime.datetime] = "2026-01-01T00:00",
    time_limit: Optional[datetime.timedelta] = None,
    env: Optional[Mapping[str, str]] = None,
    secrets: Optional[Mapping[str, str]] = None,
    check: bool = True,
    timeout: float = _TIMEOUT,
) -> ScriptRun:
    """Run a script on this machine, in the real sandbox and in simulated time.

    Time begins at `start` (UTC) and stands still while steps compute and while requests are answered. When everything waits
    (for the next attempt of a pending step, for a retry, for `time.sleep`), it jumps to the next time at which something
    happens. So a poll of three hours takes as long as its requests.

    http answers all HTTP requests of the steps; none goes to the network. It is a function of a `Request`, or a dict from
    URLs (`https://api.example.com/report`; without its query a URL is for all queries; `POST https://…` for one method) to
    answers: a dict or a list is sent as JSON, a text or bytes as they are, a number as a status, a `Response` as it says. A
    function is called with the request; `in_turn(a, b)` answers one request after the other. The `!allow net` of the script
    count as they do elsewhere.

    params: values of the script's parameters. env, secrets: environment variables and secrets for steps that ask for them with
    `!allow`. time_limit: the simulated time after which the run is given up, 30 days by default. timeout: seconds of real time.

    Raises ScriptFailed if the run fails, unless `check` is False; UnexpectedRequest if a step asks for something that `http`
    does not answer; ScriptError if the script has errors, or does something that cannot be simulated.
    """
    path = os.path.abspath(os.fspath(file))
    if not os.path.isfile(path):
        raise InvalidSetting(f"there is no file {path}")
    arguments = ["run", "--json", "--logs", "--simulated-time", _start_text(start)]
    if time_limit is not None:
        arguments += ["--time-limit", f"{round(time_limit.total_seconds() * 1000)}ms"]
    variables = {f"BUE_SECRET_{name}": value for name, value in (secrets or {}).items()}
    with ExitStack() as stack:
        server = AnsweringServer(http)
        stack.callback(server.close)
        arguments += [f"--http-from={server.address}", *_permissions((), (), env)]
        if params:
            arguments += ["--params", f"@{stack.enter_context(_binary.JsonFile(params_to_json(params)))}"]
        arguments += ["--", path]
        output = _binary.run(arguments, environment={**os.environ, **variables}, timeout=timeout, accepted=(0, 1))
    if not output.stdout.strip():
        raise ScriptError(arguments, output.returncode, output.stderr)
    run = _script_run(_binary.parse_json(arguments, output.stdout), server.requests, output.stderr)
    if check and run.state != "completed":
        raise ScriptFailed(run)
    return run


def _start_text(start: Union[str, datetime.datetime]) -> str:
    if isinstance(start, str):
        return start
    # a time without a zone is UTC, as in a text
    return start.isoformat()


def _script_run(json: Dict[str, Any], requests: List[Request], output: str) -> ScriptRun:
    try:
        return ScriptRun(
            json["state"],
            [ScriptCall(*(call[name] for name in ("line", "name", "used", "value", "state"))) for call in json["results"]],
            [FailedStep(*(failed[name] for name in ("step", "error", "attempts"))) for failed in json["failed"]],
            moment(json["time"]["from"]),
            moment(json["time"]["to"]),
            requests,
            output,
        )
    except KeyError as error:
        raise BueError(f"`bue run --json` did not print {error}; is it of another release?") from None


def _step_run(json: Dict[str, Any]) -> StepRun:
    try:
        value = json["value"]
        if value is not None:
            value = decode(base64.b64decode(value["cbor"]))
        return StepRun(json["step"], json["outcome"], value, *(json[name] for name in ("error", "trace", "log")))
    except (KeyError, TypeError) as error:
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
