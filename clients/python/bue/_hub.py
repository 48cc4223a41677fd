"""The client of a hub."""

from __future__ import annotations

import datetime
import json
import os
import time
from typing import Any, Dict, Iterator, List, Mapping, Optional, Sequence, Union

from . import _binary
from ._binary import JsonFile, ScriptFile, client_arguments, client_environment
from ._bucket import Bucket
from ._errors import BueError, InvalidSetting, NotFound, WaitTimedOut
from ._run import Run, idempotency_key, invoked_run, run_id
from ._session import Session, expect_nothing, json_request, query, segment
from ._settings import load
from ._transport import Request
from ._values import params_to_json
from ._views import (
    AppliedSchedule,
    BackfillProgress,
    ChangedRuns,
    ErrorEntry,
    ErrorPage,
    HubInfo,
    Job,
    Pipeline,
    PipelineSummary,
    Published,
    RunPage,
    RunStatus,
    Schedule,
    ViewError,
    Worker,
    from_json,
    list_from_json,
)

# Milliseconds that the hub may hold the request of a backfill.
_BACKFILL_WAIT_MS = 30_000
# A date, a datetime, or their text.
When = Union[str, datetime.date]
# The same, or an age.
Since = Union[str, datetime.date, datetime.timedelta]
# Runs and problems that an answer names.
_MAX_EXAMPLES = 20


