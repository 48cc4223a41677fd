"""`aiohttp`, unmodified: the wheel without native code."""

import asyncio
import time

import aiohttp


async def get(url, **options):
    async with aiohttp.ClientSession() as session:
        async with session.get(url, **options) as response:
            return response.status, await response.text()


async def error_of(waiting):
    try:
        return await waiting
    except Exception as error:
        return type(error).__name__


# gives: [200, "GET", "/echo?a=1"]
async def a_get_has_its_parameters(at):
    async with aiohttp.ClientSession() as session:
        async with session.get(at["http"] + "/echo", params={"a": "1"}) as response:
            answer = await response.json()
            return [response.status, answer["method"], answer["path"]]


# gives: ["{\"a\": 1}", "b=2", "raw"]
async def bodies_are_sent(at):
    answer = []
    async with aiohttp.ClientSession() as session:
        for options in ({"json": {"a": 1}}, {"data": {"b": "2"}}, {"data": b"raw"}):
            async with session.post(at["http"] + "/echo", **options) as response:
                answer.append((await response.json())["body"])
    return answer


# gives: ["zipped text", "deflated text"]
async def bodies_are_decoded(at):
    return [(await get(at["http"] + path))[1] for path in ("/gzip", "/deflate")]


# gives: [[200, "at last"], true]
async def many_go_side_by_side(at):
    started = time.monotonic()
    answer = await asyncio.gather(*(get(at["http"] + "/slow/500") for number in range(20)))
    return [list(answer[0]), time.monotonic() - started < 9]


# gives: "GET /echo"
async def redirects_are_followed(at):
    status, text = await get(at["http"] + "/redirect/302?/echo")
    import json

    answer = json.loads(text)
    return f"{answer['method']} {answer['path']}"


# Connections are made when requests are sent, so the connector has no errors.
# gives: ["ClientResponseError", "TimeoutError", "ClientOSError"]
async def errors_are_its_own(at):
    return [
        await error_of(get(at["http"] + "/status/500", raise_for_status=True)),
        await error_of(get(at["http"] + "/slow/20000", timeout=aiohttp.ClientTimeout(total=0.3))),
        await error_of(get(at["closed"] + "/")),
    ]


# gives: "one,two,three"
async def bodies_are_streamed(at):
    async with aiohttp.ClientSession() as session:
        async with session.get(at["http"] + "/chunked") as response:
            return "".join([piece.decode() async for piece in response.content.iter_any()])


# gives: [200, "HTTP/1.1"]
async def https_is_spoken_by_the_worker(at):
    async with aiohttp.ClientSession() as session:
        async with session.get(at["https"] + "/echo") as response:
            return [response.status, (await response.json())["version"]]
