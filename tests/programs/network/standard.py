"""Ordinary uses of `http.client` and `urllib.request`."""

import email.utils
import gzip
import http.client
import http.cookiejar
import io
import json
import socket
import ssl
import time
import urllib.error
import urllib.parse
import urllib.request
from concurrent.futures import ThreadPoolExecutor

urlopen = urllib.request.urlopen


def connection(at, **options):
    return http.client.HTTPConnection(at["http"].removeprefix("http://"), **options)


def fetch_json(at, *arguments, **named):
    client = connection(at)
    client.request(*arguments, **named)
    return json.loads(client.getresponse().read())


def error_of(work):
    try:
        return work()
    except Exception as error:
        return type(error).__name__


# gives: ["GET", "/echo?a=1&b=%20", ""]
def a_client_gets(at):
    answer = fetch_json(at, "GET", "/echo?a=1&b=%20")
    return [answer["method"], answer["path"], answer["body"]]


# gives: [200, "OK", "application/json", 11]
def a_response_has_its_head(at):
    client = connection(at)
    client.request("GET", "/echo")
    response = client.getresponse()
    return [response.status, response.reason, response.getheader("Content-Type"), response.version]


# gives: ["POST", "payload", "7"]
def a_body_is_sent(at):
    answer = fetch_json(at, "POST", "/echo", body="payload")
    return [answer["method"], answer["body"], answer["headers"]["content-length"]]


# gives: ["PUT", "from a file"]
def a_file_is_sent_in_chunks(at):
    answer = fetch_json(at, "PUT", "/echo", body=io.BytesIO(b"from a file"))
    return [answer["method"], answer["body"]]


# gives: "one two three"
def an_iterable_is_sent_in_chunks(at):
    return fetch_json(at, "POST", "/echo", body=(part for part in (b"one ", b"two ", b"three")))["body"]


# gives: [["PATCH", ""], ["DELETE", ""], ["OPTIONS", ""], ["PURGE", ""]]
def any_method_is_sent(at):
    answer = [fetch_json(at, method, "/echo") for method in ("PATCH", "DELETE", "OPTIONS", "PURGE")]
    return [[one["method"], one["body"]] for one in answer]


# gives: ["one", "two, three", "caf\u00e9"]
def headers_are_sent(at):
    client = connection(at)
    client.putrequest("GET", "/echo")
    client.putheader("X-One", "one")
    client.putheader("X-Two", "two, three")
    client.putheader("X-Latin", "café".encode())
    client.endheaders()
    headers = json.loads(client.getresponse().read())["headers"]
    return [headers["x-one"], headers["x-two"], headers["x-latin"]]


# gives: [200, "", "6", true]
def a_head_has_no_body(at):
    client = connection(at)
    client.request("HEAD", "/status/200")
    response = client.getresponse()
    return [response.status, response.read().decode(), response.getheader("Content-Length"), response.isclosed()]


# gives: [[204, ""], [304, ""], [404, "a body"], [500, "a body"], [200, "a body"]]
def one_connection_serves_many_requests(at):
    client, seen = connection(at), []
    for status in (204, 304, 404, 500, 200):
        client.request("GET", f"/status/{status}")
        response = client.getresponse()
        seen.append([response.status, response.read().decode()])
    return seen


# gives: "one,two,three"
def chunks_come_as_one(at):
    return urlopen(at["http"] + "/chunked").read().decode()


# gives: ["one", ",two,th", "ree", ""]
def a_response_is_read_in_pieces(at):
    client = connection(at)
    client.request("GET", "/chunked")
    response = client.getresponse()
    return [response.read(size).decode() for size in (3, 7, 100, 100)]


# gives: ["first\n", "second\n", "third\n"]
def a_response_is_read_by_lines(at):
    return [line.decode() for line in urlopen(at["http"] + "/lines")]


# gives: true
def what_has_come_is_given_before_the_rest(at):
    client = connection(at)
    client.request("GET", "/stuck")
    response = client.getresponse()
    first = response.read1(100)
    client.close()
    return first == b"a"


# gives: [3072000, true]
def a_long_response_comes_whole(at):
    body = urlopen(at["http"] + "/bytes/3000").read()
    return [len(body), body.strip(b"x") == b""]


