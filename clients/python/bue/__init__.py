"""The client of bue, and what steps import from `bue`.

    import bue

    hub = bue.Hub("127.0.0.1:65432")
    run = hub.upload("report.bue", params={"day": "2026-11-01"}).wait(timeout=600)
    for value in run.results():
        print(value)

`AsyncHub` is the same for asyncio, and `bue.testing` runs steps in the sandbox from tests. `docs/python-client.md` is the
guide. `Result`, `StepStatus`, `TimeoutSoon`, `env` and `secret` are what a step imports; they exist here so that a file of
steps can be imported and tested under any Python.
"""

from ._async import AsyncBucket, AsyncFile, AsyncHub, AsyncPipelines, AsyncRun, AsyncSchedules
from ._binary import find_bue
from ._bucket import Bucket
from ._errors import (
    AccessDenied,
    BinaryNotFound,
    BueError,
    CommandFailed,
    Conflict,
    ConnectionBroken,
    CorruptValue,
    FieldError,
    HubUnreachable,
    InvalidSetting,
    NoResult,
    NotFound,
    Refused,
    RequestTimedOut,
    RunFailed,
    ScriptError,
    TlsError,
    TooLarge,
    UnexpectedServer,
    UnfitParams,
    UnfitSchedule,
    UnsupportedValue,
    VersionMismatch,
    WaitTimedOut,
)
from ._hub import Hub, Pipelines, Schedules
from ._results import CallResult, Missing, RoundTotals
from ._run import Run
from ._steps import Result, StepStatus, TimeoutSoon, env, secret
from ._version import __version__
from ._views import (
    AppliedSchedule,
    Argument,
    BackfillProgress,
    FailedJob,
    Failure,
    HubInfo,
    Job,
    JobCounts,
    JobState,
    LogLines,
    Param,
    Pipeline,
    PipelineRun,
    PipelineSummary,
    PipelineVersion,
    Published,
    Round,
    RunCounts,
    RunState,
    RunStatus,
    Schedule,
    ScheduledRun,
    StepCounts,
    UnservedScope,
    Worker,
)

__all__ = [
    "AccessDenied",
    "AppliedSchedule",
    "Argument",
    "AsyncBucket",
    "AsyncFile",
    "AsyncHub",
    "AsyncPipelines",
    "AsyncRun",
    "AsyncSchedules",
    "BackfillProgress",
    "BinaryNotFound",
    "Bucket",
    "BueError",
    "CallResult",
    "CommandFailed",
    "Conflict",
    "ConnectionBroken",
    "CorruptValue",
    "FailedJob",
    "Failure",
    "FieldError",
    "Hub",
    "HubInfo",
    "HubUnreachable",
    "InvalidSetting",
    "Job",
    "JobCounts",
    "JobState",
    "LogLines",
    "Missing",
    "NoResult",
    "NotFound",
    "Param",
    "Pipeline",
    "PipelineRun",
    "PipelineSummary",
    "PipelineVersion",
    "Pipelines",
    "Published",
    "Refused",
    "RequestTimedOut",
    "Result",
    "Round",
    "RoundTotals",
    "Run",
    "RunCounts",
    "RunFailed",
    "RunState",
    "RunStatus",
    "Schedule",
    "ScheduledRun",
    "Schedules",
    "ScriptError",
    "StepCounts",
    "StepStatus",
    "TimeoutSoon",
    "TlsError",
    "TooLarge",
    "UnexpectedServer",
    "UnfitParams",
    "UnfitSchedule",
    "UnservedScope",
    "UnsupportedValue",
    "VersionMismatch",
    "WaitTimedOut",
    "Worker",
    "__version__",
    "env",
    "find_bue",
    "secret",
]
