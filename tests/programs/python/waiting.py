"""asyncio, pools and threads, on a single stack and without sockets."""

import asyncio
import queue
import threading
import time
from concurrent.futures import ThreadPoolExecutor, as_completed


async def after(seconds, value):
    await asyncio.sleep(seconds)
    return value


# gives: 2
async def an_async_step_is_awaited():
    return await after(0.001, 2)


# gives: [0, 1, 2, 3, 4]
async def gather():
    return await asyncio.gather(*[after(0.01, number) for number in range(5)])


# gives: true
async def sleeping_together_takes_as_long_as_one():
    started = time.monotonic()
    await asyncio.gather(*[after(0.05, 0) for _ in range(20)])
    return 0.04 <= time.monotonic() - started < 0.8


# gives: [1, 3, "timeout"]
async def tasks_queues_and_timeouts():
    task = asyncio.create_task(after(0, 1))
    numbers = asyncio.Queue()
    await numbers.put(3)
    try:
        await asyncio.wait_for(asyncio.sleep(10), 0.01)
    except asyncio.TimeoutError:
        late = "timeout"
    return [await task, await numbers.get(), late]


# gives: [1, 2]
async def a_task_group():
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(after(0, number)) for number in (1, 2)]
    return [task.result() for task in tasks]


# gives: [7, 3]
async def work_for_threads_is_done():
    return [await asyncio.to_thread(lambda: 7), await asyncio.get_running_loop().run_in_executor(None, int, "3")]


# gives: [1, 2]
def asyncio_run_works_in_a_plain_function():
    async def both():
        return await asyncio.gather(after(0, 1), after(0, 2))

    return asyncio.run(both())


# fails: raised: RuntimeError: every task waits for another one, and nothing is left that could wake any of them
async def waiting_for_nothing_ends():
    await asyncio.Event().wait()


# fails: raised: KeyError: 'x'
# at: 2
async def an_async_step_that_raises():
    await asyncio.sleep(0)
    raise KeyError("x")


# fails: raised: ExceptionGroup: unhandled errors in a TaskGroup (1 sub-exception)
# trace: KeyError: 'x'
async def a_task_group_that_raises():
    async with asyncio.TaskGroup() as group:
        group.create_task(an_async_step_that_raises())


# gives: [[1, 2, 4, 8], ["1", "2"], "ZeroDivisionError"]
def a_pool_works():
    with ThreadPoolExecutor(4) as pool:
        futures = [pool.submit(pow, 2, number) for number in range(4)]
        failed = pool.submit(lambda: 1 / 0)
        return [
            sorted(future.result() for future in as_completed(futures)),
            list(pool.map(str, [1, 2])),
            type(failed.exception()).__name__,
        ]


# gives: [1, false]
def a_thread_runs_when_it_is_joined():
    seen = []
    thread = threading.Thread(target=seen.append, args=(1,))
    thread.start()
    thread.join()
    return [seen[0], thread.is_alive()]


# gives: ["empty", false]
def waiting_with_a_timeout_ends():
    try:
        queue.Queue().get(timeout=0.01)
    except queue.Empty:
        return ["empty", threading.Event().wait(0.01)]


# fails: raised: RuntimeError: deadlock: thread `MainThread` waits for another thread (waiting.py, line 114), and no thread is left that could end this…
def waiting_for_a_thread_that_never_comes():
    queue.Queue().get()


# gives: true
def sleeping_takes_time():
    started = time.monotonic(), time.time()
    time.sleep(0.03)
    return time.monotonic() - started[0] >= 0.02 and time.time() - started[1] >= 0.02


LOADED = time.monotonic(), time.perf_counter()


# gives: true
def the_clock_goes_on_from_the_modules_import():
    return LOADED[0] <= time.monotonic() and LOADED[1] <= time.perf_counter()
