# Asks for secrets whose names are megabytes long.
# fails: raised: ValueError: the name of a secret has 20971520 bytes; the limit is 256
import _bue_net as net


def evil(canary):
    tickets = [net.secret("x" * (20 << 20)) for _ in range(100)]
    (_, what, value), *_ = net.wait(tickets)
    raise ValueError(value[1])
