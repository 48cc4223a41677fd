"""What the hub says about runs, jobs, pipelines and schedules.

Each class is read from the JSON of one of the schemas in `GET /openapi.json`. Fields that this release does not know are
left out; a field that is missing or of another type is an error.
"""

from __future__ import annotations

import dataclasses
import datetime
import enum
import typing
from dataclasses import dataclass, field
from typing import Any, Dict, List, Optional, Type, TypeVar

T = TypeVar("T")

_EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.timezone.utc)


class RunState(str, enum.Enum):
    """The state of a run. Each is equal to its name: `run.status().state == "completed"`."""

    running = "running"
    completed = "completed"
    failed = "failed"
    cancelled = "cancelled"

    def __str__(self) -> str:
        return self.value


class JobState(str, enum.Enum):
    """The state of a job. Each is equal to its name."""

    blocked = "blocked"
    available = "available"
    running = "running"
    completed = "completed"
    failed = "failed"
    cancelled = "cancelled"

    def __str__(self) -> str:
        return self.value


@dataclass(frozen=True)
class JobCounts:
    """The numbers of jobs in each state."""

    blocked: int
    available: int
    running: int
    completed: int
    failed: int
    cancelled: int


@dataclass(frozen=True)
class StepUsage:
    """What the attempts of a step used, as far as the step answered or failed.

    attempts: their number. p50_ms, p95_ms: how long half of them, and 95 of 100, took at most, within a third. cpu_ms: what
    sandbox hosts computed for them. peak_memory: the bytes of memory of the one that had most.
    """

    attempts: int
    p50_ms: Optional[int]
    p95_ms: Optional[int]
    cpu_ms: int
    peak_memory: Optional[int]


@dataclass(frozen=True)
class StepCounts:
    """The jobs of one step. run_ms: the milliseconds that all its attempts took."""

    name: str
    scope: str
    blocked: int
    available: int
    running: int
    completed: int
    failed: int
    cancelled: int
    attempts: int
    retries: int
    pendings: int
    resets: int
    run_ms: int
    reused: int
    usage: StepUsage


@dataclass(frozen=True)
class UnservedScope:
    """A scope with waiting jobs that no worker has asked for in the last minute."""

    scope: str
    steps: List[str]
    more_steps: int
    jobs: int


@dataclass(frozen=True)
class RunPipeline:
    """The version of a published pipeline that a run has."""

    name: str
    version: int


@dataclass(frozen=True)
class RunStatus:
    """A run. Times are those of the hub's clock, in UTC.

    name: the path of the script, or the name of the pipeline. version: increases with every change. eta: when the run will
    have ended, if that can be estimated. steps: the first thousand steps; empty in a list of runs.
    """

    id: str
    name: str
    state: RunState
    created_at: datetime.datetime
    finished_at: Optional[datetime.datetime]
    version: int
    counts: JobCounts
    step_count: int
    steps: List[StepCounts]
    now: datetime.datetime
    eta: Optional[datetime.datetime]
    unserved: List[UnservedScope]
    rerun_of: Optional[str]
    pipeline: Optional[RunPipeline]


@dataclass(frozen=True)
class BucketKey:
    """A named value of the bucket, without its bytes. expires_at: by the bucket's clock; None if it stays."""

    key: str
    bytes: int
    expires_at: Optional[datetime.datetime]


@dataclass(frozen=True)
class BucketKeyPage:
    """A page of the named values of the bucket."""

    keys: List[BucketKey]
    next: Optional[str]


@dataclass(frozen=True)
class RunPage:
    """A page of a list of runs. next: where the next page begins; None on the last page."""

    runs: List[RunStatus]
    next: Optional[str]


@dataclass(frozen=True)
class Round:
    """A round of a loop around a job: number `round` of `rounds`, from 1."""

    variable: str
    line: int
    round: int
    rounds: int


@dataclass(frozen=True)
class Argument:
    """An argument of a failed attempt, cut to some tens of characters, as Python would print it."""

    name: Optional[str]
    value: str


@dataclass(frozen=True)
class Failure:
    """Why a job failed. kind: such as `raised` or `limit`. trace: the traceback, with the files and lines of the user."""

    kind: str
    message: str
    trace: Optional[str]
    retry_after_ms: Optional[int]