# gives: ["3000000", "3000000"]
def a_long_body_goes_whole(at):
    data = b"y" * 3_000_000
    counted = urlopen(urllib.request.Request(at["http"] + "/length", data=data)).read().decode()
    chunked = urllib.request.Request(at["http"] + "/length", data=io.BytesIO(data))
    return [counted, urlopen(chunked).read().decode()]


# gives: "zipped text"
def gzip_is_left_to_the_caller(at):
    response = urlopen(at["http"] + "/gzip")
    assert response.headers["Content-Encoding"] == "gzip"
    return gzip.decompress(response.read()).decode()


# gives: ["POST", "a=1&b=x+y", "application/x-www-form-urlencoded"]
def a_form_is_posted(at):
    data = urllib.parse.urlencode({"a": 1, "b": "x y"}).encode()
    answer = json.load(urlopen(at["http"] + "/echo", data=data))
    return [answer["method"], answer["body"], answer["headers"]["content-type"]]


# gives: ["secret", "Python-urllib/3.14", true]
def a_request_has_its_headers(at):
    request = urllib.request.Request(at["http"] + "/echo", headers={"Authorization": "secret"})
    headers = json.load(urlopen(request))["headers"]
    return [headers["authorization"], headers["user-agent"], headers["host"].startswith("127.0.0.1:")]


# gives: [["GET", "/echo"], ["GET", "/echo"], ["GET", "/echo"], ["GET", "/echo"], ["GET", "/echo"]]
def redirects_are_followed(at):
    answer = [json.load(urlopen(f"{at['http']}/redirect/{status}")) for status in (301, 302, 303, 307, 308)]
    return [[one["method"], one["path"]] for one in answer]


# gives: "/echo?elsewhere"
def a_redirect_leads_to_another_server(at):
    response = urlopen(f"{at['http']}/redirect/302?{at['https']}/echo?elsewhere")
    assert response.url.startswith("https://localhost:")
    return json.load(response)["path"]


# gives: "HTTPError"
def a_loop_of_redirects_ends(at):
    return error_of(lambda: urlopen(at["http"] + "/loop"))


# gives: ["URLError", true]
def a_redirect_to_a_denied_host_is_refused(at):
    try:
        urlopen(f"{at['http']}/redirect/302?http://169.254.169.254/latest")
    except urllib.error.URLError as error:
        return [type(error).__name__, isinstance(error.reason, PermissionError)]


# gives: ["taste=sweet; size=2", 2]
def cookies_are_kept_and_sent(at):
    jar = http.cookiejar.CookieJar()
    opener = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(jar))
    opener.open(at["http"] + "/cookie").read()
    return [json.load(opener.open(at["http"] + "/echo"))["headers"]["cookie"], len(jar)]


# gives: [404, "Not Found", "a body"]
def an_error_of_the_server_is_an_exception(at):
    try:
        urlopen(at["http"] + "/status/404")
    except urllib.error.HTTPError as error:
        return [error.code, error.reason, error.read().decode()]


# gives: [429, "1"]
def a_retry_after_is_there_to_be_read(at):
    try:
        urlopen(at["http"] + "/retry/read/1")
    except urllib.error.HTTPError as error:
        return [error.code, error.headers["Retry-After"]]


# gives: "welcome"
def basic_auth_is_answered(at):
    passwords = urllib.request.HTTPPasswordMgrWithDefaultRealm()
    passwords.add_password(None, at["http"], "user", "word")
    opener = urllib.request.build_opener(urllib.request.HTTPBasicAuthHandler(passwords))
    return opener.open(at["http"] + "/auth").read().decode()


# gives: ["HTTP/1.1", "HTTP/2.0"]
def https_is_spoken_in_both_protocols(at):
    return [json.load(urlopen(at[name] + "/echo"))["version"] for name in ("https", "h2")]


# gives: ["x", 2048000, "one,two,three"]
def http_2_carries_bodies(at):
    answer = json.load(urlopen(at["h2"] + "/echo", data=b"x"))
    return [answer["body"], len(urlopen(at["h2"] + "/bytes/2000").read()), urlopen(at["h2"] + "/chunked").read().decode()]


