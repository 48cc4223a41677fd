"""`httpx`, unmodified, with and without `await`."""

import asyncio
import time
from concurrent.futures import ThreadPoolExecutor

# httpx imports these with its first client; here they are imported once, with this module
import anyio._backends._asyncio
import certifi
import httpcore
import httpx

certifi.where()


def error_of(work):
    try:
        return work()
    except Exception as error:
        return type(error).__name__


async def error_while(waiting):
    try:
        return await waiting
    except Exception as error:
        return type(error).__name__


# gives: [200, "GET", "/echo?a=1"]
def a_get_has_its_parameters(at):
    response = httpx.get(at["http"] + "/echo", params={"a": 1})
    return [response.status_code, response.json()["method"], response.json()["path"]]


# gives: ["{\"a\":1}", "b=2", "raw"]
def bodies_are_sent(at):
    with httpx.Client(base_url=at["http"]) as client:
        answer = [client.post("/echo", json={"a": 1}), client.post("/echo", data={"b": "2"}), client.put("/echo", content=b"raw")]
    return [response.json()["body"] for response in answer]


# gives: ["zipped text", "deflated text"]
def bodies_are_decoded(at):
    return [httpx.get(at["http"] + path).text for path in ("/gzip", "/deflate")]


# gives: ["first", "second", "third"]
def lines_are_streamed(at):
    with httpx.stream("GET", at["http"] + "/lines") as response:
        return list(response.iter_lines())


# gives: ["one two", "2000000"]
def generators_and_long_bodies_are_uploaded(at):
    answer = httpx.post(at["http"] + "/echo", content=(part for part in (b"one ", b"two"))).json()["body"]
    return [answer, httpx.post(at["http"] + "/length", content=b"z" * 2_000_000).text]


# gives: [302, "GET", 1]
def redirects_are_followed_when_asked(at):
    first = httpx.get(at["http"] + "/redirect/302")
    second = httpx.get(at["http"] + "/redirect/303", follow_redirects=True)
    return [first.status_code, second.json()["method"], len(second.history)]


# gives: ["taste=sweet; size=2", "welcome"]
def cookies_and_auth_are_sent(at):
    with httpx.Client() as client:
        client.get(at["http"] + "/cookie")
        cookies = client.get(at["http"] + "/echo").json()["headers"]["cookie"]
        return [cookies, client.get(at["http"] + "/auth", auth=("user", "word")).text]


# gives: ["HTTP/1.1", "HTTP/2.0"]
def https_is_spoken_in_both_protocols(at):
    return [httpx.get(at[name] + "/echo").json()["version"] for name in ("https", "h2")]


# gives: ["ConnectError", "ConnectError", "ConnectError", "ConnectError"]
def where_there_is_no_connection_is_a_connect_error(at):
    urls = [at["closed"], "http://no-such-name.invalid/", at["denied"], at["untrusted"]]
    return [error_of(lambda url=url: httpx.get(url)) for url in urls]


# gives: ["ReadTimeout", "ReadTimeout"]
def a_silent_server_is_a_read_timeout(at):
    return [error_of(lambda path=path: httpx.get(at["http"] + path, timeout=0.3)) for path in ("/slow/20000", "/stuck")]


# gives: ["RemoteProtocolError", "ConnectError"]
def what_breaks_off_is_noticed(at):
    return [error_of(lambda: httpx.get(at["http"] + "/cut")), error_of(lambda: httpx.get(at["untrusted"], verify=False))]


# gives: [["POST", "x"], "HTTP/2.0"]
async def an_async_client_posts(at):
    async with httpx.AsyncClient() as client:
        answer = (await client.post(at["http"] + "/echo", content="x")).json()
        version = (await client.get(at["h2"] + "/echo")).json()["version"]
    return [[answer["method"], answer["body"]], version]


# gives: 200
async def two_hundred_go_side_by_side(at):
    limits = httpx.Limits(max_connections=None)
    async with httpx.AsyncClient(limits=limits, timeout=60) as client:
        answer = await asyncio.gather(*[client.get(at["http"] + "/together/200") for _ in range(200)])
    return [response.text for response in answer].count("together")


# gives: ["first", "second", "third"]
async def lines_are_streamed_to_a_task(at):
    async with httpx.AsyncClient() as client:
        async with client.stream("GET", at["http"] + "/lines") as response:
            return [line async for line in response.aiter_lines()]


# gives: ["ConnectError", "ReadTimeout", "ConnectError", "ReadTimeout"]
async def errors_are_its_own(at):
    async with httpx.AsyncClient(timeout=0.3) as client:
        urls = [at["closed"], at["http"] + "/slow/20000", at["denied"], at["http"] + "/stuck"]
        return list(await asyncio.gather(*[error_while(client.get(url)) for url in urls]))


# gives: ["timeout", 200]
async def what_takes_too_long_is_cancelled(at):
    async with httpx.AsyncClient() as client:
        try:
            await asyncio.wait_for(client.get(at["http"] + "/slow/30000"), 0.3)
        except asyncio.TimeoutError:
            return ["timeout", (await client.get(at["http"] + "/echo")).status_code]


# gives: ["one two", true]
async def a_body_is_made_while_it_is_sent(at):
    async def parts():
        yield b"one "
        await asyncio.sleep(0.01)
        yield b"two"

    started = time.monotonic()
    async with httpx.AsyncClient() as client:
        answer = (await client.post(at["http"] + "/echo", content=parts())).json()["body"]
    return [answer, time.monotonic() - started < 30]


# gives: ["20"]
def twenty_requests_of_a_pool_are_in_flight_together(at):
    with httpx.Client() as client, ThreadPoolExecutor(20) as pool:
        return sorted({response.text for response in pool.map(client.get, [at["http"] + "/crowd/httpx/20"] * 20)})
