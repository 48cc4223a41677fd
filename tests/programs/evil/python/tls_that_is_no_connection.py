# Starts TLS where there is no connection, with names and certificates of megabytes.
# gives: ["closed","limit"]
import _bue_net as net


def evil(canary):
    request = net.start("GET", "http://127.0.0.1:TRAP_PORT", "/", [], True)
    refused = net.connect("127.0.0.1", TRAP_PORT)
    results = set()
    for exchange in (0, request, refused, 2**64 - 1):
        for name, certificates, protocols in [
            ("x", b"", []),
            ("x" * (1 << 20), b"", []),
            ("x", b"-----BEGIN CERTIFICATE-----\n" * (1 << 17), []),
            ("x", b"", ["y" * 1000] * 16),
        ]:
            ticket = net.start_tls(exchange, name, certificates, False, protocols)
            [(_, what, value)] = net.wait([ticket], 10)
            results.add(value[0] if what == "failed" else what)
    return sorted(results)
