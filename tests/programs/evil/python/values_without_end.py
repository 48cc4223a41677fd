# Opens values of the bucket without closing any, writes to those it reads and reads those it writes, and sends pieces out of turn.
# with: net_exchanges=8
# gives: [["limit","missing","wrote"],["closed","wrote"],["bad_request"],"x"]
import _bue_net as net


def outcome(ticket):
    [(_, what, value)] = net.wait([ticket], 10)
    return value[0] if what == "failed" else what


def evil(canary):
    opened = set()
    writing = [net.store_value(f"allowed/{number}", None) for number in range(12)]
    opened.update(outcome(ticket) for ticket in writing)
    for ticket in writing:
        net.close(ticket)
    for number in range(12):
        opened.add(outcome(net.open_value("allowed/none", 2**32 - 1)))
    out_of_turn = set()
    value = net.store_value("allowed/a", None)
    out_of_turn.add(outcome(value))
    for start in (
        lambda: net.read(value, 10),
        lambda: net.start_tls(value, "a", b"", True, []),
        lambda: net.write(value, b"x", True),
        lambda: net.write(value, b"y", True),
        lambda: net.read(value, 10),
        lambda: net.write(value + 1000, b"", False),
    ):
        out_of_turn.add(outcome(start()))
    lifetimes = {outcome(net.store_value("allowed/b", seconds)) for seconds in (0, 2**40, 2**64 - 1)}
    [(_, what, (data, last))] = net.wait([net.open_value("allowed/a", 0)], 10)
    return [sorted(opened), sorted(out_of_turn), sorted(lifetimes), data.decode()]
