"""Threads on one stack: they behave as on a single core, or the step fails and says what waits for what."""

import asyncio
import contextvars
import decimal
import queue
import sys
import threading
import time
import traceback
from concurrent.futures import CancelledError, ThreadPoolExecutor


def run(*functions):
    threads = [threading.Thread(target=function, name=function.__name__) for function in functions]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


# gives: [true, false, true, 1, [1]]
def a_thread_lives_until_it_has_run():
    seen = []
    thread = threading.Thread(target=seen.append, args=(1,))
    thread.start()
    before = thread.is_alive(), bool(seen), thread.ident is not None
    thread.join()
    return [*before, threading.active_count(), seen]


# gives: [["a", "a"], ["b", "b"], ["MainThread", "MainThread"], 3, true]
def each_thread_has_its_identity():
    names, idents = [], {threading.get_ident()}

    def look():
        names.append([threading.current_thread().name, next(t.name for t in threading.enumerate() if t.ident == threading.get_ident())])
        idents.add(threading.get_ident())

    for name in "ab":
        thread = threading.Thread(target=look, name=name)
        thread.start()
        thread.join()
    main = [threading.current_thread().name, threading.main_thread().name]
    return [*names, main, len(idents), threading.current_thread() is threading.main_thread()]


# gives: [[[null, 5], [null, 5]], 1, 6]
def each_thread_has_its_local_values():
    class Number(threading.local):
        def __init__(self, value):
            self.value = value

    plain, number, seen = threading.local(), Number(5), []
    plain.x, number.value = 1, 6

    def look():
        seen.append([getattr(plain, "x", None), number.value])
        plain.x, number.value = 2, 7

    run(look, look)
    return [seen, plain.x, number.value]


# gives: [["w_0", null], ["w_0", 0], ["w_0", 1]]
def a_thread_of_a_pool_keeps_its_local_values():
    local = threading.local()

    def look(number):
        before, local.x = getattr(local, "x", None), number
        return [threading.current_thread().name, before]

    with ThreadPoolExecutor(1, thread_name_prefix="w") as pool:
        return list(pool.map(look, range(3)))


# gives: [["default", "default"], "main", [28, 28], 5]
def each_thread_has_its_context():
    variable = contextvars.ContextVar("variable", default="default")
    variable.set("main")
    decimal.getcontext().prec = 5
    seen, precisions = [], []

    def look():
        seen.append(variable.get())
        variable.set("thread")
        precisions.append(decimal.getcontext().prec)
        decimal.getcontext().prec = 3

    run(look, look)
    return [seen, variable.get(), precisions, decimal.getcontext().prec]


# gives: [null, "ZeroDivisionError", null, "KeyError"]
def a_thread_does_not_see_the_exception_that_another_one_handles():
    seen = []

    def look():
        seen.append(sys.exc_info()[0])
        try:
            1 / 0
        except ZeroDivisionError as error:
            seen.extend([type(error).__name__, error.__context__])

    try:
        raise KeyError
    except KeyError:
        run(look)
        return [*seen, sys.exc_info()[0].__name__]


# gives: [["ZeroDivisionError", "divide"], ["divide"]]
def an_exception_in_a_thread_reaches_the_hook():
    seen, frames = [], []

    def divide():
        1 / 0

    def hook(args):
        seen.extend([args.exc_type.__name__, args.thread.name])
        frames.extend(frame.name for frame in traceback.extract_tb(args.exc_traceback) if frame.name == "divide")
        frames.extend(frame.name for frame in traceback.extract_tb(args.exc_traceback) if frame.name.startswith("an_"))

    threading.excepthook, before = hook, threading.excepthook
    run(divide)
    threading.excepthook = before
    return [seen, frames]


# gives: "goes on"
# prints: Exception in thread fails:
# prints: ZeroDivisionError: division by zero
def an_exception_in_a_thread_is_in_the_log():
    def fails():
        1 / 0

    run(fails)
    return "goes on"


# gives: [800, 800]
def each_thread_may_call_as_deep_as_the_first():
    def depth(left):
        return 1 + depth(left - 1) if left else 0

    def nested():
        with ThreadPoolExecutor(1) as pool:
            return pool.submit(depth, 800).result()

    def deep(left):
        return deep(left - 1) if left else ThreadPoolExecutor(1).submit(nested).result()

    return [deep(300), depth(800)]


# gives: "RecursionError"
def a_recursion_in_a_thread_ends():
    def again():
        again()

    with ThreadPoolExecutor(1) as pool:
        return type(pool.submit(again).exception()).__name__


# gives: [[0, 1, 2, 3, 4, 5], [0, 1, 2, 3, 4, 5]]
def a_producer_and_a_consumer_take_turns_in_any_order():
    def once(first_is_producer):
        items, seen = queue.Queue(2), []

        def produce():
            for number in range(6):
                items.put(number)
                time.sleep(0.001)
            items.put(None)

        def consume():
            while (item := items.get()) is not None:
                seen.append(item)

        run(*((produce, consume) if first_is_producer else (consume, produce)))
        return seen

    return [once(True), once(False)]