class Hub:
    """A hub: it stores runs, and workers execute them.

    url: `host:port`, `http://host:port` or `https://host:port`; several hubs of one database, separated by commas. token:
    what `bue token new` printed. bucket: the address of the bucket; without one, the hub is asked for it. ca, client_cert,
    client_key: PEM files for https. timeout: seconds for an answer, apart from those of long polls.

    What is left out comes from the environment, from the variables that the program `bue` reads: BUE_HUB (or
    PIPE_WORKER_HOST and PIPE_WORKER_PORT), BUE_TOKEN, BUE_TOKEN_FILE, BUE_BUCKET (or BUCKET_CLIENT_HOST and
    BUCKET_CLIENT_PORT), BUE_SERVER_CA, BUE_CLIENT_CERT, BUE_CLIENT_KEY. Files such as `.env` are not read.

    A hub may be used by several threads, and in a `with` statement, which closes its connections.
    """

    def __init__(
        self,
        url: Optional[str] = None,
        token: Optional[str] = None,
        *,
        bucket: Optional[str] = None,
        ca: Optional[str] = None,
        client_cert: Optional[str] = None,
        client_key: Optional[str] = None,
        timeout: float = 30.0,
    ) -> None:
        self._session = Session(load(url, token, bucket, ca, client_cert, client_key), timeout)
        self.bucket = Bucket(self._session)
        self.pipelines = Pipelines(self._session)
        self.schedules = Schedules(self._session)

    def __repr__(self) -> str:
        return f"<bue.Hub {','.join(hub.url for hub in self._session.settings.hubs)}>"

    def __enter__(self) -> Hub:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections. The hub can still be used; it connects again."""
        self._session.close()

    def info(self) -> HubInfo:
        """Return what the hub says about itself and about the token."""
        return self._session.get(HubInfo, "/v1/info")

    def upload(
        self,
        path: Union[None, str, os.PathLike[str]] = None,
        *,
        code: Optional[str] = None,
        params: Optional[Mapping[str, Any]] = None,
        folder: Union[None, str, os.PathLike[str]] = None,
        name: Optional[str] = None,
        timeout: Optional[float] = None,
    ) -> Run:
        """Submit a script and return its run. The program `bue` compiles it and packs the code of its steps.

        path: the script. code: its text, instead. params: values of its parameters. folder: with `code`, where the files that
        the script names are, by default in the working directory; a temporary file is written there, because that is where
        `bue` looks for them. name: with `code`, what the name of that file begins with, which is the name of the run.
        timeout: seconds for compiling and sending.

        Raises ScriptError if the script or a parameter has errors; nothing is submitted then.
        """
        if (path is None) == (code is None):
            raise TypeError("upload takes either a path or code")
        if path is not None:
            if folder is not None or name is not None:
                raise TypeError("`folder` and `name` are for `code`: a path has both")
            return self._upload(os.fspath(path), None, params or {}, timeout)
        place = os.path.abspath(os.fspath(folder)) if folder is not None else os.getcwd()
        with ScriptFile(code or "", place, name or "script") as script:
            return self._upload(os.path.basename(script), place, params or {}, timeout)

    def _upload(self, script: str, folder: Optional[str], params: Mapping[str, Any], timeout: Optional[float]) -> Run:
        settings = self._session.settings
        with JsonFile(params_to_json(params)) as values:
            arguments = ["upload", "--json", f"--file={script}", *client_arguments(settings)]
            if params:
                arguments += ["--params", f"@{values}"]
            environment = client_environment(settings)
            output = _binary.run(arguments, environment=environment, folder=folder, timeout=timeout)
        try:
            return Run(self._session, invoked_run(_binary.parse_json(arguments, output.stdout)))
        except ViewError as error:
            raise BueError(f"`bue upload --json`: {error}; is it of another release?") from None

    def invoke(
        self,
        pipeline: str,
        /,
        *,
        key: Optional[str] = None,
        priority: Optional[int] = None,
        params: Optional[Mapping[str, Any]] = None,
        **values: Any,
    ) -> Run:
        """Start a run of a published pipeline and return it.

        values: its parameters, by name. params: the same as a mapping, for names such as `key`. key: requests with the same
        key start one run; without one, a random key lets the request be sent again if its answer is lost. priority: added to
        the priority of every step.

        Raises UnfitParams, with an entry for each parameter that is missing, unknown or invalid.
        """
        given = dict(params or {})
        twice = sorted(given.keys() & values.keys())
        if twice:
            raise TypeError(f"`{twice[0]}` is given twice, in `params` and by name")
        body = _invocation({**given, **values}, priority)
        path = f"/v1/pipelines/{segment(pipeline)}/runs"
        request = json_request("POST", path, body, headers=idempotency_key(key))
        return Run(self._session, self._session.read(request, invoked_run))

    def run(self, id: str) -> Run:
        """Return a run: by its id, by the first digits of it (at least four), or `last` for the latest one.

        A whole id is not checked until the run is used. Raises NotFound.
        """
        try:
            return Run(self._session, run_id(id))
        except ViewError:
            pass
        selected = query(limit=1) if id == "last" else query(id=id, limit=2)
        runs = self._session.get(RunPage, "/v1/runs" + selected).runs
        if len(runs) == 1:
            return Run(self._session, runs[0].id)
        if not runs:
            text = "the hub has no runs" if id == "last" else f"no run has an id that begins with `{id}`"
            raise NotFound(404, "run_not_found", text, "`hub.runs()` lists the runs")
        raise NotFound(404, "run_not_found", f"several runs have ids that begin with `{id}`", "give more digits")

    def runs(
        self,
        *,
        state: Union[None, str, Sequence[str]] = None,
        pipeline: Optional[str] = None,
        name: Optional[str] = None,
        params: Optional[Mapping[str, Any]] = None,
        since: Optional[Since] = None,
        until: Optional[Since] = None,
    ) -> Iterator[RunStatus]:
        """Return the runs that meet all of these filters, newest first. They have no `steps`.

        state: a state, or several. name: the path of the script; with a `*` at its end, its beginning. params: values of
        parameters of pipelines. since, until: a datetime, a date (UTC), an age such as `2h`, or a timedelta as an age.
        """
        given: Dict[str, Optional[str]] = {f"param.{key}": value for key, value in _param_texts(params).items()}
        given.update(state=_states(state), pipeline=pipeline, name=name, since=_time(since), until=_time(until))
        after: Optional[str] = None
        while True:
            page = self._session.get(RunPage, "/v1/runs" + query(**given, after=after))
            yield from page.runs
            if page.next is None:
                return
            after = page.next

    def errors(
        self, *, step: Optional[str] = None, since: Optional[Since] = None, until: Optional[Since] = None
    ) -> Iterator[ErrorEntry]:
        """Return the failed jobs of all runs, those that failed last first. Times are as for `runs`."""
        after: Optional[str] = None
        while True:
            selected = query(step=step, since=_time(since), until=_time(until), after=after)
            page = self._session.get(ErrorPage, "/v1/errors" + selected)
            yield from page.errors
            if page.next is None:
                return
            after = page.next

    def cancel_runs(self, *, dry_run: bool = False, all: bool = False, **filter: Any) -> ChangedRuns:
        """Cancel all running runs that meet the filter: state, pipeline, name, params, since and until, as for `runs`; step and
        error, for runs with a failed job of this step, and with this text in its message or traceback.

        dry_run: only count. An empty filter needs all=True.
        """
        return self._change_runs("cancel", filter, all, dry_run)

    def reset_runs(self, *, dry_run: bool = False, all: bool = False, **filter: Any) -> ChangedRuns:
        """Retry the failed jobs of all runs that meet the filter of `cancel_runs`; with step or error, only the jobs that they
        are about. Cancelled runs are reset if state says so."""
        return self._change_runs("reset", filter, all, dry_run)

    def delete_runs(self, *, dry_run: bool = False, all: bool = False, **filter: Any) -> ChangedRuns:
        """Delete all runs that have ended and meet the filter of `cancel_runs`."""
        return self._change_runs("delete", filter, all, dry_run)

    def _change_runs(self, verb: str, filter: Mapping[str, Any], all: bool, dry_run: bool) -> ChangedRuns:
        body: Dict[str, Any] = {"filter": _filter(filter), "all": all, "dry_run": dry_run}
        total: Optional[ChangedRuns] = None
        while True:
            # what was changed does not match any more, so the request may be sent again
            request = json_request("POST", f"/v1/runs:{verb}", body)
            part = self._session.read(request, lambda value: from_json(ChangedRuns, value))
            total = part if total is None else _sum(total, part)
            if part.next is None:
                return total
            body["after"] = part.next

    def job(self, id: int) -> Job:
        """Return a job by its number."""
        return self._session.get(Job, f"/v1/jobs/{int(id)}")

    def workers(self) -> List[Worker]:
        """Return the workers that the hub has heard of in the last minute."""
        return self._session.get_list(Worker, "/v1/workers")


class Pipelines:
    """The published pipelines of a hub: `hub.pipelines`."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def list(self) -> List[PipelineSummary]:
        """Return the pipelines by name, at most 1,000."""
        return self._session.get_list(PipelineSummary, "/v1/pipelines")

    def get(self, name: str) -> Pipeline:
        """Return a pipeline: parameters, versions, latest runs."""
        return self._session.get(Pipeline, f"/v1/pipelines/{segment(name)}")

    def publish(
        self, path: Union[str, os.PathLike[str]], *, name: Optional[str] = None, timeout: Optional[float] = None
    ) -> Published:
        """Publish a script under a name, by default that of its file. The same content is the same version.

        Raises ScriptError if the script has errors; nothing is published then.
        """
        settings = self._session.settings
        arguments = ["publish", "--json", *client_arguments(settings)]
        if name is not None:
            arguments.append(f"--as={name}")
        arguments += ["--", os.fspath(path)]
        output = _binary.run(arguments, environment=client_environment(settings), timeout=timeout)
        try:
            return from_json(Published, _binary.parse_json(arguments, output.stdout))
        except ViewError as error:
            raise BueError(f"`bue publish --json`: {error}; is it of another release?") from None

    def unpublish(self, name: str) -> None:
        """Remove a pipeline. Its runs go on."""
        request = Request("DELETE", f"/v1/pipelines/{segment(name)}", is_idempotent=False)
        self._session.read(request, expect_nothing)

    def invoke_many(
        self,
        name: str,
        params: Sequence[Mapping[str, Any]],
        *,
        keys: Optional[Sequence[str]] = None,
        priority: Optional[int] = None,
    ) -> List[Run]:
        """Start a run for each mapping of parameters, at most 1,000: all of them or none.

        keys: one for each run; requests with the same key start one run. Without keys, the request is not sent again if its
        answer is lost. Raises UnfitParams; its fields begin with `runs[N].`.
        """
        if keys is not None and len(keys) != len(params):
            raise TypeError(f"there are {len(keys)} keys for {len(params)} runs")
        runs = [_invocation(one, priority) for one in params]
        for run, key in zip(runs, keys or ()):
            run["key"] = key
        path = f"/v1/pipelines/{segment(name)}/runs:batch"
        request = json_request("POST", path, {"runs": runs}, is_idempotent=keys is not None)
        return self._session.read(request, lambda value: [Run(self._session, id) for id in _invoked_runs(value)])


