"""`threading`, `queue` and `concurrent.futures` on top of `bue._scheduler`.

Python's own modules do most of it: conditions, events, barriers and futures wait with a lock, and threads are started and
joined with a handle. This module replaces those, and what relies on two threads that run in turns.
"""

import _thread
import collections
import concurrent.futures.thread
import contextvars
import functools
import queue
import threading
import time

from bue import _scheduler

# Elements that a queue takes beyond its `maxsize` before it blocks.
_MAX_EXCESS = 10_000


class _Lockable:
    """What locks have in common."""

    def __enter__(self):
        return self.acquire()

    def __exit__(self, *error):
        self.release()

    def locked(self):
        return self._holder is not None

    def _wait(self, blocking, timeout):
        """Wait for the lock to be free. Returns whether it is."""
        if not blocking:
            if timeout != -1:
                raise ValueError("can't specify a timeout for a non-blocking call")
            return self._holder is None
        if timeout != -1 and timeout < 0:
            raise ValueError("timeout value must be a non-negative number")
        if timeout > threading.TIMEOUT_MAX:
            raise OverflowError("timeout value is too large")
        if self._holder is None:
            return True
        holder = self._holder.identity.name
        what = "a lock that it holds itself" if self._holder is _scheduler.current else f"a lock that `{holder}` holds"
        return _scheduler.block(lambda: self._holder is None, _deadline(timeout), what)

    def _take(self):
        self._holder = _scheduler.current
        _scheduler.held[self] = _scheduler.current

    def _free(self):
        self._holder = None
        _scheduler.held.pop(self, None)

    acquire_lock = property(lambda self: self.acquire)
    release_lock = property(lambda self: self.release)
    locked_lock = property(lambda self: self.locked)


class Lock(_Lockable):
    """`threading.Lock`."""

    def __init__(self):
        self._holder = None

    def acquire(self, blocking=True, timeout=-1):
        if (self._holder is not None or timeout != -1) and not self._wait(blocking, timeout):
            return False
        self._holder = _scheduler.held[self] = _scheduler.current
        return True

    def release(self):
        if self._holder is None:
            raise RuntimeError("release unlocked lock")
        self._holder = None
        _scheduler.held.pop(self, None)

    # without calls: they are the most frequent use
    def __enter__(self):
        if self._holder is not None:
            return self.acquire()
        self._holder = _scheduler.held[self] = _scheduler.current
        return True

    def __exit__(self, *error):
        self.release()

    def _at_fork_reinit(self):
        self._free()

    def __repr__(self):
        return f"<{'locked' if self.locked() else 'unlocked'} _thread.lock object at {id(self):#x}>"


class RLock(_Lockable):
    """`threading.RLock`."""

    def __init__(self):
        self._holder = None
        self._count = 0

    def acquire(self, blocking=True, timeout=-1):
        if self._holder is not _scheduler.current:
            if (self._holder is not None or timeout != -1) and not self._wait(blocking, timeout):
                return False
            self._holder = _scheduler.held[self] = _scheduler.current
        self._count += 1
        return True

    def release(self):
        if self._holder is not _scheduler.current:
            raise RuntimeError("cannot release un-acquired lock")
        self._count -= 1
        if not self._count:
            self._holder = None
            _scheduler.held.pop(self, None)

    # without calls: they are the most frequent use
    def __enter__(self):
        if self._holder is None:
            self._holder = _scheduler.held[self] = _scheduler.current
            self._count = 1
            return True
        return self.acquire()

    def __exit__(self, *error):
        if self._count > 1 or self._holder is not _scheduler.current:
            return self.release()
        self._count = 0
        self._holder = None
        _scheduler.held.pop(self, None)

    def _at_fork_reinit(self):
        self._count = 0
        self._free()

    def _is_owned(self):
        return self._holder is _scheduler.current

    def _recursion_count(self):
        return self._count if self._is_owned() else 0

    def _release_save(self):
        if not self._is_owned():
            raise RuntimeError("cannot release un-acquired lock")
        count, self._count = self._count, 0
        self._free()
        return count

    def _acquire_restore(self, count):
        self._wait(True, -1)
        self._take()
        self._count = count

    def __repr__(self):
        state = "locked" if self.locked() else "unlocked"
        return f"<{state} _thread.RLock object count={self._count} at {id(self):#x}>"