# gives: [3, 3, true, "Full"]
def a_full_queue_refuses_what_must_not_wait():
    items = queue.Queue(3)
    threading.Thread(target=items.get, daemon=True).start()
    for number in range(3):
        items.put(number)
    try:
        items.put_nowait(3)
    except queue.Full:
        return [items.qsize(), items.maxsize, items.full(), "Full"]


# gives: [[0, 1, 2], "empty"]
def a_simple_queue_waits():
    items = queue.SimpleQueue()
    thread = threading.Thread(target=lambda: [items.put(number) for number in range(3)])
    thread.start()
    seen = [items.get() for _ in range(3)]
    try:
        items.get(timeout=0.01)
    except queue.Empty:
        return [seen, "empty"]


# gives: [["a0", "a1", "b0", "b1"], false]
def a_lock_excludes_other_threads():
    lock, seen = threading.Lock(), []

    def work(name):
        with lock:
            for number in range(2):
                seen.append(f"{name}{number}")
                time.sleep(0.001)

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(work, "ab"))
    return [seen, lock.locked()]


# gives: [true, false, true, "cannot release un-acquired lock", "release unlocked lock"]
def locks_answer_as_they_should():
    lock, recursive, errors = threading.Lock(), threading.RLock(), []
    with recursive, recursive:
        pass
    for unlocked in (recursive, lock):
        try:
            unlocked.release()
        except RuntimeError as error:
            errors.append(str(error))
    return [lock.acquire(), lock.acquire(timeout=0.01), lock.locked(), *errors]


# gives: ["released", true]
def a_lock_may_be_released_by_another_thread():
    lock = threading.Lock()
    lock.acquire()
    thread = threading.Thread(target=lambda: (time.sleep(0.01), lock.release()))
    thread.start()
    return ["released", lock.acquire()]


# gives: [7, [1, 2, 3], [0, 1, 2], 3]
def conditions_events_barriers_and_semaphores_wake_those_who_wait():
    condition, values = threading.Condition(), []

    def wait():
        with condition:
            condition.wait_for(lambda: values)
            return values[0]

    def notify():
        with condition:
            values.append(7)
            condition.notify_all()

    event, seen = threading.Event(), []
    thread = threading.Thread(target=lambda: (event.wait(), seen.append(3)))
    thread.start()
    seen.append(1)
    event.set()
    seen.append(2)
    thread.join()
    barrier = threading.Barrier(3)
    signal = threading.Semaphore(0)
    with ThreadPoolExecutor(3) as pool:
        woken = pool.submit(wait)
        pool.submit(notify)
        passed = sorted(pool.map(lambda _: barrier.wait(), range(3)))
        pool.submit(signal.release, 3)
        return [woken.result(), seen, passed, sum(signal.acquire() for _ in range(3))]


# gives: [["due"], ["due"], false]
def a_timer_runs_when_it_is_due_unless_it_is_cancelled():
    seen, due = [], threading.Timer(0.01, lambda: seen.append("due"))
    cancelled = threading.Timer(0.02, lambda: seen.append("cancelled"))
    due.start()
    cancelled.start()
    due.join()
    before = list(seen)
    cancelled.cancel()
    time.sleep(0.03)
    cancelled.join()
    return [before, seen, cancelled.is_alive()]


# gives: []
def a_thread_that_repeats_until_an_event_stops():
    stop, beats = threading.Event(), []

    def beat():
        while not stop.wait(0.5):
            beats.append(1)

    thread = threading.Thread(target=beat)
    thread.start()
    time.sleep(0.01)
    stop.set()
    thread.join()
    return beats


# gives: [[1], 2]
def what_is_polled_for_happens():
    seen = []
    threading.Thread(target=seen.append, args=(1,)).start()
    while not seen:
        time.sleep(0.001)
    with ThreadPoolExecutor(1) as pool:
        future = pool.submit(lambda: 2)
        while not future.done():
            time.sleep(0.001)
        return [seen, future.result()]


# gives: [[true, true], "CancelledError", "RuntimeError"]
def queued_calls_can_be_cancelled():
    pool = ThreadPoolExecutor(1)
    futures = [pool.submit(time.sleep, 0) for _ in range(2)]
    pool.shutdown(cancel_futures=True)
    try:
        futures[0].result()
    except CancelledError as error:
        cancelled = type(error).__name__
    try:
        pool.submit(time.sleep, 0)
    except RuntimeError as error:
        return [[future.cancelled() for future in futures], cancelled, type(error).__name__]


# gives: [2, "BrokenThreadPool"]
def threads_of_a_pool_are_initialized():
    seen = []
    with ThreadPoolExecutor(2, initializer=lambda: seen.append(threading.get_ident())) as pool:
        list(pool.map(time.sleep, [0.01] * 6))
    with ThreadPoolExecutor(1, initializer=lambda: 1 / 0) as pool:
        return [len(set(seen)), type(pool.submit(time.sleep, 0).exception()).__name__]


