"""Threads and pools that make requests: how many are in flight at once. `/crowd/NAME/n` answers when `n` requests of that path
are, with the highest number so far."""

import asyncio
import queue
import threading
import urllib.request
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, as_completed, wait


def get(url):
    with urllib.request.urlopen(url) as response:
        return response.read().decode()


# gives: ["20"]
def twenty_calls_of_map_overlap(servers):
    with ThreadPoolExecutor(20) as pool:
        return sorted(set(pool.map(get, [servers["http"] + "/crowd/map/20"] * 20)))


# gives: ["20", 0, 20]
def twenty_submitted_calls_overlap(servers):
    with ThreadPoolExecutor(20) as pool:
        futures = [pool.submit(get, servers["http"] + "/crowd/submit/20") for _ in range(20)]
        done = list(as_completed(futures))
    return [max(future.result() for future in done), len(set(futures) - set(done)), len(done)]


# gives: [3, "3"]
def calls_that_are_waited_for_overlap(servers):
    with ThreadPoolExecutor(3) as pool:
        futures = [pool.submit(get, servers["http"] + "/crowd/wait/3") for _ in range(3)]
        done = wait(futures).done
        first = wait(futures, return_when=FIRST_COMPLETED).done
        return [len(done), max(future.result() for future in first)]


# gives: ["4"]
def a_pool_runs_no_more_than_its_workers(servers):
    with ThreadPoolExecutor(4) as pool:
        return sorted(set(pool.map(get, [servers["http"] + "/crowd/limited/4"] * 12)))


# gives: [["20"], 20]
def twenty_threads_overlap(servers):
    counts = []

    def fetch(url):
        counts.append(get(url))

    threads = [threading.Thread(target=fetch, args=(servers["http"] + "/crowd/threads/20",)) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return [sorted(set(counts)), len(counts)]


# gives: ["3", "3", "3"]
async def calls_of_to_thread_overlap(servers):
    url = servers["http"] + "/crowd/to_thread/3"
    return await asyncio.gather(*[asyncio.to_thread(get, url) for _ in range(3)])


# gives: ["9"]
def nested_pools_overlap(servers):
    def three(_):
        with ThreadPoolExecutor(3) as pool:
            return list(pool.map(get, [servers["http"] + "/crowd/nested/9"] * 3))

    with ThreadPoolExecutor(3) as pool:
        return sorted({count for counts in pool.map(three, range(3)) for count in counts})


# gives: ["1"]
def requests_under_a_lock_do_not_overlap(servers):
    lock = threading.Lock()

    def fetch(_):
        with lock:
            return get(servers["http"] + "/crowd/lock/1")

    with ThreadPoolExecutor(5) as pool:
        return sorted(set(pool.map(fetch, range(5))))


# gives: ["2"]
def a_semaphore_limits_the_requests_in_flight(servers):
    semaphore = threading.BoundedSemaphore(2)

    def fetch(_):
        with semaphore:
            return get(servers["http"] + "/crowd/semaphore/2")

    with ThreadPoolExecutor(6) as pool:
        return sorted(set(pool.map(fetch, range(6))))


# gives: [4, ["a body", "a body", "a body", "a body"]]
def workers_of_a_queue_make_all_requests(servers):
    urls, bodies = queue.Queue(), []

    def work():
        while True:
            bodies.append(get(urls.get()))
            urls.task_done()

    for _ in range(2):
        threading.Thread(target=work, daemon=True).start()
    for _ in range(4):
        urls.put(servers["http"] + "/status/200")
    urls.join()
    return [len(bodies), bodies]


# gives: [["a body", "a body"], "HTTP Error 404: Not Found", "a body"]
def a_failed_request_fails_its_own_future(servers):
    with ThreadPoolExecutor(4) as pool:
        futures = [pool.submit(get, f"{servers['http']}/status/{status}") for status in (200, 200, 404, 200)]
    return [[future.result() for future in futures[:2]], str(futures[2].exception()), futures[3].result()]


# gives: ["at last", "at last"]
def a_response_that_waited_for_others_is_in_time(servers):
    def slow(milliseconds):
        with urllib.request.urlopen(f"{servers['http']}/slow/{milliseconds}", timeout=0.4) as response:
            return response.read().decode()

    def short_then_long():
        slow(100)
        for _ in range(4):
            slow(200)
        return slow(1)

    # the second one runs on top of the first one, for longer than the first one's timeout
    with ThreadPoolExecutor(2) as pool:
        futures = [pool.submit(slow, 50), pool.submit(short_then_long)]
        return [future.result() for future in futures]