class _Waiter:
    """The lock with which `Condition.wait` waits: it is taken twice, and `notify` releases it."""

    def __init__(self):
        self._is_taken = False

    def acquire(self, blocking=True, timeout=-1):
        if self._is_taken and not (blocking and _scheduler.block(lambda: not self._is_taken, _deadline(timeout))):
            return False
        self._is_taken = True
        return True

    def release(self):
        self._is_taken = False


def _deadline(timeout):
    return None if timeout is None or timeout < 0 else time.monotonic() + timeout


class _ThreadTask(_scheduler.Task):
    """The work of a `threading.Thread`."""

    def __init__(self, thread):
        super().__init__(thread._bootstrap, _scheduler.new_identity(thread.name))
        self.is_daemon = thread.daemon
        run = type(thread).run
        target = thread._target if run is threading.Thread.run else run
        # the same function for each one, even if it is defined anew in a loop
        self.target = getattr(target, "__code__", target)


class _Handle:
    """`_thread._ThreadHandle`: the state of a thread."""

    def __init__(self):
        self.task = None

    @property
    def ident(self):
        return self.task.identity.ident if self.task else 0

    def is_done(self):
        return self.task is not None and self.task.is_done

    def join(self, timeout=None):
        if self.task is None:
            raise RuntimeError("thread not started")
        name = self.task.identity.name
        _scheduler.block(self.is_done, _deadline(timeout), f"`{name}` to end", self.task)

    def _set_done(self):
        self.task.is_done = True


# Used by the contexts of threads that have ended: a `ContextVar` finds its cached value by the address of a context.
_contexts = []


def _start(self):
    """`Thread.start`: the thread is queued, and alive from now on."""
    if not self._initialized:
        raise RuntimeError("thread.__init__() not called")
    if self._started.is_set():
        raise RuntimeError("threads can only be started once")
    if self._context is None:
        self._context = contextvars.Context()
    _contexts.append(self._context)
    task = self._os_thread_handle.task = _ThreadTask(self)
    threading._limbo[self] = self
    self._ident = task.identity.ident
    self._started.set()
    if isinstance(self, threading.Timer) and type(self).run is _run_timer:
        # it runs when it is due, instead of waiting on the stack
        task.not_before = time.monotonic() + self.interval
    _scheduler.queued.append(task)


def _run_timer(self):
    """`Timer.run`, which is called when the timer is due or cancelled."""
    if not self.finished.is_set():
        self.function(*self.args, **self.kwargs)
    self.finished.set()


def _cancel_timer(self):
    self.finished.set()
    task = self._os_thread_handle.task
    if task is not None:
        task.not_before = 0.0


def _start_new_thread(function, args, kwargs={}, /):
    """`_thread.start_new_thread`."""
    if not callable(function):
        raise TypeError("first arg must be callable")
    if not isinstance(args, tuple):
        raise TypeError("2nd arg must be a tuple")
    identity = _scheduler.new_identity(getattr(function, "__name__", "thread"))
    task = _scheduler.Task(functools.partial(_run_reported, function, args, dict(kwargs)), identity)
    task.is_daemon = True
    task.target = function
    _scheduler.queued.append(task)
    return identity.ident


def _run_reported(function, args, kwargs):
    try:
        function(*args, **kwargs)
    except SystemExit:
        pass
    except BaseException as error:
        threading.excepthook(threading.ExceptHookArgs([type(error), error, error.__traceback__, None]))


class _Pool:
    """The threads of a `ThreadPoolExecutor`."""

    def __init__(self, executor):
        self.size = executor._max_workers
        self.active = []
        self.queued = 0
        self.idle = []

    def has_room(self):
        return len(self.active) < self.size

    def has_waiting_thread(self):
        return any(task.waits_for_host for task in self.active)

    def is_finished(self):
        return not self.queued and not self.active


class _Worker:
    """A thread of a pool: it keeps its name and its thread-local values from one call to the next."""

    def __init__(self, executor, number):
        self.thread = threading.Thread(name=f"{executor._thread_name_prefix}_{number}", daemon=False)
        self.identity = _scheduler.new_identity(self.thread.name, contextvars.Context())
        _contexts.append(self.identity.context)
        self.thread._ident = self.identity.ident
        self.thread._started.set()
        self.context = executor._create_worker_context()
        self.is_initialized = False