# gives: ["task", 3, ["call", "task"]]
async def asyncio_goes_on_while_threads_run():
    seen = []

    async def task():
        seen.append("task")

    def call():
        asyncio.get_event_loop_policy()
        seen.append("call")
        try:
            asyncio.get_running_loop()
        except RuntimeError:
            return 3

    waiting = asyncio.create_task(asyncio.to_thread(call))
    number = await waiting
    await task()
    return [seen[-1], number, seen]


# gives: [1, 2]
async def a_thread_can_have_its_own_event_loop():
    async def inner():
        await asyncio.sleep(0.001)
        return 1

    return [await asyncio.to_thread(asyncio.run, inner()), 2]


# gives: "returned"
# prints: thread has run
# prints: call has run
def what_nobody_waits_for_runs_before_the_step_ends():
    threading.Thread(target=print, args=("thread has run",)).start()
    ThreadPoolExecutor(1).submit(print, "call has run")
    threading.Thread(target=print, args=("a daemon has run",), daemon=True).start()
    return "returned"


# gives: [4, [0, 1, 2, 3]]
def daemon_threads_may_wait_for_work_without_end():
    work, seen = queue.Queue(), []

    def worker():
        while True:
            seen.append(work.get())
            work.task_done()

    for _ in range(3):
        threading.Thread(target=worker, daemon=True).start()
    for number in range(4):
        work.put(number)
    work.join()
    return [len(seen), sorted(seen)]


# gives: [1, 3]
def a_call_takes_the_place_of_one_that_only_waits():
    def fetch(value):
        time.sleep(0.01)
        return value

    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(fetch, 1)
        second = pool.submit(lambda: third.result())
        third = pool.submit(fetch, 3)
        return [first.result(), second.result()]


# gives: 79800
# prints: bue: threads that could overlap run one after the other, because
def more_calls_than_the_stack_has_room_for_are_made_all_the_same():
    def work(number):
        time.sleep(0.05)
        return number

    with ThreadPoolExecutor(400) as pool:
        return sum(pool.map(lambda number: sorted([number], key=work)[0], range(400)))


# fails: raised: RuntimeError: deadlock: thread `needs_it` waits for a lock that `MainThread` holds (threads.py, line 431), and the threads below cannot go on before it ends: `MainThread` (threads.py, line 19). Threads of a step share one stack: one that waits goes on only when those that started since have ended. Calls that are submitted to a ThreadPoolExecutor, and do not wait for each other, always can
def a_lock_that_is_held_while_waiting_for_who_needs_it():
    lock = threading.Lock()

    def needs_it():
        with lock:
            pass

    with lock:
        run(needs_it)


# fails: raised: RuntimeError: deadlock: thread `answer` waits for another thread (threads.py, line 444), and the threads below cannot go on before it ends: `MainThread` (threads.py, line 451)…
def two_threads_that_answer_each_other():
    questions, answers = queue.Queue(), queue.Queue()

    def answer():
        for _ in range(2):
            answers.put(questions.get())

    thread = threading.Thread(target=answer, name="answer")
    thread.start()
    seen = []
    for number in range(2):
        questions.put(number)
        seen.append(answers.get())
    return seen


# fails: raised: RuntimeError: deadlock: thread `MainThread` waits for a lock that it holds itself (threads.py, line 459), and no thread is left that could end this…
def a_lock_that_is_taken_twice():
    lock = threading.Lock()
    lock.acquire()
    lock.acquire()


# fails: raised: RuntimeError: deadlock: thread `pool_0` waits for another thread (threads.py, line 465)…
def a_pool_that_waits_for_itself():
    with ThreadPoolExecutor(1, thread_name_prefix="pool") as pool:
        return pool.submit(lambda: pool.submit(int).result()).result()


# fails: raised: RuntimeError: deadlock: thread `MainThread` waits for another thread (threads.py, line 481), and no thread is left that could end this; ended before, because they waited for work without end: worker. Threads…
def work_for_a_thread_that_was_ended():
    work, done = queue.Queue(), queue.Queue()

    def worker():
        while True:
            done.put(work.get())

    thread = threading.Thread(target=worker, name="worker", daemon=True)
    thread.start()
    work.put(1)
    done.get()
    work.put(2)
    done.get()


# fails: raised: RuntimeError: deadlock: thread `swallows` waits…
def a_deadlock_cannot_be_swallowed_by_a_thread():
    def swallows():
        try:
            queue.Queue().get()
        except Exception:
            pass

    run(swallows)
    return "a result that is wrong"


# gives: "no note"
def a_thread_that_is_waited_for_too_short_a_time_still_ends():
    thread = threading.Thread(target=time.sleep, args=(0.01,))
    thread.start()
    thread.join(0)
    thread.join(5)
    return "alive" if thread.is_alive() else "no note"


# gives: [1, 2]
async def a_call_in_a_thread_wakes_the_loop_before_its_timers():
    loop = asyncio.get_running_loop()
    first = await asyncio.wait_for(loop.run_in_executor(None, lambda: 1), 50)
    async with asyncio.timeout(50):
        second = await asyncio.to_thread(lambda: 2)
    return [first, second]