# gives: [200, "h2"]
def a_client_of_https_takes_a_context(at):
    host = at["h2"].removeprefix("https://")
    client = http.client.HTTPSConnection(host, context=ssl.create_default_context(), timeout=20)
    client.request("POST", "/echo", body="h2")
    response = client.getresponse()
    return [response.status, json.load(response)["body"]]


# gives: ["URLError", "SSLError", true]
def an_untrusted_certificate_is_refused(at):
    try:
        urlopen(at["untrusted"] + "/echo")
    except urllib.error.URLError as error:
        return [type(error).__name__, type(error.reason).__name__, "not trusted" in str(error)]


# gives: true
def verification_cannot_be_switched_off(at):
    try:
        urlopen(at["untrusted"] + "/echo", context=ssl._create_unverified_context())
    except urllib.error.URLError as error:
        return "BUE_CA_FILE" in str(error)


# gives: ["ConnectionRefusedError", "URLError", "ConnectionRefusedError"]
def a_closed_port_is_an_error(at):
    client = http.client.HTTPConnection(at["closed"].removeprefix("http://"))
    first = error_of(lambda: client.request("GET", "/"))
    try:
        urlopen(at["closed"])
    except OSError as error:
        return [first, type(error).__name__, type(error.reason).__name__]


# gives: ["URLError", "gaierror"]
def a_name_that_means_nothing_is_an_error(at):
    try:
        urlopen("http://no-such-name.invalid/")
    except urllib.error.URLError as error:
        return [type(error).__name__, type(error.reason).__name__]


# gives: ["PermissionError", true]
def a_denied_host_is_reported_with_the_missing_rule(at):
    client = http.client.HTTPConnection(at["denied"].removeprefix("http://"))
    try:
        client.request("GET", "/")
    except OSError as error:
        return [type(error).__name__, "!allow net 127.0.0.9" in str(error)]


# gives: ["TimeoutError", true]
def a_silent_server_is_left_in_time(at):
    started = time.monotonic()
    answer = error_of(lambda: urlopen(at["http"] + "/slow/20000", timeout=0.2))
    return [answer, time.monotonic() - started < 10]


# gives: ["TimeoutError", "TimeoutError"]
def a_body_that_stops_is_left_in_time(at):
    response = urlopen(at["http"] + "/stuck", timeout=0.3)
    default = socket.getdefaulttimeout()
    socket.setdefaulttimeout(0.3)
    second = error_of(lambda: urlopen(at["http"] + "/stuck").read())
    socket.setdefaulttimeout(default)
    return [error_of(response.read), second]


# gives: "at last"
def a_slow_answer_comes_within_its_time(at):
    return urlopen(at["http"] + "/slow/300", timeout=20).read().decode()


# gives: ["IncompleteRead", "IncompleteRead"]
def a_body_that_breaks_off_is_noticed(at):
    return [error_of(lambda path=path: urlopen(at["http"] + path).read()) for path in ("/cut", "/cut_chunked")]


# gives: ["hello world", "hello world", null]
def a_length_beside_chunks_cuts_nothing_off(at):
    client = http.client.HTTPConnection(at["two_lengths"].removeprefix("http://"))
    client.request("GET", "/")
    response = client.getresponse()
    body = response.read().decode()
    return [urlopen(at["two_lengths"]).read().decode(), body, response.headers["content-length"]]


# gives: "OSError"
def what_is_no_http_is_an_error(at):
    return error_of(lambda: urlopen(at["garbage"]).read())


# gives: ["InvalidURL", "ValueError", "OSError"]
def what_is_no_request_is_refused(at):
    client = connection(at)
    first = error_of(lambda: client.request("GET", "/a b"))
    second = error_of(lambda: connection(at).request("GET", "/", headers={"X": "a\nb"}))
    return [first, second, error_of(lambda: fetch_json(at, "CONNECT", "/"))]


# gives: ["OSError", "OSError"]
def other_sockets_say_that_there_are_none(at):
    def listen():
        server = socket.socket()
        server.bind(("127.0.0.1", 0))

    return [error_of(listen), error_of(lambda: socket.socket(type=socket.SOCK_DGRAM).connect(("127.0.0.1", 53)))]


