# Measures as precisely as possible: every clock has a resolution of a millisecond.
# gives: []
import time


def evil(canary):
    clocks = [time.time_ns, time.monotonic_ns, time.perf_counter_ns]
    return [clock.__name__ for clock in clocks if any(clock() % 1_000_000 for _ in range(1000))]
