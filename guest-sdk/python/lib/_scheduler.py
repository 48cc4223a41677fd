"""Threads on one stack.

A sandbox has one thread and one stack. What is given to another thread is queued. Where a thread has to wait, the next
queued one is started on top of it, on the same stack: all of them have their requests in flight. The one on top ends first.

So a thread goes on only after everything that was started on top of it has ended. A program that needs another order (two
threads that answer each other in turns) is reported as a deadlock, with what each thread waits for. To avoid that as far as
possible, not everything is started everywhere:

- A thread that waits for another thread needs some thread to go on: any is started, the one that it waits for first.
- A thread that waits for a response or sleeps goes on by itself. Only what is likely to be independent of it is started on
  top: what was submitted to a pool, threads with the same function, and timers that are due; nothing while a lock is held,
  which it might need. A thread that sleeps again and again, and wakes no other, waits for something to happen, so anything
  is started.
"""

import _thread
import itertools
import sys
import time

import _bue_net
import _bue_threads

# Bytes of the native stack that a thread finds when it is started, at least: as much as most functions need. Where nothing
# else could go on, less is accepted.
_OPTIONAL_STACK = 192 * 1024
_NEEDED_STACK = 96 * 1024
# Nested calls of Python functions that each thread may make. The frames of the threads below do not count.
_MAX_FRAMES = 1000
# After this many sleeps in a row, a thread is taken to wait for something that another thread does.
_PATIENT_SLEEPS = 2
# After this many waits with a timeout that only a thread below could have ended, the log says so: it may go on forever.
_PATIENT_WAITS = 3

_ADVICE = (
    "Threads of a step share one stack: one that waits goes on only when those that started since have ended. Calls that are"
    " submitted to a ThreadPoolExecutor, and do not wait for each other, always can"
)

# Seconds that a step sleeps at most. Longer sleeps are the interpreter's, which knows which are errors.
_MAX_SLEEP = 1e8

_native_sleep = time.sleep
_next_ident = itertools.count(2).__next__


class Identity:
    """What a thread is to the program: its identifier, its thread-local values and its context variables. The threads of a
    pool keep theirs from one call to the next."""

    def __init__(self, ident, name, context=None):
        self.ident = ident
        self.name = name
        self.context = context
        # for each `threading.local`, its dict
        self.locals = {}


class Task:
    """The work of a thread, queued, running or done."""

    is_daemon = False
    # for work of a pool: the pool, which limits how much of it runs at once
    pool = None
    # what the thread executes; threads with equal ones are taken to be independent of each other
    target = None
    # `time.monotonic()` at which it may start, for a timer
    not_before = 0.0

    def __init__(self, function, identity):
        self.function = function
        self.identity = identity
        self.is_done = False
        # does it wait for the host, so that it goes on by itself?
        self.waits_for_host = False
        self.sleeps = self.stuck_waits = 0
        # seconds during which others ran on top, and those of them in which the step did not wait
        self.suspended = 0.0
        self.suspended_busy = 0.0
        # `process_time()` when it began
        self.began_busy = 0.0

    def prepare(self):
        """Called before another thread switches to this one."""

    def run(self):
        self.function()


main = Task(None, Identity(_thread.get_ident(), "MainThread"))
current = main
# what runs now, the main thread first; each one runs on top of the one before
stack = [main]
# what has not started, in the order in which it was queued; also read by the native part of the guest
queued = []
# locks that are held, and semaphores that have nothing left, each with the task that took it
held = {}

# seconds that the step has waited for the host
_waited = 0.0
_noted = set()
# what the main thread does as soon as all threads on top of it have ended
_for_main = None
# names of daemon threads that were ended because they would have waited forever
_ended = []


def new_identity(name, context=None):
    return Identity(_next_ident(), name, context)


def clock():
    """A monotonic clock that stands still for a thread while others run on top of it: what happened meanwhile counts as
    having happened at once."""
    return time.monotonic() - current.suspended


def process_time():
    """`time.process_time`: the time in which the step does not wait. Only differences mean something."""
    return time.monotonic() - _waited


def thread_time():
    """`time.thread_time`: the same for the current thread."""
    return process_time() - current.began_busy - current.suspended_busy