# gives: [[200, 200, 200, 200], true]
def a_pool_of_threads_does_its_work(at):
    with ThreadPoolExecutor(4) as pool:
        statuses = list(pool.map(lambda number: urlopen(f"{at['http']}/echo?{number}").status, range(4)))
    return [statuses, True]


# gives: "@localhost>"
def an_id_of_a_message_needs_no_name_of_this_machine(at):
    return email.utils.make_msgid()[-11:]


class LongWay(http.client.HTTPConnection):
    """A connection whose requests and responses go through every method of Python, because it has replaced one."""

    def putheader(self, name, *values):
        super().putheader(name, *values)

    class response_class(http.client.HTTPResponse):
        def _read_status(self):
            return super()._read_status()


def exchange(kind, at, *arguments, **named):
    """All that a program sees of a request and its response, or the error."""
    client = kind(at["http"].removeprefix("http://"), timeout=30)
    try:
        client.request(*arguments, **named)
        response = client.getresponse()
    except Exception as error:
        return [type(error).__name__, str(error)]
    head = [response.status, response.reason, response.version, response.chunked, response.length, response.will_close]
    headers = [(name, value) for name, value in response.getheaders() if name != "date"]
    message = response.msg
    kinds = [message.get_content_type(), message.get_payload(), message.is_multipart(), [type(defect).__name__ for defect in message.defects]]
    body = response.read().decode("latin-1")
    again = [response.read().decode(), response.isclosed(), client.sock is None]
    return [head, headers, kinds, body, again]


_EXCHANGES = [
    ("GET", "/echo"),
    ("GET", ""),
    ("get", "/echo?a=1"),
    ("GET", "http://localhost/echo"),
    ("POST", "/echo"),
    ("POST", "/echo", b"bytes"),
    ("PUT", "/echo", "text"),
    ("PUT", "/echo", bytearray(b"others")),
    ("POST", "/echo", iter([b"in ", b"chunks"])),
    ("DELETE", "/echo", None, {"X-One": "1", "x-two": " spaces ", "Accept-Encoding": "gzip", "Host": "named"}),
    ("POST", "/echo", b"12345", {"Content-Length": "5", "X": "caf\xe9"}),
    ("POST", "/echo", b"5\r\n12345\r\n0\r\n\r\n", {"Transfer-Encoding": "chunked"}),
    ("GET", "/echo", None, {"X-Number": 5}),
    ("HEAD", "/echo"),
    ("GET", "/status/204"),
    ("GET", "/status/304"),
    ("GET", "/status/404"),
    ("GET", "/chunked"),
    ("GET", "/cookie"),
    ("GET", "/latin"),
    ("GET", "/multipart"),
    ("GET", "/two words"),
    ("GET\n", "/echo"),
    ("GET", "/echo", None, {"X:Y": "1"}),
    ("GET", "/echo", None, {"X": "a\nb"}),
    ("GET", "/echo", None, {"X": "\u20ac"}),
    ("GET", "/\u20ac"),
    ("GET", "/echo", 5),
]


# gives: []
def the_short_way_is_the_long_one(at):
    return [
        [arguments[:2], short, long]
        for arguments in _EXCHANGES
        # an iterator is used up
        if (short := exchange(http.client.HTTPConnection, at, *_copied(arguments)))
        != (long := exchange(LongWay, at, *_copied(arguments)))
    ]


def _copied(arguments):
    return [iter([b"in ", b"chunks"]) if hasattr(argument, "__next__") else argument for argument in arguments]


# gives: ["CannotSendRequest", "ResponseNotReady", "a body", "ResponseNotReady"]
def requests_and_responses_take_turns(at):
    client = connection(at)
    client.request("GET", "/status/200")
    second = error_of(lambda: client.request("GET", "/status/200"))
    response = client.getresponse()
    early = error_of(client.getresponse)
    return [second, early, response.read().decode(), error_of(client.getresponse)]


# gives: "HTTPException"
def too_many_headers_are_an_error(at):
    http.client._MAXHEADERS = 1
    return error_of(lambda: fetch_json(at, "GET", "/echo"))
