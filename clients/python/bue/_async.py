"""The asynchronous client: each call of the synchronous one runs in a thread of its own.

There is one implementation. If a task is cancelled, the connection of its call is closed, so that its thread ends at once.
The threads are daemons: none of them keeps the program from ending.
"""

from __future__ import annotations

import asyncio
import os
import threading
from types import TracebackType
from typing import (
    Any,
    AsyncIterator,
    BinaryIO,
    Callable,
    Iterable,
    Iterator,
    List,
    Mapping,
    Optional,
    Sequence,
    Type,
    TypeVar,
    Union,
)

from ._bucket import Bucket, Expires
from ._cancel import Cancelled, Scope
from ._hub import Hub, Pipelines, Schedules, Since, When
from ._results import CallResult
from ._run import Run
from ._views import (
    AppliedSchedule,
    BackfillProgress,
    BucketKey,
    ChangedRuns,
    ErrorEntry,
    FailedJob,
    HubInfo,
    Job,
    LogLines,
    Pipeline,
    PipelineSummary,
    Published,
    RunStatus,
    Schedule,
    Worker,
)

T = TypeVar("T")


async def in_thread(function: Callable[..., T], *args: Any, **options: Any) -> T:
    """Call a function in a thread and return what it returns. If this task is cancelled, the call is interrupted."""
    loop = asyncio.get_running_loop()
    future: asyncio.Future[T] = loop.create_future()
    scope = Scope()

    def settle(value: Any, error: Optional[BaseException]) -> None:
        if future.done():
            return
        if error is not None:
            future.set_exception(error)
        else:
            future.set_result(value)

    def work() -> None:
        value: Any = None
        caught: Optional[BaseException] = None
        try:
            with scope.entered():
                value = function(*args, **options)
        except Cancelled:
            return
        except StopIteration:
            caught = RuntimeError("an iterator ended unexpectedly")
        except BaseException as error:
            caught = error
        try:
            loop.call_soon_threadsafe(settle, value, caught)
        except RuntimeError:
            # the loop is closed: nobody waits any more
            pass

    threading.Thread(target=work, name="bue", daemon=True).start()
    try:
        return await future
    except asyncio.CancelledError:
        scope.cancel()
        raise


_END: Any = object()


async def _iterate(make: Callable[[], Iterator[T]]) -> AsyncIterator[T]:
    """Iterate over what a synchronous iterator returns, each element in a thread."""
    iterator = make()
    try:
        while True:
            item = await in_thread(next, iterator, _END)
            if item is _END:
                return
            yield item
    finally:
        close = getattr(iterator, "close", None)
        if close is not None:
            try:
                close()
            except (ValueError, Cancelled):
                # the thread of a cancelled call is about to leave it
                pass


class AsyncRun:
    """A run, as `Run`, with methods to await."""

    def __init__(self, run: Run) -> None:
        self._run = run
        self.id = run.id

    def __repr__(self) -> str:
        return f"<bue.AsyncRun {self.id}>"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, AsyncRun) and other.id == self.id

    def __hash__(self) -> int:
        return hash(self.id)

    async def status(self) -> RunStatus:
        """As `Run.status`."""
        return await in_thread(self._run.status)

    async def wait(self, timeout: Optional[float] = None, *, check: bool = True) -> AsyncRun:
        """As `Run.wait`."""
        await in_thread(self._run.wait, timeout, check=check)
        return self

    def results(self) -> AsyncIterator[Any]:
        """As `Run.results`, to be iterated with `async for`."""
        return _iterate(self._run.results)

    def calls(self) -> AsyncIterator[CallResult]:
        """As `Run.calls`, to be iterated with `async for`."""
        return _iterate(self._run.calls)

    async def errors(self) -> List[FailedJob]:
        """As `Run.errors`."""
        return await in_thread(self._run.errors)

    def jobs(self, *, step: Optional[str] = None, state: Optional[str] = None) -> AsyncIterator[Job]:
        """As `Run.jobs`, to be iterated with `async for`."""
        return _iterate(lambda: self._run.jobs(step=step, state=state))

    def logs(self, *, step: Optional[str] = None) -> AsyncIterator[LogLines]:
        """As `Run.logs`, to be iterated with `async for`."""
        return _iterate(lambda: self._run.logs(step=step))

    async def job_log(self, job: int) -> str:
        """As `Run.job_log`."""
        return await in_thread(self._run.job_log, job)

    def follow(self, *, step: Optional[str] = None) -> AsyncIterator[LogLines]:
        """As `Run.follow`, to be iterated with `async for`."""
        return _iterate(lambda: self._run.follow(step=step))

    async def cancel(self) -> int:
        """As `Run.cancel`."""
        return await in_thread(self._run.cancel)

    async def reset(self) -> int:
        """As `Run.reset`."""
        return await in_thread(self._run.reset)

    async def delete(self) -> None:
        """As `Run.delete`."""
        await in_thread(self._run.delete)

    async def rerun(
        self,
        *,
        start: Optional[Sequence[str]] = None,
        only: Optional[Sequence[str]] = None,
        params: Optional[Mapping[str, Any]] = None,
        key: Optional[str] = None,
    ) -> AsyncRun:
        """As `Run.rerun`."""
        return AsyncRun(await in_thread(self._run.rerun, start=start, only=only, params=params, key=key))


