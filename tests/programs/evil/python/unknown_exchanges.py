# Reads, writes and closes exchanges that were never started.
# gives: ["closed"]
import _bue_net as net


def evil(canary):
    results = set()
    for exchange in (0, 1, 7, 2**63, 2**64 - 1):
        net.close(exchange)
        tickets = [net.read(exchange, 2**32 - 1, 1), net.read(exchange, 0, -1), net.write(exchange, b"x" * 1000, True)]
        while tickets:
            for ticket, what, value in net.wait(tickets, 10):
                tickets.remove(ticket)
                results.add(value[0] if what == "failed" else what)
    return sorted(results)
