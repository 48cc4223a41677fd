"""asyncio on the network, with only the standard library, and a blocking client at the same time."""

import asyncio
import json
import time
import urllib.request


async def fetch(address):
    """A minimal client: a request written by hand."""
    host, _, port = address.removeprefix("http://").partition("/")[0].partition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    path = "/" + address.removeprefix("http://").partition("/")[2]
    writer.write(f"GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode())
    await writer.drain()
    head = await reader.readuntil(b"\r\n\r\n")
    length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
    body = await reader.readexactly(length)
    writer.close()
    await writer.wait_closed()
    return body.decode()


# gives: ["GET", "/echo?x"]
async def a_connection_is_opened(at):
    answer = json.loads(await fetch(at["http"] + "/echo?x"))
    return [answer["method"], answer["path"]]


# gives: 200
async def two_hundred_go_side_by_side(at):
    return (await asyncio.gather(*[fetch(at["http"] + "/together/200") for _ in range(200)])).count("together")


# gives: ["at last", 3]
async def others_go_on_while_one_waits(at):
    slow = asyncio.create_task(fetch(at["http"] + "/slow/400"))
    count = 0
    while count < 3:
        await asyncio.sleep(0.01)
        count += 1
    assert not slow.done()
    return [await slow, count]


# gives: "timeout"
async def what_takes_too_long_is_cancelled(at):
    try:
        await asyncio.wait_for(fetch(at["http"] + "/slow/30000"), 0.2)
    except asyncio.TimeoutError:
        return "timeout"


# gives: [10, [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]]
async def workers_take_from_a_queue(at):
    queue, done = asyncio.Queue(), []
    for number in range(10):
        queue.put_nowait(number)

    async def work():
        while not queue.empty():
            number = queue.get_nowait()
            answer = json.loads(await fetch(f"{at['http']}/echo?{number}"))
            done.append(int(answer["path"].partition("?")[2]))

    await asyncio.gather(*[work() for _ in range(3)])
    return [len(done), sorted(done)]


# gives: [true, "at last"]
async def a_blocking_client_works_in_a_task(at):
    other = asyncio.create_task(fetch(at["http"] + "/slow/100"))
    await asyncio.sleep(0)
    status = urllib.request.urlopen(at["http"] + "/echo").status
    return [status == 200, await other]


# gives: ["ok", "ok", "ConnectionRefusedError"]
async def one_that_fails_fails_alone(at):
    async def one(address):
        await fetch(address)
        return "ok"

    tasks = [one(at["http"] + "/echo"), one(at["http"] + "/echo"), one(at["closed"] + "/")]
    answer = await asyncio.gather(*tasks, return_exceptions=True)
    return [one if isinstance(one, str) else type(one).__name__ for one in answer]


# gives: true
def run_by_hand_works_too(at):
    started = time.monotonic()
    answer = asyncio.run(two_slow_ones(at))
    return answer == ["at last", "at last"] and time.monotonic() - started < 30


async def two_slow_ones(at):
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(fetch(at["http"] + "/slow/200")) for _ in range(2)]
    return [task.result() for task in tasks]