def block(is_ready, deadline, what="another thread", wanted=None):
    """Wait for what another thread does, until `time.monotonic()` is the deadline. Returns whether it is ready."""
    current.sleeps = 0
    while not is_ready():
        if deadline is not None and time.monotonic() >= deadline:
            return _give_up(what)
        if run_needed(wanted):
            continue
        due = _next_due()
        if deadline is None and due is None:
            _end_or_fail(what)
        _timed(_sleep, (), max(min(end for end in (deadline, due) if end is not None) - time.monotonic(), 0))
    return True


def wait_for_host(wait, tickets, seconds, is_woken=None):
    """Wait for operations of the host with `wait(tickets, seconds)`, and run other threads meanwhile. Returns early and
    empty-handed if one of them made `is_woken` true."""
    current.sleeps = current.sleeps + 1 if wait is _sleep else 0
    if not queued:
        return _timed(wait, tickets, seconds, is_woken)
    current.waits_for_host = True
    try:
        return _wait_and_run(wait, tickets, seconds, is_woken)
    finally:
        current.waits_for_host = False


def wait_alone(wait, tickets, seconds):
    """Wait for operations of the host, and start no other thread meanwhile."""
    current.sleeps = 0
    return _timed(wait, tickets, seconds)


def _wait_and_run(wait, tickets, seconds, is_woken):
    deadline = None if seconds is None else time.monotonic() + seconds
    while queued:
        completions = wait(tickets, 0)
        if completions or (deadline is not None and time.monotonic() >= deadline) or (is_woken is not None and is_woken()):
            return completions
        task = _next_independent()
        if task is not None:
            _run(task)
            continue
        due = _next_due()
        if due is None or (deadline is not None and deadline <= due):
            break
        completions = _timed(wait, tickets, max(due - time.monotonic(), 0), is_woken)
        if completions:
            return completions
    # the last of them may have done it
    if is_woken is not None and is_woken():
        return ()
    return _timed(wait, tickets, None if deadline is None else max(deadline - time.monotonic(), 0), is_woken)


def _timed(wait, tickets, seconds, is_woken=None):
    """Wait, and add it to the time that the step has waited. The host ends a wait when the soft limit is reached."""
    global _waited
    began = time.monotonic()
    try:
        completions = wait(tickets, seconds)
        while not completions and _bue_threads.take_interrupt():
            _deliver_soft_limit()
            if is_woken is not None and is_woken():
                break
            completions = wait(tickets, None if seconds is None else max(began + seconds - time.monotonic(), 0))
        return completions
    finally:
        _waited += time.monotonic() - began


def _deliver_soft_limit():
    from bue import _soft_limit

    _soft_limit.deliver()


def _sleep(tickets, seconds):
    return _bue_net.wait((), seconds) if seconds else ()


def sleep(seconds, /):
    """`time.sleep`, during which other threads may run."""
    if not isinstance(seconds, (int, float)) or not 0 <= seconds <= _MAX_SLEEP:
        # an error, or a number of another type
        return _native_sleep(seconds)
    wait_for_host(_sleep, (), seconds)


def wait_for_timer(seconds, is_woken):
    """Sleep, but return early if another thread made `is_woken` true."""
    wait_for_host(_sleep, (), seconds, is_woken)


def run_needed(wanted=None):
    """Start a thread because one that waits needs it. Returns False if there is none that can start."""
    task = _next_needed(wanted)
    if task is None:
        return False
    if _bue_threads.stack_left() < _NEEDED_STACK:
        raise RecursionError(f"{len(stack)} threads wait for each other, and there is no stack left for another one")
    _run(task)
    return True


def finish():
    """Run what is still queued when the step's function has returned, as Python does before it exits. Daemon threads are
    not waited for."""
    block(lambda: all(task.is_daemon for task in queued), None)


def _next_needed(wanted):
    now = time.monotonic()
    ready = [task for task in queued if task.not_before <= now]
    if wanted in ready:
        return wanted
    startable = [task for task in ready if task.pool is None or task.pool.has_room()]
    # a thread of a full pool below may have its response and only wait for its turn: then another one may take its place
    startable = startable or [task for task in ready if task.pool.has_waiting_thread()]
    return min(startable, key=lambda task: task.is_daemon, default=None)


