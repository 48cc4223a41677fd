"""`buelon.hub`: submitting scripts, and the states of jobs.

The hub is that of BUE_HUB, or of PIPE_WORKER_HOST and PIPE_WORKER_PORT.
"""

from __future__ import annotations

from typing import Any, Callable, Dict, Iterable, Iterator, List, Optional, Tuple

import bue

from ._missing import missing
from .core.step import Job

__getattr__ = missing(__name__, "`bue.Hub` is the client of a hub")

# The states of jobs, under Buelon's names.
_STATUSES = {
    "blocked": "queued",
    "available": "pending",
    "running": "working",
    "completed": "success",
    "failed": "error",
    "cancelled": "cancel",
}


def upload_code_to_server(code: str, return_jobs: bool = False) -> Optional[List[Job]]:
    """Submit a script. With return_jobs, returns its jobs; those of loops are not among them before the loop has started."""
    with bue.Hub() as hub:
        run = hub.upload(code=code)
        return _jobs(run) if return_jobs else None


def upload_file_to_server(file_path: str, return_jobs: bool = False) -> Optional[List[Job]]:
    """Submit the script in a file. Its steps' files are beside it."""
    with bue.Hub() as hub:
        run = hub.upload(file_path)
        return _jobs(run) if return_jobs else None


def upload_pipe_code(
    code: str,
    lazy_steps: bool = False,
    wait_until_finish: bool = False,
    return_job_ids: bool = False,
    *,
    job_handler: Optional[Callable[[Job], Any]] = None,
) -> Optional[List[str]]:
    """Submit a script, as older versions of Buelon do. lazy_steps has no effect. job_handler is called with each job.

    Raises bue.RunFailed if wait_until_finish is set and the run fails.
    """
    with bue.Hub() as hub:
        return _after_upload(hub.upload(code=code), wait_until_finish, return_job_ids, job_handler)


def upload_pipe_code_from_file(file_path: str, lazy_steps: bool = False, wait_until_finish: bool = False) -> None:
    """Submit the script in a file, as older versions of Buelon do."""
    with bue.Hub() as hub:
        _after_upload(hub.upload(file_path), wait_until_finish, False, None)


def submit_pipe_code(code: str, scope: Optional[str] = None, priority: int = 0) -> None:
    """Submit a script. It is compiled here and not on a worker, so scope and priority of that job have no effect."""
    upload_code_to_server(code)


def submit_pipe_code_from_file(file_path: str, scope: Optional[str] = None) -> None:
    """Submit the script in a file."""
    upload_file_to_server(file_path)


def _after_upload(
    run: bue.Run, wait_until_finish: bool, return_job_ids: bool, job_handler: Optional[Callable[[Job], Any]]
) -> Optional[List[str]]:
    for job in _jobs(run) if job_handler is not None else ():
        job_handler(job)  # type: ignore[misc]
    if wait_until_finish:
        run.wait()
    return [job.id for job in _jobs(run)] if return_job_ids else None


def check_job_status(job_id: str) -> str:
    """Return the state of a job under Buelon's name, such as `success`; `unknown` if the hub has no such job."""
    with bue.Hub() as hub:
        return _status(hub, job_id)


def check_job_status_bulk(job_ids: Iterable[str]) -> Dict[str, str]:
    """Return the states of jobs by their ids."""
    with bue.Hub() as hub:
        return {job_id: _status(hub, job_id) for job_id in job_ids}


def _status(hub: bue.Hub, job_id: str) -> str:
    if not (str(job_id).isascii() and str(job_id).isdigit()):
        return "unknown"
    try:
        return _STATUSES[hub.job(int(job_id)).state.value]
    except bue.NotFound:
        return "unknown"


def get_all_info_from_server() -> Tuple[List[Job], List[Job], List[Job], List[Job], Dict[str, Any]]:
    """Return the jobs that are ready or run, that are done, that wait for others, and that failed; and the errors by the ids
    of the failed jobs: dicts with `error`, `trace` and `worker_name`.

    Results are those of a run: `bue.Hub().run(id).results()`. Cancelled jobs are in none of the lists.
    """
    lists: Dict[str, List[Job]] = {name: [] for name in _STATUSES.values()}
    errors: Dict[str, Any] = {}
    with bue.Hub() as hub:
        for status in hub.runs():
            for job in hub.run(status.id).jobs():
                lists[_STATUSES[job.state.value]].append(_job(job))
                if job.failure is not None and job.state == "failed":
                    errors[str(job.id)] = _error(job.failure, job.worker)
    return lists["pending"] + lists["working"], lists["success"], lists["queued"], lists["error"], errors


def reset_errors_from_server() -> None:
    """Make all failed jobs available again, with new attempts."""
    with bue.Hub() as hub:
        hub.reset_runs(state=["running", "failed"])


def cancel_errors_from_server() -> None:
    """Cancel the runs that go on although jobs of them have failed. Runs that have ended stay as they are."""
    with bue.Hub() as hub:
        for run in _failed_runs(hub, only_running=True):
            run.cancel()


def _failed_runs(hub: bue.Hub, only_running: bool = False) -> Iterator[bue.Run]:
    for status in hub.runs():
        if status.counts.failed > 0 and (not only_running or status.state == bue.RunState.running):
            yield hub.run(status.id)


def display_errors_from_server() -> None:
    """Print the failed jobs with their tracebacks."""
    texts = []
    with bue.Hub() as hub:
        for run in _failed_runs(hub):
            for error in run.errors():
                head = f"name: {error.step} | job id: {error.job}"
                texts.append(f"{head}\n\nError: {error.failure.message}\nTraceback:\n{error.failure.trace or ''}")
    print("\n\n----****----\n\n".join(texts))


def display_from_server(prefix: str = "", suffix: str = "", return_value: bool = False) -> Optional[str]:
    """Print the numbers of jobs in one line, or return it."""
    with bue.Hub() as hub:
        counts = [status.counts for status in hub.runs()]
    done, errors = sum(one.completed for one in counts), sum(one.failed for one in counts)
    queued, jobs = sum(one.blocked for one in counts), sum(one.available for one in counts)
    holds = sum(one.running for one in counts)
    remaining = queued + errors + jobs + holds
    text = f"done: {done:,}, queued: {queued:,}, errors: {errors:,}, jobs: {jobs:,}, holds: {holds:,}, "
    text = f"{prefix}{text}remaining: {remaining:,}, total: {remaining + done:,}{suffix}"
    if return_value:
        return text
    print(text)
    return None


def save_from_server() -> None:
    """Do nothing: the hub stores every change at once."""


def _jobs(run: bue.Run) -> List[Job]:
    return [_job(job) for job in run.jobs()]


def _job(job: bue.Job) -> Job:
    return Job(str(job.id), job.step, job.run)


def _error(failure: bue.Failure, worker: Optional[str]) -> Dict[str, Optional[str]]:
    return {"error": failure.message, "trace": failure.trace or "", "worker_name": worker}