class _PoolTask(_scheduler.Task):
    """One call that was submitted to a pool."""

    def __init__(self, executor, pool):
        super().__init__(None, _scheduler.Identity(0, executor._thread_name_prefix))
        self.executor = executor
        self.pool = pool
        self.worker = None

    def prepare(self):
        """Choose the thread that executes it, before it runs."""
        pool, executor = self.pool, self.executor
        if not pool.idle:
            pool.idle.append(_Worker(executor, len(executor._threads)))
            executor._threads.add(pool.idle[0].thread)
        self.worker = pool.idle.pop()
        self.identity = self.worker.identity
        pool.queued -= 1
        pool.active.append(self)

    def run(self):
        worker = self.worker
        threading._active[worker.identity.ident] = worker.thread
        try:
            if worker.is_initialized or self._initialize():
                self._execute()
        finally:
            del threading._active[worker.identity.ident]
            self.pool.active.remove(self)
            self.pool.idle.append(worker)

    def _initialize(self):
        try:
            self.worker.context.initialize()
        except BaseException:
            concurrent.futures._base.LOGGER.critical("Exception in initializer:", exc_info=True)
            self.executor._initializer_failed()
            return False
        self.worker.is_initialized = True
        return True

    def _execute(self):
        try:
            item = self.executor._work_queue.get_nowait()
        except queue.Empty:
            # cancelled by `shutdown`
            return
        if item is None:
            return
        item.run(self.worker.context)
        if _scheduler.ends_threads() and isinstance(item.future._exception, SystemExit):
            # the call was not done, and did not ask to end the program
            item.future._exception = concurrent.futures.CancelledError("the thread ended so that the main one could go on")


def _queue_call(self):
    """`ThreadPoolExecutor._adjust_thread_count`, which `submit` calls when it has queued a call."""
    pool = _pool_of(self)
    pool.queued += 1
    _scheduler.queued.append(_PoolTask(self, pool))


def _pool_of(executor):
    return executor.__dict__.get("_bue_pool") or executor.__dict__.setdefault("_bue_pool", _Pool(executor))


def _shutdown(self, wait=True, *, cancel_futures=False, shutdown=concurrent.futures.ThreadPoolExecutor.shutdown):
    """`ThreadPoolExecutor.shutdown`."""
    shutdown(self, wait=False, cancel_futures=cancel_futures)
    if wait:
        _scheduler.block(_pool_of(self).is_finished, None, "the calls of a pool to end")


def _acquire_semaphore(self, blocking=True, timeout=None, acquire=threading.Semaphore.acquire):
    """`Semaphore.acquire`: while nothing is left of it, what needs it must not be started on top."""
    is_acquired = acquire(self, blocking, timeout)
    if is_acquired and not self._value:
        _scheduler.held[self] = _scheduler.current
    return is_acquired


def _releasing(release):
    @functools.wraps(release)
    def release_semaphore(self, n=1):
        release(self, n)
        _scheduler.held.pop(self, None)

    return release_semaphore


def _notify(self, n=1, notify=threading.Condition.notify):
    """`Condition.notify`: a thread that wakes others does not only wait for them, however often it sleeps."""
    _scheduler.current.sleeps = 0
    notify(self, n)


def _put(self, item, block=True, timeout=None, put=queue.Queue.put):
    """`Queue.put`: rather than wait for a thread below, which cannot go on, take more than `maxsize`."""
    if timeout is None and getattr(self.mutex, "_holder", self) is None and not self.not_empty._waiters and type(self) in _TAKE:
        # no other thread runs before it is changed, so that it needs no locks
        if not self.is_shutdown and not 0 < self.maxsize <= len(self.queue):
            _scheduler.current.sleeps = 0
            self.queue.append(item)
            self.unfinished_tasks += 1
            return
    if block and self.maxsize > 0 and (len(_scheduler.stack) > 1 or _scheduler.queued):
        with self.not_full:
            size = self._qsize()
            if self.maxsize <= size < self.maxsize + _MAX_EXCESS and not self.is_shutdown:
                self._put(item)
                self.unfinished_tasks += 1
                self.not_empty.notify()
                return
    put(self, item, block, timeout)


def _get(self, block=True, timeout=None, get=queue.Queue.get):
    """`Queue.get`."""
    if timeout is None and getattr(self.mutex, "_holder", self) is None and not self.not_full._waiters and type(self) in _TAKE and self.queue:
        _scheduler.current.sleeps = 0
        return _TAKE[type(self)](self.queue)
    return get(self, block, timeout)