class AsyncFile:
    """A value of the bucket, open for reading or writing: use it in an `async with` statement."""

    def __init__(self, open_file: Callable[[], BinaryIO]) -> None:
        self._open = open_file
        self._file: Optional[BinaryIO] = None

    async def __aenter__(self) -> AsyncFile:
        self._file = await in_thread(self._open)
        return self

    async def __aexit__(
        self, kind: Optional[Type[BaseException]], error: Optional[BaseException], trace: Optional[TracebackType]
    ) -> None:
        await in_thread(self._opened().__exit__, kind, error, trace)

    def _opened(self) -> BinaryIO:
        if self._file is None:
            raise ValueError("use the file in an `async with` statement")
        return self._file

    async def read(self, size: int = -1) -> bytes:
        """Return the next bytes, at most `size`; all of them if it is negative; none at the end."""
        return await in_thread(self._opened().read, size)

    async def write(self, data: bytes) -> int:
        """Append bytes to the value."""
        return await in_thread(self._opened().write, data)


class AsyncBucket:
    """Named values in the bucket, as `Bucket`, with methods to await."""

    def __init__(self, bucket: Bucket) -> None:
        self._bucket = bucket

    async def get(self, key: str, *, max_bytes: int = 256 * 1024 * 1024) -> Optional[bytes]:
        """As `Bucket.get`."""
        return await in_thread(self._bucket.get, key, max_bytes=max_bytes)

    async def set(
        self,
        key: str,
        value: Union[bytes, bytearray, memoryview, BinaryIO, Iterable[bytes]],
        *,
        expires: Expires = None,
    ) -> None:
        """As `Bucket.set`."""
        await in_thread(self._bucket.set, key, value, expires=expires)

    def list(self, prefix: str = "") -> AsyncIterator[BucketKey]:
        """As `Bucket.list`, to be used in an `async for` loop."""
        return _iterate(lambda: self._bucket.list(prefix))

    async def delete(self, key: str) -> bool:
        """As `Bucket.delete`."""
        return await in_thread(self._bucket.delete, key)

    def open(self, key: str, mode: str = "rb", *, expires: Expires = None) -> AsyncFile:
        """As `Bucket.open`, for an `async with` statement."""
        return AsyncFile(lambda: self._bucket.open(key, mode, expires=expires))


class AsyncPipelines:
    """The published pipelines, as `Pipelines`, with methods to await."""

    def __init__(self, pipelines: Pipelines) -> None:
        self._pipelines = pipelines

    async def list(self) -> List[PipelineSummary]:
        """As `Pipelines.list`."""
        return await in_thread(self._pipelines.list)

    async def get(self, name: str) -> Pipeline:
        """As `Pipelines.get`."""
        return await in_thread(self._pipelines.get, name)

    async def publish(
        self, path: Union[str, os.PathLike[str]], *, name: Optional[str] = None, timeout: Optional[float] = None
    ) -> Published:
        """As `Pipelines.publish`."""
        return await in_thread(self._pipelines.publish, path, name=name, timeout=timeout)

    async def unpublish(self, name: str) -> None:
        """As `Pipelines.unpublish`."""
        await in_thread(self._pipelines.unpublish, name)

    async def invoke_many(
        self,
        name: str,
        params: Sequence[Mapping[str, Any]],
        *,
        keys: Optional[Sequence[str]] = None,
        priority: Optional[int] = None,
    ) -> Sequence[AsyncRun]:
        """As `Pipelines.invoke_many`."""
        runs = await in_thread(self._pipelines.invoke_many, name, params, keys=keys, priority=priority)
        return [AsyncRun(run) for run in runs]