def _next_independent():
    now = time.monotonic()
    startable = [task for task in queued if task.not_before <= now and _is_independent(task)]
    if not startable:
        return None
    if held:
        return _note_sequential("a lock is held")
    if _bue_threads.stack_left() < _OPTIONAL_STACK:
        return _note_sequential(f"{len(stack)} of them wait already, and there is no stack left for another one")
    return startable[0]


def _is_independent(task):
    if task.pool is not None:
        return task.pool.has_room()
    is_timer = task.not_before > 0
    return is_timer or (task.target is not None and task.target == current.target) or current.sleeps > _PATIENT_SLEEPS


def _next_due():
    return min((task.not_before for task in queued if task.not_before > 0), default=None)


def _run(task):
    """Run a task on top of the current one, to its end."""
    global current
    queued.remove(task)
    task.prepare()
    below, began, began_busy = current, time.monotonic(), process_time()
    task.began_busy = began_busy
    stack.append(task)
    current = task
    try:
        _bue_threads.isolated(task.run, task.identity.context, _MAX_FRAMES)
    finally:
        stack.pop()
        current = below
        task.is_done = True
        below.suspended += time.monotonic() - began
        below.suspended_busy += process_time() - began_busy
        for lock in [lock for lock, holder in held.items() if holder is task]:
            del held[lock]
    _end_threads()


def _note_sequential(reason):
    _note(f"threads that could overlap run one after the other, because {reason}")


def _note(text):
    """Say something once in the log."""
    if text not in _noted:
        _noted.add(text)
        sys.__stderr__.write(f"bue: {text}\n")


def _give_up(what):
    """A wait has timed out. If only a thread below could have ended it, it always does."""
    current.stuck_waits += len(stack) > 1
    if current.stuck_waits > _PATIENT_WAITS:
        below = ", ".join(f"`{task.identity.name}`" for task in stack[-4:-1])
        _note(f"thread `{current.identity.name}` waits with a timeout for {what}, while {below} cannot go on before it ends")
    return False


def _end_or_fail(what):
    """Nothing can end this wait. That is how a daemon thread usually ends: it waits for work until the program exits."""
    if current.is_daemon:
        _ended.append(current.identity.name)
        raise SystemExit
    _fail(what)


def _fail(what):
    """Report a deadlock in the main thread."""
    error = RuntimeError(_explain(what))

    def report():
        raise error

    call_in_main(report)


def call_in_main(function):
    """End all threads on top of the main one, and call the function there. No thread goes on with half of the results, and none
    mistakes what the function raises for a failure of its own work."""
    global _for_main
    _for_main = _for_main or function
    _end_threads()


def ends_threads():
    """Do the threads on top of the main one end because of `call_in_main`?"""
    return _for_main is not None


def _end_threads():
    global _for_main
    if _for_main is None:
        return
    if len(stack) > 1:
        raise SystemExit("the thread ends so that the main one can go on")
    function, _for_main = _for_main, None
    function()


def _explain(what):
    places = [f" ({place})" if place else "" for place in _places()]
    names = [task.identity.name for task in reversed(stack)]
    message = f"deadlock: thread `{names[0]}` waits for {what}{places[0]}"
    below = [f"`{name}`{place}" for name, place in zip(names[1:], places[1:])]
    if below:
        message += f", and the threads below cannot go on before it ends: {', '.join(below)}"
    else:
        message += ", and no thread is left that could end this"
    if _ended:
        message += f"; ended before, because they waited for work without end: {', '.join(_ended[:5])}"
    return message + f". {_ADVICE}"


def _places():
    """Where each thread waits, the current one first: the line in the step's files."""
    from bue import _loader

    files = _loader.bundle.files if _loader.bundle else ()
    places, place, frame = [], None, sys._getframe()
    while frame is not None:
        if place is None and frame.f_code.co_filename in files:
            place = f"{frame.f_code.co_filename}, line {frame.f_lineno}"
        if frame.f_code is _run.__code__:
            places.append(place)
            place = None
        frame = frame.f_back
    return [*places, place]


time.sleep = sleep
