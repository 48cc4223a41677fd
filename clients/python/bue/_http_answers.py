"""The server that answers the HTTP requests of a script in a test."""

from __future__ import annotations

import datetime
import json
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Callable, Dict, Iterator, List, Mapping, Optional, Union
from urllib.parse import parse_qsl, urlsplit

from ._errors import BueError, UnsupportedValue
from ._views import moment

# Bytes of a request's body.
_MAX_BODY = 64 * 1024 * 1024
# Bytes of a line of a body in pieces.
_MAX_LINE = 1024
# Seconds of silence after which a connection is closed.
_SILENCE = 60.0


@dataclass(frozen=True)
class Request:
    """A request of a step. `url` is the one that the step asked for; the names of `headers` are in lower case.

    `at` is the simulated time.
    """

    method: str
    url: str
    headers: Mapping[str, str]
    body: bytes
    at: datetime.datetime

    @property
    def query(self) -> Dict[str, str]:
        """The parameters of the query. Of several with the same name, the last one."""
        return dict(parse_qsl(urlsplit(self.url).query, keep_blank_values=True))

    @property
    def text(self) -> str:
        """The body as UTF-8."""
        return self.body.decode("utf-8")

    def json(self) -> Any:
        """Return the body as JSON. Raises ValueError."""
        return json.loads(self.body)


@dataclass(frozen=True)
class Response:
    """An answer to a request."""

    status: int = 200
    body: Union[bytes, str] = b""
    headers: Mapping[str, str] = field(default_factory=dict)


class UnexpectedRequest(BueError):
    """A step asked for something for which the test has no answer. requests: what it asked for."""

    def __init__(self, requests: List[Request]) -> None:
        urls = ", ".join(dict.fromkeys(f"{request.method} {request.url}" for request in requests))
        super().__init__(f"the test has no answer to {urls}; add it to `http` of run_script")
        self.requests = requests


class in_turn:
    """Answer the first request with the first of these answers, the second with the second; further ones with the last."""

    def __init__(self, *answers: Any) -> None:
        if not answers:
            raise ValueError("in_turn needs at least one answer")
        self._answers = list(answers)

    def next(self) -> Any:
        return self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]


Answers = Union[Mapping[str, Any], Callable[[Request], Any], None]


class _Server(ThreadingHTTPServer):
    def handle_error(self, request: Any, client_address: Any) -> None:
        """Print nothing: a run that is given up breaks its connections."""


class AnsweringServer:
    """Answers the requests of one run, one at a time, with what the test says."""

    def __init__(self, answers: Answers) -> None:
        self._answers = answers
        self._lock = threading.Lock()
        self.requests: List[Request] = []
        self._unexpected: List[Request] = []
        self._error: Optional[BaseException] = None
        self._server = _Server(("127.0.0.1", 0), _handler(self))
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        self._thread.start()

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self._server.server_address[1]}"

    def close(self) -> None:
        """Stop the server. Raises what the test's function raised, or UnexpectedRequest."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
        if self._error is not None:
            raise self._error
        if self._unexpected:
            raise UnexpectedRequest(self._unexpected)

    def answer(self, request: Request) -> Response:
        """Return the answer to a request. One at a time, because the test's function need not be thread-safe."""
        with self._lock:
            self.requests.append(request)
            try:
                answer = self._find(request)
                if answer is None:
                    self._unexpected.append(request)
                    return Response(501, "the test has no answer to this request\n")
                return _response(answer)
            except BaseException as error:  # whatever the test raises fails the test, not the server
                self._error = self._error or error
                return Response(500, "the test failed to answer this request\n")

    def _find(self, request: Request) -> Any:
        if self._answers is None:
            return None
        if not isinstance(self._answers, Mapping):
            return self._answers(request)
        answer = next((self._answers[key] for key in _keys(request) if key in self._answers), None)
        if isinstance(answer, in_turn):
            answer = answer.next()
        return answer(request) if callable(answer) else answer


def _keys(request: Request) -> Iterator[str]:
    """Return under which names an answer may stand, the most exact one first."""
    without_query = request.url.partition("?")[0]
    for url in dict.fromkeys((request.url, without_query)):
        yield f"{request.method} {url}"
        yield url


def _response(answer: Any) -> Response:
    if isinstance(answer, Response):
        return answer
    if isinstance(answer, bool) or not isinstance(answer, (int, str, bytes, dict, list)):
        raise UnsupportedValue(
            f"an answer is a dict or a list (sent as JSON), a text, bytes, the number of a status or a Response, not {answer!r}"
        )
    if isinstance(answer, int):
        return Response(answer)
    if isinstance(answer, str):
        return Response(200, answer, {"content-type": "text/plain; charset=utf-8"})
    if isinstance(answer, bytes):
        return Response(200, answer, {"content-type": "application/octet-stream"})
    return Response(200, json.dumps(answer), {"content-type": "application/json"})


def _handler(server: AnsweringServer) -> type:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        timeout = _SILENCE
        # an answer is one packet: a second one would wait for the acknowledgement of the first
        wbufsize = -1
        disable_nagle_algorithm = True

        def __getattr__(self, name: str) -> Any:
            # the base class looks for a method for each method of HTTP
            if name.startswith("do_"):
                return self._answer
            raise AttributeError(name)

        def log_message(self, format: str, *args: Any) -> None:
            pass

        def _answer(self) -> None:
            try:
                body = _read_body(self)
            except ValueError as error:
                self.close_connection = True
                return self.send_error(400, str(error))
            headers = {name.lower(): value for name, value in self.headers.items()}
            url, at = headers.pop("bue-url", ""), int(headers.pop("bue-time", "0"))
            headers["host"] = urlsplit(url).netloc
            self._send(server.answer(Request(self.command, url, headers, body, moment(at))))

        def _send(self, response: Response) -> None:
            body = response.body.encode("utf-8") if isinstance(response.body, str) else bytes(response.body)
            self.send_response(response.status)
            for name, value in response.headers.items():
                self.send_header(name, value)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(body)

    return Handler


def _read_body(handler: BaseHTTPRequestHandler) -> bytes:
    if handler.headers.get("transfer-encoding", "").lower() == "chunked":
        return b"".join(_chunks(handler))
    length = int(handler.headers.get("content-length", "0"))
    if not 0 <= length <= _MAX_BODY:
        raise ValueError(f"a request of more than {_MAX_BODY} bytes")
    return handler.rfile.read(length)


def _chunks(handler: BaseHTTPRequestHandler) -> Iterator[bytes]:
    total = 0
    while True:
        size = int(handler.rfile.readline(_MAX_LINE).partition(b";")[0], 16)
        total += size
        if not 0 <= total <= _MAX_BODY or size < 0:
            raise ValueError(f"a request of more than {_MAX_BODY} bytes")
        chunk = handler.rfile.read(size)
        handler.rfile.readline(_MAX_LINE)
        if size == 0:
            return
        yield chunk