class Schedules:
    """The schedules of a hub: `hub.schedules`. `docs/schedules.md` describes the fields."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def list(self) -> Iterator[Schedule]:
        """Return the schedules by name. Each has one next due time."""
        after: Optional[str] = None
        while True:
            page = self._session.read(Request("GET", "/v1/schedules" + query(after=after)), _schedule_page)
            yield from page[0]
            if page[1] is None:
                return
            after = page[1]

    def get(self, name: str) -> Schedule:
        """Return a schedule, with its next five due times."""
        return self._session.get(Schedule, _schedule_path(name))

    def set(
        self,
        name: str,
        *,
        pipeline: str,
        cron: Optional[str] = None,
        every: Optional[str] = None,
        timezone: Optional[str] = None,
        params: Optional[Mapping[str, Any]] = None,
        priority: Optional[int] = None,
        overlap: Optional[str] = None,
        catch_up: Optional[str] = None,
        jitter: Optional[str] = None,
        start: Optional[When] = None,
        until: Optional[When] = None,
    ) -> AppliedSchedule:
        """Create or replace a schedule. What is left out gets its default. start: the field `from`.

        Raises UnfitSchedule, with an entry for each field that is wrong.
        """
        fields: Dict[str, Any] = {
            "pipeline": pipeline,
            "cron": cron,
            "every": every,
            "timezone": timezone,
            "priority": priority,
        }
        fields.update({"overlap": overlap, "catch_up": catch_up, "jitter": jitter})
        fields.update({"params": params, "from": start, "until": until})
        request = json_request("PUT", _schedule_path(name), _schedule(fields))
        return self._session.read(request, lambda value: from_json(AppliedSchedule, value))

    def apply(
        self, schedules: Mapping[str, Mapping[str, Any]], *, prune: bool = False, dry_run: bool = False
    ) -> List[AppliedSchedule]:
        """Set up to 1,000 schedules, all of them or none.

        schedules: the fields of each by its name, as in a file of `bue schedule apply`. prune: remove all others. dry_run:
        only return what would change.
        """
        entries = [{"name": name, **_schedule(fields)} for name, fields in schedules.items()]
        body = {"schedules": entries, "prune": prune, "dry_run": dry_run}
        request = json_request("POST", "/v1/schedules:apply", body)
        return self._session.read(request, lambda value: list_from_json(AppliedSchedule, value))

    def pause(self, name: str) -> None:
        """Pause a schedule."""
        self._session.read(Request("POST", f"{_schedule_path(name)}/pause"), expect_nothing)

    def resume(self, name: str) -> None:
        """Resume a schedule."""
        self._session.read(Request("POST", f"{_schedule_path(name)}/resume"), expect_nothing)

    def delete(self, name: str) -> None:
        """Remove a schedule. Its runs go on."""
        request = Request("DELETE", _schedule_path(name), is_idempotent=False)
        self._session.read(request, expect_nothing)

    def run(self, name: str, *, key: Optional[str] = None) -> Run:
        """Start a run of a schedule now, also if it is paused. Requests with the same key start one run."""
        request = Request("POST", f"{_schedule_path(name)}/runs", headers=idempotency_key(key))
        return Run(self._session, self._session.read(request, invoked_run))

    def backfill(
        self, name: str, start: When, end: When, *, at_most: Optional[int] = None, timeout: Optional[float] = None
    ) -> Iterator[BackfillProgress]:
        """Run the due times from `start` on and before `end` that have no run yet, and return the progress to the end.

        The hub starts further runs only while you iterate. at_most: runs at the same time. timeout: seconds, after which
        WaitTimedOut is raised; what was started goes on.
        """
        deadline = None if timeout is None else time.monotonic() + timeout
        body: Dict[str, Any] = {"from": _when(start), "to": _when(end)}
        if at_most is not None:
            body["at_most"] = at_most
        while True:
            progress = self._backfill(name, body, deadline)
            yield progress
            if progress.waiting or progress.runs.running:
                if deadline is not None and time.monotonic() >= deadline:
                    raise WaitTimedOut(f"the backfill of `{name}` has not ended within {timeout:g} s; its runs go on")
            elif progress.rest_from is None:
                return
            else:
                body["from"] = _when(progress.rest_from)

    def _backfill(self, name: str, body: Mapping[str, Any], deadline: Optional[float]) -> BackfillProgress:
        rest = _BACKFILL_WAIT_MS if deadline is None else max(deadline - time.monotonic(), 0.0) * 1000
        wait_ms = min(int(rest), _BACKFILL_WAIT_MS)
        path = f"{_schedule_path(name)}/backfill" + query(wait_ms=wait_ms)
        request = json_request("POST", path, body, wait=wait_ms / 1000)
        return self._session.read(request, lambda value: from_json(BackfillProgress, value))


def _states(state: Union[None, str, Sequence[str]]) -> Optional[str]:
    if state is None or isinstance(state, str):
        return state
    return ",".join(str(one) for one in state)


def _time(time: Optional[Since]) -> Optional[str]:
    if isinstance(time, datetime.timedelta):
        if time < datetime.timedelta(0):
            raise InvalidSetting(f"an age is not negative: {time}")
        return f"{int(time.total_seconds())}s"
    if isinstance(time, datetime.datetime) and time.tzinfo is None:
        raise InvalidSetting(f"{time} has no time zone; pass time.astimezone(), or one with tzinfo=timezone.utc")
    return time if time is None or isinstance(time, str) else time.isoformat()


def _param_texts(params: Optional[Mapping[str, Any]]) -> Dict[str, str]:
    """Return values of parameters as the query has them: texts as they are, anything else as JSON."""
    values = params_to_json(params or {})
    return {name: value if isinstance(value, str) else json.dumps(value) for name, value in values.items()}


_FILTER = ("state", "pipeline", "name", "params", "since", "until", "step", "error")


def _filter(given: Mapping[str, Any]) -> Dict[str, Any]:
    """Return the JSON of a filter."""
    unknown = sorted(given.keys() - set(_FILTER))
    if unknown:
        raise TypeError(f"there is no filter `{unknown[0]}`; there are {', '.join(_FILTER)}")
    filter = {name: value for name, value in given.items() if value is not None}
    for name in ("since", "until"):
        if name in filter:
            filter[name] = _time(filter[name])
    return params_to_json(filter)


def _sum(total: ChangedRuns, part: ChangedRuns) -> ChangedRuns:
    return ChangedRuns(
        total.runs + part.runs,
        total.jobs + part.jobs,
        part.dry_run,
        (total.examples + part.examples)[:_MAX_EXAMPLES],
        total.skipped + part.skipped,
        (total.problems + part.problems)[:_MAX_EXAMPLES],
        part.next,
    )


def _invocation(params: Mapping[str, Any], priority: Optional[int]) -> Dict[str, Any]:
    body: Dict[str, Any] = {"params": params_to_json(params)}
    if priority is not None:
        body["priority"] = priority
    return body


def _invoked_runs(value: Any) -> List[str]:
    if not isinstance(value, list):
        raise ViewError("the answer is no list of runs")
    return [invoked_run(one) for one in value]


def _schedule_path(name: str) -> str:
    return f"/v1/schedules/{segment(name)}"


def _schedule_page(value: Any) -> Any:
    if not isinstance(value, dict) or "schedules" not in value:
        raise ViewError("a page of schedules has no `schedules`")
    return list_from_json(Schedule, value["schedules"]), value.get("next")


def _schedule(fields: Mapping[str, Any]) -> Dict[str, Any]:
    """Return the JSON of a schedule's fields, without those that are None."""
    given = {name: value for name, value in fields.items() if value is not None}
    for name in ("from", "until"):
        if name in given:
            given[name] = _when(given[name])
    return params_to_json(given)


def _when(time: When) -> str:
    return time if isinstance(time, str) else time.isoformat()
