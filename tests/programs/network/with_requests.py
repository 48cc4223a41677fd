"""`requests` and `urllib3`, unmodified."""

import io
import json
import time
from concurrent.futures import ThreadPoolExecutor

import requests
import urllib3
from requests.adapters import HTTPAdapter
from urllib3.util import Retry


def error_of(work):
    try:
        return work()
    except Exception as error:
        return type(error).__name__


# gives: [200, "GET", "/echo?a=1&b=x+y"]
def a_get_has_its_parameters(at):
    response = requests.get(at["http"] + "/echo", params={"a": 1, "b": "x y"})
    return [response.status_code, response.json()["method"], response.json()["path"]]


# gives: ["POST", {"a": [1, 2]}, "application/json"]
def json_is_posted(at):
    answer = requests.post(at["http"] + "/echo", json={"a": [1, 2]}).json()
    return [answer["method"], json.loads(answer["body"]), answer["headers"]["content-type"]]


# gives: ["a=1&b=2", "raw"]
def forms_and_bytes_are_posted(at):
    form = requests.post(at["http"] + "/echo", data={"a": "1", "b": "2"}).json()
    return [form["body"], requests.put(at["http"] + "/echo", data=b"raw").json()["body"]]


# gives: [true, true, true]
def a_file_is_posted_as_multipart(at):
    files = {"upload": ("report.csv", io.BytesIO(b"day,sales\n"), "text/csv")}
    answer = requests.post(at["http"] + "/echo", data={"name": "x"}, files=files).json()
    parts = ['filename="report.csv"', "day,sales", 'name="name"']
    assert answer["headers"]["content-type"].startswith("multipart/form-data; boundary=")
    return [part in answer["body"] for part in parts]


# gives: "one two three"
def a_generator_is_uploaded(at):
    return requests.post(at["http"] + "/echo", data=(part for part in (b"one ", b"two ", b"three"))).json()["body"]


# gives: ["2000000", "2000000"]
def long_bodies_are_uploaded(at):
    whole = requests.post(at["http"] + "/length", data=b"z" * 2_000_000).text
    file = requests.post(at["http"] + "/length", data=io.BytesIO(b"z" * 2_000_000)).text
    return [whole, file]


# gives: ["zipped text", "deflated text", "caf\u00e9"]
def bodies_are_decoded(at):
    return [requests.get(at["http"] + path).text for path in ("/gzip", "/deflate", "/latin")]


# gives: ["first", "second", "third"]
def lines_are_streamed(at):
    with requests.get(at["http"] + "/lines", stream=True) as response:
        return [line.decode() for line in response.iter_lines()]


# gives: [1000, 1024000]
def pieces_are_streamed(at):
    with requests.get(at["http"] + "/bytes/1000", stream=True) as response:
        pieces = [len(piece) for piece in response.iter_content(1024)]
    return [len(pieces), sum(pieces)]


# gives: [["GET", 1], ["GET", 1], ["GET", 1], ["POST", 1], ["POST", 1]]
def redirects_are_followed(at):
    seen = []
    for status in (301, 302, 303, 307, 308):
        response = requests.post(f"{at['http']}/redirect/{status}", data="x")
        seen.append([response.json()["method"], len(response.history)])
    return seen


# gives: [302, "/echo", "TooManyRedirects"]
def redirects_may_be_left_alone(at):
    response = requests.get(at["http"] + "/redirect/302", allow_redirects=False)
    return [response.status_code, response.headers["location"], error_of(lambda: requests.get(at["http"] + "/loop"))]


# gives: ["taste=sweet; size=2", {"size": "2", "taste": "sweet"}, "mine"]
def a_session_keeps_cookies_and_headers(at):
    with requests.Session() as session:
        session.headers["X-Key"] = "mine"
        session.get(at["http"] + "/cookie")
        headers = session.get(at["http"] + "/echo").json()["headers"]
        return [headers["cookie"], session.cookies.get_dict(), headers["x-key"]]


# gives: ["welcome", 401]
def basic_auth_is_sent(at):
    return [requests.get(at["http"] + "/auth", auth=("user", "word")).text, requests.get(at["http"] + "/auth").status_code]