@dataclass(frozen=True)
class Attempt:
    """An attempt of a job. verdict: how it ended: completed, pending, reset, cancelled, failed, released or lost.

    ended_at and verdict are None while it runs; the others are what the worker measured, if it has reported.
    """

    started_at: datetime.datetime
    ended_at: Optional[datetime.datetime]
    worker: Optional[str]
    verdict: Optional[str]
    run_ms: Optional[int]
    cpu_ms: Optional[int]
    peak_memory: Optional[int]


@dataclass(frozen=True)
class Job:
    """A job: one execution of a step in a run.

    started_at, run_ms: of its last attempt. last_attempts: at most ten, oldest first; empty in lists of jobs.
    """

    id: int
    run: str
    step: str
    line: int
    rounds: List[Round]
    arguments: List[Argument]
    state: JobState
    available_at: datetime.datetime
    attempts: int
    waiting_for: int
    worker: Optional[str]
    failure: Optional[Failure]
    blocked_by: Optional[int]
    reused: bool
    started_at: Optional[datetime.datetime]
    run_ms: Optional[int]
    last_attempts: List[Attempt] = field(default_factory=list)


@dataclass(frozen=True)
class ErrorEntry:
    """A failed job of any run. at: when it failed. name: that of the run."""

    at: datetime.datetime
    name: str
    job: Job


@dataclass(frozen=True)
class ErrorPage:
    """A page of the failed jobs of all runs."""

    errors: List[ErrorEntry]
    next: Optional[str]


@dataclass(frozen=True)
class ChangedRun:
    """A run that was changed, or would be, with the number of its jobs."""

    run: str
    name: str
    state: RunState
    jobs: int


@dataclass(frozen=True)
class RunProblem:
    """Why a run was not changed."""

    run: str
    code: str
    message: str


@dataclass(frozen=True)
class ChangedRuns:
    """What was changed, or with dry_run would be. skipped: runs that could not be changed, or not all jobs of them.

    examples, problems: the first twenty runs that were changed, and that were skipped.
    """

    runs: int
    jobs: int
    dry_run: bool
    examples: List[ChangedRun]
    skipped: int
    problems: List[RunProblem]
    next: Optional[str]


@dataclass(frozen=True)
class FailedJob:
    """A job that failed for good. line: that of its call. rounds: those of the loops around it, outermost first."""

    job: int
    step: str
    line: int
    rounds: List[Round]
    arguments: List[Argument]
    attempts: int
    worker: Optional[str]
    failure: Failure


@dataclass(frozen=True)
class LogLines:
    """What a job has printed.

    missed: the bytes before `lines` that did not arrive; -1 with job 0 and no lines if this client read too slowly and
    lines of some jobs may be missing. `run.logs()` returns whole logs.
    """

    job: int
    step: str
    lines: str
    missed: int = 0


@dataclass(frozen=True)
class PipelineSummary:
    """A published pipeline in a list."""

    name: str
    version: int
    script: str
    published_at: datetime.datetime


@dataclass(frozen=True)
class Param:
    """A parameter of a pipeline. The other fields have a meaning only for some types and declarations."""

    name: str
    type: str
    required: bool
    default: Any = None
    default_is_time: bool = False
    min: Any = None
    max: Any = None
    one_of: List[Any] = field(default_factory=list)


@dataclass(frozen=True)
class PipelineVersion:
    """A version of a pipeline."""

    version: int
    script: str
    published_at: datetime.datetime


@dataclass(frozen=True)
class PipelineRun:
    """A run of a pipeline. params: the JSON that the caller gave, cut after a thousand characters."""

    run: str
    version: int
    state: RunState
    created_at: datetime.datetime
    finished_at: Optional[datetime.datetime]
    params: str


@dataclass(frozen=True)
class Pipeline:
    """A published pipeline, with its latest runs."""

    name: str
    version: int
    params: List[Param]
    versions: List[PipelineVersion]
    runs: List[PipelineRun]


@dataclass(frozen=True)
class Published:
    """The effect of publishing. created: False if this version was there already."""

    pipeline: str
    version: int
    created: bool


@dataclass(frozen=True)
class RunCounts:
    """The numbers of runs in each state."""

    running: int
    completed: int
    failed: int
    cancelled: int


@dataclass(frozen=True)
class ScheduledRun:
    """A run of a schedule. due: the due time that it is for."""

    run: str
    state: RunState
    due: datetime.datetime


