"""The soft limit. Each function is in the middle of something when it is reached, and says what it noticed."""

import asyncio
import queue
import socket
import threading
import time
import urllib.request
from concurrent.futures import CancelledError, ThreadPoolExecutor

from bue import TimeoutSoon

FOREVER = 1e6


def nothing(addresses):
    """Called without a limit, so that the module is imported before the time of the others begins."""


# gives: "noticed"
def while_it_computes(addresses):
    try:
        while True:
            pass
    except TimeoutSoon:
        return "noticed"


def count(numbers):
    return sum(number for number in numbers)


# gives: ["noticed", true]
def while_a_function_that_it_calls_computes(addresses):
    cleaned = False
    try:
        try:
            while True:
                count(range(1000))
        finally:
            cleaned = True
    except Exception as error:
        return ["noticed" if isinstance(error, TimeoutSoon) else repr(error), cleaned]


# gives: "noticed"
def while_it_calls_itself(addresses):
    def descend(depth):
        return 0 if depth > 900 else descend(depth + 1)

    try:
        while True:
            descend(0)
    except TimeoutSoon:
        return "noticed"


# gives: "noticed"
def while_native_code_calls_it(addresses):
    try:
        while True:
            sorted(range(1000), key=lambda number: -number)
    except TimeoutSoon:
        return "noticed"


# gives: ["noticed", true]
def while_it_sleeps(addresses):
    began = time.monotonic()
    try:
        time.sleep(FOREVER)
    except TimeoutSoon:
        return ["noticed", time.monotonic() - began < FOREVER]


# gives: ["noticed", 1]
def once(addresses):
    times = 0
    for _ in range(2):
        try:
            time.sleep(FOREVER if not times else 0.3)
            end = time.monotonic() + 0.1
            while time.monotonic() < end:
                pass
        except TimeoutSoon:
            times += 1
    return ["noticed", times]


# gives: "noticed"
def while_it_waits_for_an_event(addresses):
    try:
        threading.Event().wait(FOREVER)
    except TimeoutSoon:
        return "noticed"


# gives: "noticed"
def while_it_waits_for_a_lock(addresses):
    lock = threading.Lock()
    lock.acquire()
    try:
        lock.acquire(timeout=FOREVER)
    except TimeoutSoon:
        return "noticed"


# gives: "noticed"
def while_it_waits_for_a_queue(addresses):
    try:
        queue.Queue().get(timeout=FOREVER)
    except TimeoutSoon:
        return "noticed"


# gives: "noticed"
def while_it_waits_for_a_response(addresses):
    try:
        urllib.request.urlopen(f"http://{addresses['http']}/")
    except TimeoutSoon:
        return "noticed"


# gives: ["noticed", "and again"]
def while_it_reads_from_a_connection(addresses):
    host, port = addresses["tcp"].split(":")
    with socket.create_connection((host, int(port))) as connection:
        try:
            connection.recv(10)
        except TimeoutSoon:
            # the connection can be used in the time that is left
            connection.sendall(b"and again")
            return ["noticed", connection.recv(10).decode()]


# gives: ["noticed", "stopped and done", 7]
def while_it_waits_for_a_thread(addresses):
    ends = []

    def work():
        try:
            while True:
                time.sleep(0.01)
        finally:
            ends.append("stopped")

    thread = threading.Thread(target=work)
    thread.start()
    try:
        thread.join()
    except TimeoutSoon:
        ends.append("done" if not thread.is_alive() else "alive")
        with ThreadPoolExecutor(2) as pool:
            return ["noticed", " and ".join(ends), pool.submit(lambda: 7).result()]


# gives: ["noticed", [0, "cancelled", "cancelled"]]
def while_a_pool_works(addresses):
    def work(number):
        while number:
            time.sleep(0.01)
        return number

    def result(future):
        try:
            return future.result()
        except CancelledError:
            return "cancelled"

    pool = ThreadPoolExecutor(2)
    futures = [pool.submit(work, number) for number in range(3)]
    try:
        [future.result() for future in futures]
    except TimeoutSoon:
        pool.shutdown(cancel_futures=True)
        return ["noticed", [result(future) for future in futures]]


