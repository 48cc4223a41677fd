"""A run of a hub."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Dict, Iterator, List, Mapping, Optional, Sequence
from uuid import UUID, uuid4

from ._cancel import sleep
from ._errors import (
    AccessDenied,
    BueError,
    Conflict,
    ConnectionBroken,
    HubUnreachable,
    InvalidSetting,
    Refused,
    RequestTimedOut,
    RunFailed,
    UnsupportedValue,
    WaitTimedOut,
)
from ._log import LogPositions, read_events
from ._pages import Page, read_blob, read_page
from ._results import CallResult, Cursor, calls, values
from ._session import changed_jobs, expect_nothing, json_request, query
from ._transport import Request
from ._values import params_to_json
from ._views import FailedJob, Job, JobState, LogLines, RunState, RunStatus, ViewError, list_from_json

if TYPE_CHECKING:
    from ._session import Session

# Seconds that the hub may hold a request for. Proxies close connections that are silent for longer than a minute.
_POLL_SECONDS = 30.0
# A version that no run reaches, so that the hub answers only when the run has ended.
_NO_VERSION = 2**63 - 1
# Seconds that a hub may be away while a run is waited for: it may be restarting, or moving to another machine.
_RESTART_SECONDS = 90.0
# Jobs on a page.
_PAGE = 200
# Failed jobs on the first page of results.
_FAILED_ON_PAGE = 1000
_ACCEPT_JSON = {"accept": "application/json"}


class Backoff:
    """The pauses between attempts to reach a hub that is away."""

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        self._next = 0.1

    def wait(self, longest: float) -> None:
        sleep(max(min(self._next, longest), 0.0))
        self._next = min(self._next * 2, 5.0)


class Run:
    """A run: one execution of a script. `hub.upload`, `hub.invoke` and `hub.run` return one."""

    def __init__(self, session: Session, id: str) -> None:
        self._session = session
        self.id = id

    def __repr__(self) -> str:
        return f"<bue.Run {self.id}>"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Run) and other.id == self.id

    def __hash__(self) -> int:
        return hash(self.id)

    @property
    def _path(self) -> str:
        return f"/v1/runs/{self.id}"

    def status(self) -> RunStatus:
        """Return the state of the run, with the numbers of jobs of each step."""
        return self._session.get(RunStatus, self._path)

    def wait(self, timeout: Optional[float] = None, *, check: bool = True) -> Run:
        """Wait until the run has ended, and return it. The hub answers when it ends; nothing is polled.

        timeout: seconds; None waits for as long as it takes. A hub that answered once may be away for a minute and a half.
        check: raise RunFailed, with the tracebacks, if the run failed or was cancelled.

        Raises WaitTimedOut.
        """
        status = self._wait_for_end(timeout)
        if check and status.state != RunState.completed:
            raise RunFailed(self.id, str(status.state), self._page(None).failed, status.counts.failed)
        return self

    def _wait_for_end(self, timeout: Optional[float]) -> RunStatus:
        deadline = None if timeout is None else time.monotonic() + timeout
        backoff = Backoff()
        while True:
            rest = _POLL_SECONDS if deadline is None else max(deadline - time.monotonic(), 0.0)
            asked_at = time.monotonic()
            try:
                status = self._poll(min(rest, _POLL_SECONDS))
            except (HubUnreachable, ConnectionBroken, RequestTimedOut, Refused) as error:
                if not self._has_answered() or (isinstance(error, Refused) and error.status != 503):
                    raise
                if deadline is not None and time.monotonic() >= deadline:
                    raise
                backoff.wait(rest)
                continue
            now = time.monotonic()
            if status.state != RunState.running:
                return status
            if deadline is not None and now >= deadline:
                raise WaitTimedOut(f"run {self.id} has not ended within {timeout:g} s; it goes on")
            if now - asked_at < 0.1:
                # the hub is shutting down, or about to
                backoff.wait(rest)
            else:
                backoff.reset()

    def _has_answered(self) -> bool:
        """Whether the hub has answered lately, so that it is perhaps only restarting."""
        answered_at = self._session.hub.answered_at
        return answered_at is not None and time.monotonic() - answered_at < _RESTART_SECONDS

    def _poll(self, seconds: float) -> RunStatus:
        path = self._path + query(seen=_NO_VERSION, wait_ms=int(seconds * 1000))
        return self._session.get(RunStatus, path, wait=seconds)

    def results(self) -> Iterator[Any]:
        """Return the values of the calls whose result nothing else in the script uses, in the order of the script.

        They have the types that the steps returned. In a loop, the value is the list of those of all rounds.

        Raises NoResult, when it comes to a call without a result. `calls` returns what there is.
        """
        return values(self.calls())

    def calls(self) -> Iterator[CallResult]:
        """Return the results of all calls of the script, also of those that have none (yet)."""
        return calls(self._page, self._session.fetch)

    def _page(self, cursor: Cursor) -> Page:
        path = self._path + "/results" + query(after=cursor, values="cbor")
        return self._session.read(Request("GET", path, headers=_ACCEPT_JSON), read_page)

    def errors(self) -> List[FailedJob]:
        """Return the jobs that failed for good, with their tracebacks."""
        try:
            return [_failed(job) for job in self.jobs(state="failed")]
        except AccessDenied:
            # an invoker reads what the results tell: the first thousand
            failed = self._page(None).failed
            if len(failed) >= _FAILED_ON_PAGE:
                raise
            return failed

    def jobs(self, *, step: Optional[str] = None, state: Optional[str] = None) -> Iterator[Job]:
        """Return the jobs, in the order of their numbers: all, or those of a step or in a state."""
        after: Optional[int] = None
        while True:
            name = None if state is None else JobState(state).value
            path = f"{self._path}/jobs" + query(step=step, state=name, after=after, limit=_PAGE)
            jobs, following = self._session.read(Request("GET", path), _job_page)
            yield from jobs
            if following is None:
                return
            if after is not None and following <= after:
                raise BueError("the hub's pages of jobs do not advance")
            after = following

    def logs(self, *, step: Optional[str] = None) -> Iterator[LogLines]:
        """Return what the jobs printed in their last attempts, one after the other. Jobs that printed nothing are left out."""
        for job in self.jobs(step=step):
            text = self.job_log(job.id)
            if text:
                yield LogLines(job.id, job.step, text)

    def job_log(self, job: int) -> str:
        """Return what a job printed in its last attempt that has ended; an empty text if nothing."""
        path = f"/v1/jobs/{int(job)}/log"
        try:
            text = self._session.hub.send_ok(Request("GET", path, headers={"accept": "text/plain"})).body
        except Conflict as error:
            if error.code != "in_bucket":
                raise
            blob = self._session.read(Request("GET", path, headers=_ACCEPT_JSON), lambda log: read_blob(log.get("blob")))
            text = self._session.fetch(blob)
        return text.decode("utf-8", "replace")

    def follow(self, *, step: Optional[str] = None) -> Iterator[LogLines]:
        """Return what running jobs print, as they print it, until the run has ended.

        The log of each running attempt comes from its beginning. What jobs printed that ended before is not among it.
        """
        positions = LogPositions()
        backoff = Backoff()
        while True:
            try:
                with self._session.hub.open(Request("GET", f"{self._path}/log" + query(step=step))) as stream:
                    for name, event in read_events(stream):
                        self._session.hub.answered_at = time.monotonic()
                        backoff.reset()
                        if name == "end":
                            return
                        if name == "lagged":
                            yield LogLines(0, "", "", -1)
                        lines = positions.new_lines(event) if name == "lines" else None
                        if lines is not None:
                            yield lines
            except ViewError as error:
                raise self._session.hub.unexpected(self._session.hub.current, str(error)) from None
            except (HubUnreachable, ConnectionBroken, RequestTimedOut):
                if not self._has_answered():
                    raise
            # the hub has ended the stream because it shuts down
            backoff.wait(5.0)

    def cancel(self) -> int:
        """Cancel the run. Returns the number of jobs that were cancelled. A `finally` block of the script then runs."""
        return self._change("cancel")

    def reset(self) -> int:
        """Retry failed jobs, with new attempts, and those that were cancelled with the run. Returns the number of jobs."""
        return self._change("reset")

    def _change(self, verb: str) -> int:
        request = Request("POST", f"{self._path}/{verb}", is_idempotent=False)
        return self._session.read(request, changed_jobs)

    def delete(self) -> None:
        """Delete the run, which has ended, with its results and logs."""
        self._session.read(Request("DELETE", self._path, is_idempotent=False), expect_nothing)

    def rerun(
        self,
        *,
        start: Optional[Sequence[str]] = None,
        only: Optional[Sequence[str]] = None,
        params: Optional[Mapping[str, Any]] = None,
        key: Optional[str] = None,
    ) -> Run:
        """Start a run that repeats this one, which has ended, and reuses results where nothing has changed.

        start: names of steps that run anew, with all that depends on them. only: names of steps that run anew; what depends
        on them, if their results differ. params: new values of parameters. key: requests with the same key start one run.
        """
        body: Dict[str, Any] = {}
        if start is not None:
            body["from"] = list(start)
        if only is not None:
            body["only"] = list(only)
        if params is not None:
            body["params"] = params_to_json(params)
        request = json_request("POST", f"{self._path}/rerun", body, headers=idempotency_key(key))
        return Run(self._session, self._session.read(request, invoked_run))


def idempotency_key(key: Optional[str]) -> Dict[str, str]:
    """Return the header of a key, or of a random one, with which the request may be sent again."""
    if key is None:
        key = str(uuid4())
    if not (0 < len(key) < 256 and key == key.strip() and all(" " <= char <= "~" for char in key)):
        raise InvalidSetting(f"{key!r} is not a key: use 1 to 255 visible ASCII characters")
    return {"idempotency-key": key}


def invoked_run(value: Any) -> str:
    """Read the answer to a request that starts a run: its id."""
    if not isinstance(value, dict) or not isinstance(value.get("run"), str):
        raise ViewError("the answer has no id of a run")
    return run_id(value["run"])


def run_id(text: str) -> str:
    """Return a whole id in its usual form. Raises ViewError if it is none."""
    try:
        return str(UUID(text))
    except ValueError:
        raise ViewError(f"{text!r} is not the id of a run") from None


def _job_page(value: Any) -> Any:
    if not isinstance(value, dict) or "jobs" not in value or "next" not in value:
        raise ViewError("a page of jobs has no `jobs` and `next`")
    following = value["next"]
    if following is not None and not isinstance(following, int):
        raise ViewError("`next` of a page of jobs is no number")
    return list_from_json(Job, value["jobs"]), following


def _failed(job: Job) -> FailedJob:
    if job.failure is None:
        raise UnsupportedValue(f"job {job.id} failed without a failure")
    return FailedJob(job.id, job.step, job.line, job.rounds, job.arguments, job.attempts, job.worker, job.failure)
