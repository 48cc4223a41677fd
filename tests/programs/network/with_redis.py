"""redis, with and without TLS."""

import asyncio
import ssl
from concurrent.futures import ThreadPoolExecutor

import redis
import redis.asyncio


def place(at, name):
    host, port = at[name].rsplit(":", 1)
    return {"host": host, "port": int(port)}


def client(at, **options):
    return redis.Redis(**place(at, "redis"), decode_responses=True, **options)


# gives: [true, "1", ["b", "a"], {"x": "y"}, 2, null]
def values_are_stored(at):
    with client(at) as server:
        server.delete("v:n", "v:list", "v:hash")
        set_ = server.set("v:n", 1)
        server.lpush("v:list", "a", "b")
        server.hset("v:hash", "x", "y")
        return [set_, server.get("v:n"), server.lrange("v:list", 0, -1), server.hgetall("v:hash"), server.incr("v:n"), server.get("v:none")]


# gives: [[true, 1, 2, 3], 1000000]
def commands_are_pipelined_and_values_long(at):
    with client(at) as server:
        with server.pipeline() as pipeline:
            replies = pipeline.set("p:n", 0).incr("p:n").incr("p:n").incr("p:n").execute()
        server.set("p:long", "x" * 1_000_000)
        return [replies, len(server.get("p:long"))]


# gives: ["subscribe", "news", null]
def messages_are_published(at):
    with client(at) as server, server.pubsub() as subscriber:
        subscriber.subscribe("channel")
        first = subscriber.get_message(timeout=60)["type"]
        server.publish("channel", "news")
        second = subscriber.get_message(timeout=60)["data"]
        return [first, second, subscriber.get_message(timeout=0.01)]


# gives: ["item", "ResponseError", "ConnectionError", "TimeoutError"]
def waiting_and_errors_are_those_of_the_library(at):
    def error_of(work):
        try:
            return work()
        except redis.RedisError as error:
            return type(error).__name__

    with client(at) as server:
        server.delete("w:list")
        server.rpush("w:list", "item")
        item = server.blpop("w:list", timeout=10)[1]
        wrong = error_of(lambda: server.execute_command("NO-SUCH-COMMAND"))
    retry = redis.retry.Retry(redis.backoff.NoBackoff(), 0)
    denied = redis.Redis(host="127.0.0.9", port=6379, retry=retry)
    impatient = client(at, socket_timeout=0.05, retry=retry)
    return [item, wrong, error_of(denied.ping), error_of(lambda: impatient.blpop("w:nothing", timeout=5))]


# gives: [1, 2, 3, 4, 5]
def threads_share_a_pool(at):
    with client(at) as server, ThreadPoolExecutor(5) as pool:
        server.delete("t:n")
        return sorted(pool.map(lambda _: server.incr("t:n"), range(5)))


# gives: ["b", [1, 2, 3]]
async def tasks_share_a_client(at):
    async with redis.asyncio.Redis(**place(at, "redis"), decode_responses=True) as server:
        await server.delete("a:n")
        await server.set("a:b", "b")
        return [await server.get("a:b"), sorted(await asyncio.gather(*(server.incr("a:n") for _ in range(3))))]


# gives: [true, true]
def tls_is_used(at):
    with open("/tmp/ca.pem", "w") as file:
        file.write(at["ca"])

    def ping(**options):
        with redis.Redis(**place(at, "redis_tls"), ssl=True, **options) as server:
            return server.ping()

    return [ping(), ping(ssl_ca_certs="/tmp/ca.pem")]


# gives: [true]
async def tasks_use_tls(at):
    async with redis.asyncio.Redis(**place(at, "redis_tls"), ssl=True, ssl_ca_data=at["ca"]) as server:
        return [await server.ping()]
