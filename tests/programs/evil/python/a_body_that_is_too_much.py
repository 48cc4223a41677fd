# Sends a body of ninety megabytes in one piece.
# with: memory_bytes=1073741824
# fails: limit: The step handed over 90… MiB at once, more than its limit of 65 MiB (`result_bytes`, `net_buffered_bytes`); hand it over in pieces, or run it on a worker with higher limits
import _bue_net as net


def evil(canary):
    net.start("POST", "http://127.0.0.1:TRAP_PORT", "/", [], bytes(90 << 20))