# gives: ["visit 2", true]
def a_retry_after_is_honoured(at):
    session, started = requests.Session(), time.monotonic()
    session.mount("http://", HTTPAdapter(max_retries=Retry(total=3, status_forcelist=[429])))
    text = session.get(at["http"] + "/retry/session/1").text
    return [text, time.monotonic() - started >= 1]


# gives: "RetryError"
def retries_end(at):
    session = requests.Session()
    session.mount("http://", HTTPAdapter(max_retries=Retry(total=1, status_forcelist=[500])))
    return error_of(lambda: session.get(at["http"] + "/status/500"))


# gives: [404, "HTTPError"]
def a_status_may_be_raised(at):
    response = requests.get(at["http"] + "/status/404")
    return [response.status_code, error_of(response.raise_for_status)]


# gives: ["HTTP/1.1", "HTTP/2.0"]
def https_is_spoken_in_both_protocols(at):
    return [requests.get(at[name] + "/echo").json()["version"] for name in ("https", "h2")]


# gives: ["SSLError", true]
def an_untrusted_certificate_is_refused(at):
    try:
        requests.get(at["untrusted"] + "/echo")
    except requests.exceptions.SSLError as error:
        return [type(error).__name__, "not trusted" in str(error)]


# gives: ["SSLError", true]
def verification_cannot_be_switched_off(at):
    try:
        requests.get(at["untrusted"] + "/echo", verify=False)
    except requests.exceptions.SSLError as error:
        return [type(error).__name__, "BUE_CA_FILE" in str(error)]


# gives: ["ConnectionError", "ConnectionError"]
def unreachable_servers_are_errors(at):
    return [error_of(lambda: requests.get(at["closed"])), error_of(lambda: requests.get("http://no-such-name.invalid/"))]


# gives: ["ConnectionError", true]
def a_denied_host_is_reported_with_the_missing_rule(at):
    try:
        requests.get(at["denied"])
    except requests.exceptions.ConnectionError as error:
        return [type(error).__name__, "!allow net 127.0.0.9" in str(error)]


# gives: ["ReadTimeout", true]
def a_silent_server_is_a_read_timeout(at):
    started = time.monotonic()
    answer = error_of(lambda: requests.get(at["http"] + "/slow/20000", timeout=(0.5, 0.3)))
    return [answer, time.monotonic() - started < 10]


# gives: "ConnectionError"
def a_body_that_stops_is_an_error(at):
    return error_of(lambda: requests.get(at["http"] + "/stuck", timeout=0.3))


# gives: ["ChunkedEncodingError", "ChunkedEncodingError"]
def a_body_that_breaks_off_is_noticed(at):
    return [error_of(lambda path=path: requests.get(at["http"] + path)) for path in ("/cut", "/cut_chunked")]


# gives: "ConnectionError"
def what_is_no_http_is_an_error(at):
    return error_of(lambda: requests.get(at["garbage"]))


# gives: [200, "a body", "MaxRetryError", "NewConnectionError"]
def urllib3_works_by_itself(at):
    pool = urllib3.PoolManager(retries=False)
    response = pool.request("GET", at["http"] + "/status/200")
    refused = error_of(lambda: urllib3.PoolManager(retries=1).request("GET", at["closed"]))
    return [response.status, response.data.decode(), refused, error_of(lambda: pool.request("GET", at["closed"]))]


# gives: ["on", "e,t", "wo,three"]
def a_response_is_read_as_a_file(at):
    response = urllib3.PoolManager().request("GET", at["http"] + "/chunked", preload_content=False)
    return [response.read(size).decode() for size in (2, 3, 100)]


# gives: "hello world"
def a_length_beside_chunks_cuts_nothing_off(at):
    return requests.get(at["two_lengths"]).text


# gives: ["20"]
def twenty_requests_of_a_pool_are_in_flight_together(at):
    with ThreadPoolExecutor(20) as pool:
        return sorted({response.text for response in pool.map(requests.get, [at["http"] + "/crowd/requests/20"] * 20)})


# gives: ["8"]
def threads_share_a_session(at):
    with requests.Session() as session, ThreadPoolExecutor(8) as pool:
        return sorted({response.text for response in pool.map(session.get, [at["http"] + "/crowd/session/8"] * 8)})
