"""`urllib3` 1.26, unmodified."""

import json

import urllib3


def error_of(work):
    try:
        return work()
    except Exception as error:
        return type(error).__name__


# gives: [200, "POST", "{\"a\": 1}"]
def a_pool_posts(at):
    response = urllib3.PoolManager().request("POST", at["http"] + "/echo", body=json.dumps({"a": 1}))
    answer = json.loads(response.data)
    return [response.status, answer["method"], answer["body"]]


# gives: ["zipped text", "one,two,three"]
def bodies_are_decoded(at):
    pool = urllib3.PoolManager()
    return [pool.request("GET", at["http"] + path).data.decode() for path in ("/gzip", "/chunked")]


# gives: ["HTTP/1.1", "HTTP/2.0"]
def https_is_spoken_in_both_protocols(at):
    pool = urllib3.PoolManager()
    return [json.loads(pool.request("GET", at[name] + "/echo").data)["version"] for name in ("https", "h2")]


# gives: ["NewConnectionError", "MaxRetryError", "ReadTimeoutError"]
def errors_are_its_own(at):
    pool = urllib3.PoolManager(retries=False)
    return [
        error_of(lambda: pool.request("GET", at["closed"])),
        error_of(lambda: urllib3.PoolManager(retries=1).request("GET", at["closed"])),
        error_of(lambda: pool.request("GET", at["http"] + "/slow/20000", timeout=0.3)),
    ]
