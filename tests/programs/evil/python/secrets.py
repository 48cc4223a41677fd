# Requests secrets by many names, as values and in headers.
# gives: ["denied","limit"]
import _bue_net as net


def evil(canary):
    results = set()
    for name in ("", "KEY", "PATH", "HOME", "BUE_TOKEN", "../KEY", "x" * 10_000, "secret:KEY", "\0"):
        [(_, what, value)] = net.wait([net.secret(name)], 10)
        results.add(value[0] if what == "failed" else what)
    for header in ("secret:KEY", "Bearer secret:KEY", "secret:KEY secret:OTHER"):
        [(_, what, value)] = net.wait([net.start("GET", "http://a.example", "/", [("authorization", header)])], 10)
        results.add(value[0] if what == "failed" else what)
    return sorted(results)