# how the next element is taken from the queues of these classes
_TAKE = {queue.Queue: collections.deque.popleft, queue.LifoQueue: list.pop}


class SimpleQueue:
    """`queue.SimpleQueue`."""

    def __init__(self):
        self._items = collections.deque()
        self._is_filled = threading.Condition(Lock())

    def put(self, item, block=True, timeout=None):
        with self._is_filled:
            self._items.append(item)
            self._is_filled.notify()

    def get(self, block=True, timeout=None):
        if timeout is not None and timeout < 0:
            raise ValueError("'timeout' must be a non-negative number")
        with self._is_filled:
            if not self._items and not (block and self._is_filled.wait_for(lambda: self._items, timeout)):
                raise queue.Empty
            return self._items.popleft()

    def put_nowait(self, item):
        self.put(item)

    def get_nowait(self):
        return self.get(False)

    def empty(self):
        return not self._items

    def qsize(self):
        return len(self._items)

    __class_getitem__ = classmethod(type(list[int]))


class _LocalState:
    """What a `threading.local` keeps besides the attributes of the current thread."""

    def __init__(self, identity, args, kwargs):
        self.identity = identity
        self.args = args
        self.kwargs = kwargs


class Local:
    """`threading.local`: its `__dict__` is exchanged when another thread accesses it."""

    __slots__ = ("_bue_state", "__dict__", "__weakref__")

    def __new__(cls, /, *args, **kwargs):
        if (args or kwargs) and cls.__init__ is object.__init__:
            raise TypeError("Initialization arguments are not supported")
        self = object.__new__(cls)
        state = _LocalState(_scheduler.current.identity, args, kwargs)
        object.__setattr__(self, "_bue_state", state)
        state.identity.locals[state] = object.__getattribute__(self, "__dict__")
        return self

    def __getattribute__(self, name):
        _exchange(self)
        return object.__getattribute__(self, name)

    def __setattr__(self, name, value):
        if name == "__dict__":
            raise AttributeError(f"{type(self).__name__!r} object attribute '__dict__' is read-only")
        _exchange(self)
        object.__setattr__(self, name, value)

    def __delattr__(self, name):
        if name == "__dict__":
            raise AttributeError(f"{type(self).__name__!r} object attribute '__dict__' is read-only")
        _exchange(self)
        object.__delattr__(self, name)


def _exchange(local):
    state = object.__getattribute__(local, "_bue_state")
    identity = _scheduler.current.identity
    if state.identity is identity:
        return
    state.identity = identity
    attributes = identity.locals.get(state)
    if attributes is not None:
        object.__setattr__(local, "__dict__", attributes)
        return
    attributes = identity.locals[state] = {}
    object.__setattr__(local, "__dict__", attributes)
    type(local).__init__(local, *state.args, **state.kwargs)


def _get_ident():
    return _scheduler.current.identity.ident


def _patch():
    _thread.allocate_lock = _thread.lock = _thread.LockType = threading.Lock = threading._LockType = Lock
    _thread.RLock = threading._CRLock = RLock
    threading._allocate_lock = _Waiter
    threading._active_limbo_lock = RLock()
    _thread.get_ident = threading.get_ident = _get_ident
    _thread.start_new_thread = _thread.start_new = _start_new_thread
    _thread._ThreadHandle = threading._ThreadHandle = _Handle
    _thread._local = threading.local = Local
    threading.Thread.start = _start
    threading.Timer.run = _run_timer
    threading.Timer.cancel = _cancel_timer
    threading.Condition.notify = _notify
    threading.Semaphore.acquire = threading.Semaphore.__enter__ = _acquire_semaphore
    threading.Semaphore.release = _releasing(threading.Semaphore.release)
    threading.BoundedSemaphore.release = _releasing(threading.BoundedSemaphore.release)
    queue.Queue.put, queue.Queue.get = _put, _get
    queue.SimpleQueue = SimpleQueue
    pool = concurrent.futures.thread
    pool.ThreadPoolExecutor._adjust_thread_count = _queue_call
    pool.ThreadPoolExecutor.shutdown = _shutdown
    # it was made before this module
    pool._global_shutdown_lock = Lock()


_patch()
