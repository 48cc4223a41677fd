# Starts requests whose targets are larger than the memory of the step may be.
# fails: raised: ValueError: the target has 20971521 bytes; the limit is 65536
import _bue_net as net


def evil(canary):
    tickets = [net.start("GET", "http://127.0.0.1:TRAP_PORT", "/" + "x" * (20 << 20), []) for _ in range(100)]
    (_, what, value), *_ = net.wait(tickets)
    raise ValueError(value[1])