class AsyncSchedules:
    """The schedules, as `Schedules`, with methods to await."""

    def __init__(self, schedules: Schedules) -> None:
        self._schedules = schedules

    def list(self) -> AsyncIterator[Schedule]:
        """As `Schedules.list`, to be iterated with `async for`."""
        return _iterate(self._schedules.list)

    async def get(self, name: str) -> Schedule:
        """As `Schedules.get`."""
        return await in_thread(self._schedules.get, name)

    async def set(
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
        """As `Schedules.set`."""
        return await in_thread(
            self._schedules.set,
            name,
            pipeline=pipeline,
            cron=cron,
            every=every,
            timezone=timezone,
            params=params,
            priority=priority,
            overlap=overlap,
            catch_up=catch_up,
            jitter=jitter,
            start=start,
            until=until,
        )

    async def apply(
        self, schedules: Mapping[str, Mapping[str, Any]], *, prune: bool = False, dry_run: bool = False
    ) -> Sequence[AppliedSchedule]:
        """As `Schedules.apply`."""
        return await in_thread(self._schedules.apply, schedules, prune=prune, dry_run=dry_run)

    async def pause(self, name: str) -> None:
        """As `Schedules.pause`."""
        await in_thread(self._schedules.pause, name)

    async def resume(self, name: str) -> None:
        """As `Schedules.resume`."""
        await in_thread(self._schedules.resume, name)

    async def delete(self, name: str) -> None:
        """As `Schedules.delete`."""
        await in_thread(self._schedules.delete, name)

    async def run(self, name: str, *, key: Optional[str] = None) -> AsyncRun:
        """As `Schedules.run`."""
        return AsyncRun(await in_thread(self._schedules.run, name, key=key))

    def backfill(
        self, name: str, start: When, end: When, *, at_most: Optional[int] = None, timeout: Optional[float] = None
    ) -> AsyncIterator[BackfillProgress]:
        """As `Schedules.backfill`, to be iterated with `async for`."""
        return _iterate(lambda: self._schedules.backfill(name, start, end, at_most=at_most, timeout=timeout))


class AsyncHub:
    """A hub, as `Hub`, with methods to await. Each call that is under way has a thread."""

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
        self._hub = Hub(url, token, bucket=bucket, ca=ca, client_cert=client_cert, client_key=client_key, timeout=timeout)
        self.bucket = AsyncBucket(self._hub.bucket)
        self.pipelines = AsyncPipelines(self._hub.pipelines)
        self.schedules = AsyncSchedules(self._hub.schedules)

    def __repr__(self) -> str:
        return repr(self._hub).replace("Hub", "AsyncHub", 1)

    async def __aenter__(self) -> AsyncHub:
        return self

    async def __aexit__(self, *_: object) -> None:
        self._hub.close()

    async def close(self) -> None:
        """As `Hub.close`."""
        self._hub.close()

    async def info(self) -> HubInfo:
        """As `Hub.info`."""
        return await in_thread(self._hub.info)

    async def upload(
        self,
        path: Union[None, str, os.PathLike[str]] = None,
        *,
        code: Optional[str] = None,
        params: Optional[Mapping[str, Any]] = None,
        folder: Union[None, str, os.PathLike[str]] = None,
        name: Optional[str] = None,
        timeout: Optional[float] = None,
    ) -> AsyncRun:
        """As `Hub.upload`."""
        return AsyncRun(
            await in_thread(self._hub.upload, path, code=code, params=params, folder=folder, name=name, timeout=timeout)
        )

    async def invoke(
        self,
        pipeline: str,
        /,
        *,
        key: Optional[str] = None,
        priority: Optional[int] = None,
        params: Optional[Mapping[str, Any]] = None,
        **values: Any,
    ) -> AsyncRun:
        """As `Hub.invoke`."""
        return AsyncRun(await in_thread(self._hub.invoke, pipeline, key=key, priority=priority, params=params, **values))

    async def run(self, id: str) -> AsyncRun:
        """As `Hub.run`."""
        return AsyncRun(await in_thread(self._hub.run, id))

    def runs(
        self,
        *,
        state: Union[None, str, Sequence[str]] = None,
        pipeline: Optional[str] = None,
        name: Optional[str] = None,
        params: Optional[Mapping[str, Any]] = None,
        since: Optional[Since] = None,
        until: Optional[Since] = None,
    ) -> AsyncIterator[RunStatus]:
        """As `Hub.runs`, to be iterated with `async for`."""
        return _iterate(
            lambda: self._hub.runs(state=state, pipeline=pipeline, name=name, params=params, since=since, until=until)
        )

    def errors(
        self, *, step: Optional[str] = None, since: Optional[Since] = None, until: Optional[Since] = None
    ) -> AsyncIterator[ErrorEntry]:
        """As `Hub.errors`, to be iterated with `async for`."""
        return _iterate(lambda: self._hub.errors(step=step, since=since, until=until))

    async def cancel_runs(self, *, dry_run: bool = False, all: bool = False, **filter: Any) -> ChangedRuns:
        """As `Hub.cancel_runs`."""
        return await in_thread(self._hub.cancel_runs, dry_run=dry_run, all=all, **filter)

    async def reset_runs(self, *, dry_run: bool = False, all: bool = False, **filter: Any) -> ChangedRuns:
        """As `Hub.reset_runs`."""
        return await in_thread(self._hub.reset_runs, dry_run=dry_run, all=all, **filter)

    async def delete_runs(self, *, dry_run: bool = False, all: bool = False, **filter: Any) -> ChangedRuns:
        """As `Hub.delete_runs`."""
        return await in_thread(self._hub.delete_runs, dry_run=dry_run, all=all, **filter)

    async def job(self, id: int) -> Job:
        """As `Hub.job`."""
        return await in_thread(self._hub.job, id)

    async def workers(self) -> List[Worker]:
        """As `Hub.workers`."""
        return await in_thread(self._hub.workers)