@dataclass(frozen=True)
class Schedule:
    """A schedule. params: values of parameters, as JSON. state: `active`, `paused` or `ended`. next: the next due times.

    started, skipped, missed: numbers of due times. recent: the states of the latest hundred runs; None in a list.
    """

    name: str
    pipeline: str
    cron: Optional[str]
    every: Optional[str]
    timezone: str
    params: str
    priority: int
    overlap: str
    catch_up: str
    jitter: str
    start: Optional[datetime.datetime] = field(metadata={"json": "from"})
    until: Optional[datetime.datetime]
    state: str
    problem: Optional[str]
    next: List[datetime.datetime]
    waiting: int
    last_run: Optional[ScheduledRun]
    started: int
    skipped: int
    missed: int
    recent: Optional[RunCounts]


@dataclass(frozen=True)
class AppliedSchedule:
    """What happened to a schedule. change: `created`, `changed`, `unchanged` or `removed`."""

    name: str
    change: str
    next: Optional[datetime.datetime]


@dataclass(frozen=True)
class BackfillProgress:
    """How far a backfill is. due: due times in the range. waiting: those that have no run yet."""

    due: int
    first: Optional[datetime.datetime]
    last: Optional[datetime.datetime]
    waiting: int
    runs: RunCounts
    rest_from: Optional[datetime.datetime]


@dataclass(frozen=True)
class Worker:
    """A worker that a hub has heard of in the last minute. silent_ms: the milliseconds since its last request."""

    name: str
    scopes: List[str]
    silent_ms: int
    abilities: Dict[str, Any]


@dataclass(frozen=True)
class HubInfo:
    """What the hub says about itself. version: its release. scopes: those of the token; empty for all."""

    version: str
    bucket: Optional[str]
    scopes: List[str] = field(default_factory=list)


class ViewError(ValueError):
    """The JSON is not that of the class."""


def from_json(cls: Type[T], value: Any) -> T:
    """Read JSON as an object of a class of this module. Raises ViewError."""
    if not isinstance(value, dict):
        raise ViewError(f"{cls.__name__} is not an object")
    hints = _hints(cls)
    fields: Dict[str, Any] = {}
    for one in dataclasses.fields(typing.cast(Any, cls)):
        name = one.metadata.get("json", one.name)
        if name in value:
            fields[one.name] = _read(hints[one.name], value[name], f"{cls.__name__}.{name}")
        elif one.default is dataclasses.MISSING and one.default_factory is dataclasses.MISSING:
            raise ViewError(f"{cls.__name__} has no `{name}`")
    return cls(**fields)


def list_from_json(cls: Type[T], value: Any) -> List[T]:
    """Read JSON as a list of such objects. Raises ViewError."""
    if not isinstance(value, list):
        raise ViewError(f"the list of {cls.__name__} is not a list")
    return [from_json(cls, item) for item in value]


_HINTS: Dict[type, Dict[str, Any]] = {}


def _hints(cls: type) -> Dict[str, Any]:
    if cls not in _HINTS:
        _HINTS[cls] = typing.get_type_hints(cls)
    return _HINTS[cls]


def _read(hint: Any, value: Any, place: str) -> Any:
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin is typing.Union:
        return None if value is None else _read(arguments[0], value, place)
    if origin is list:
        if not isinstance(value, list):
            raise ViewError(f"{place} is not a list")
        return [_read(arguments[0], item, place) for item in value]
    if hint is Any or (origin is dict and isinstance(value, dict)):
        return value
    if hint is datetime.datetime:
        return _time(value, place)
    if isinstance(hint, type) and issubclass(hint, enum.Enum):
        try:
            return hint(value)
        except ValueError:
            raise ViewError(f"{place} is {value!r}, which this release does not know") from None
    if dataclasses.is_dataclass(hint):
        return from_json(typing.cast(Any, hint), value)
    if hint is int and isinstance(value, bool) or not isinstance(value, hint):
        raise ViewError(f"{place} is of type {type(value).__name__}")
    return value


def moment(ms: int) -> datetime.datetime:
    """Return the time of a number of milliseconds since 1970, in UTC. Raises OverflowError."""
    return _EPOCH + datetime.timedelta(milliseconds=ms)


def _time(value: Any, place: str) -> datetime.datetime:
    if isinstance(value, bool) or not isinstance(value, int):
        raise ViewError(f"{place} is not a time in milliseconds")
    try:
        return moment(value)
    except OverflowError:
        raise ViewError(f"{place} is {value} ms after 1970, which Python cannot represent") from None
