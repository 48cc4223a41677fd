# Invalid origins. Each is refused, and none is resolved.
# gives: ["bad_request","limit"]
import _bue_net as net


def evil(canary):
    origins = [
        "", ":", "//", "http", "http:", "http://", "http:///", "http://:80", "ftp://a.example", "file:///etc/passwd", "unix:/run/x",
        "http://a.example:0x50", "http://a.example:99999", "http://a.example:-1", "http://a.example/path", "http://a.example?q",
        "http://a b.example", "http://a.example\r\nx: y", "javascript:alert(1)", "http://[::1", "http://[::g]", "\0", "http://\0",
        "http://user:password@a.example", "http://" + "a" * 100_000, "data:text/plain,x",
    ]
    results = set()
    for origin in origins:
        [(_, what, value)] = net.wait([net.start("GET", origin, "/", [])], 10)
        results.add(value[0] if what == "failed" else what)
    return sorted(results)