# gives: "noticed"
async def while_a_coroutine_computes(addresses):
    try:
        while True:
            pass
    except TimeoutSoon:
        return "noticed"


# gives: "noticed"
async def while_a_coroutine_sleeps(addresses):
    try:
        await asyncio.sleep(FOREVER)
    except TimeoutSoon:
        await asyncio.sleep(0.001)
        return "noticed"


# gives: ["noticed", "cancelled", 0]
async def while_a_coroutine_waits_for_a_task(addresses):
    ends = []

    async def work():
        try:
            await asyncio.sleep(FOREVER)
        except asyncio.CancelledError:
            ends.append("cancelled")
            raise

    try:
        await asyncio.create_task(work())
    except TimeoutSoon:
        return ["noticed", *ends, asyncio.current_task().cancelling()]


# gives: ["noticed", "cancelled", "cancelled"]
async def while_a_coroutine_gathers_tasks(addresses):
    ends = []

    async def work():
        try:
            while True:
                await asyncio.sleep(0)
        except asyncio.CancelledError:
            ends.append("cancelled")
            raise

    try:
        await asyncio.gather(work(), work())
    except TimeoutSoon:
        return ["noticed", *ends]


# gives: ["noticed", "it went on"]
async def while_the_task_ignores_its_cancellation(addresses):
    async def work():
        try:
            await asyncio.sleep(FOREVER)
        except asyncio.CancelledError:
            return "it went on"

    task = asyncio.create_task(work())
    try:
        await task
    except TimeoutSoon:
        return ["noticed", task.result()]


# gives: ["noticed"]
async def in_a_task_group(addresses):
    try:
        async with asyncio.TaskGroup() as group:
            group.create_task(asyncio.sleep(FOREVER))
            await asyncio.sleep(FOREVER)
    except* TimeoutSoon as errors:
        noticed = ["noticed" for _ in errors.exceptions]
    return noticed


# gives: ["noticed", true]
async def while_a_coroutine_waits_for_a_server(addresses):
    host, port = addresses["tcp"].split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    try:
        await reader.read(10)
    except TimeoutSoon:
        writer.close()
        return ["noticed", writer.is_closing()]


# gives: ["noticed", "cancelled"]
async def while_a_coroutine_waits_for_a_thread(addresses):
    def work():
        while True:
            time.sleep(0.01)

    work = asyncio.create_task(asyncio.to_thread(work))
    try:
        await asyncio.sleep(FOREVER)
    except TimeoutSoon:
        await asyncio.wait([work])
        return ["noticed", "cancelled" if work.cancelled() else repr(work)]


# gives: "noticed"
def in_asyncio_run(addresses):
    async def main():
        try:
            await asyncio.sleep(FOREVER)
        except TimeoutSoon:
            return "noticed"

    return asyncio.run(main())


# gives: ["noticed", 2]
def through_asyncio_run(addresses):
    async def main():
        await asyncio.sleep(FOREVER)

    try:
        asyncio.run(main())
    except TimeoutSoon:
        return ["noticed", asyncio.run(asyncio.sleep(0, 2))]


# gives: "noticed"
def in_run_until_complete(addresses):
    async def main():
        try:
            await asyncio.sleep(FOREVER)
        except TimeoutSoon:
            return "noticed"

    loop = asyncio.new_event_loop()
    other = loop.create_task(asyncio.sleep(FOREVER))
    result = loop.run_until_complete(main())
    other.cancel()
    return result


# gives: "noticed"
def while_a_loop_runs_forever(addresses):
    loop = asyncio.new_event_loop()
    task = loop.create_task(asyncio.sleep(FOREVER))
    try:
        loop.run_forever()
    except TimeoutSoon:
        task.cancel()
        return "noticed"
