# Invalid headers: line breaks, embedded requests, thousands of them, megabytes of them. None is sent.
# gives: ["bad_request","limit"]
import _bue_net as net


def evil(canary):
    cases = [
        [("x", "a\r\nhost: evil")], [("x\r\nhost", "evil")], [("x", "a\0b")], [("", "x")], [("x y", "z")], [("x:", "z")],
        [("host", "a"), ("host", "b")], [("content-length", "5"), ("content-length", "6")], [("content-length", "-1")],
        [("transfer-encoding", "chunked, identity"), ("content-length", "3")], [("x", "y")] * 4000, [("x", "y" * 1_000_000)],
        [("x" * 100_000, "y")], [("connection", "upgrade"), ("upgrade", "h2c"), ("x", "\n")],
    ]
    targets = ["/ HTTP/1.1\r\n\r\nGET /x", "no-slash", "/\0", "http://other.example/", "/" + "x" * 1_000_000, "", "*"]
    methods = ["CONNECT", "GET /x HTTP/1.1\r\nhost: y\r\n\r\nGET", "", "G\0T", "G" * 100_000]
    started = [net.start("GET", "http://a.example", "/", headers) for headers in cases]
    started += [net.start("GET", "http://a.example", target, []) for target in targets]
    started += [net.start(method, "http://a.example", "/", []) for method in methods]
    results = set()
    while started:
        for ticket, what, value in net.wait(started, 10):
            started.remove(ticket)
            results.add(value[0] if what == "failed" else what)
    # a valid request fails because the name cannot be resolved
    return sorted(results - {"name", "unreachable", "refused", "denied", "connect_timeout"})
