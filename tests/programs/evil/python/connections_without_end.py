# Opens TCP connections and never waits for one.
# with: net_exchanges=16
# fails: limit: The step started more than 64 network operations without waiting for any; wait for some of them before the next, or run it on a worker with a higher limit `net_exchanges`
import _bue_net as net


def evil(canary):
    while True:
        net.connect("127.0.0.1", TRAP_PORT)
