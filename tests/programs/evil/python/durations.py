# Invalid durations, for every function that takes one. Durations that are too long end with the step, so they are not here.
# gives: []
import asyncio
import math
import time

import _bue_net as net


def evil(canary):
    wrong = []
    for seconds in (-1, -math.inf, math.nan, -(10**30), "1", None, 1j, []):
        try:
            time.sleep(seconds)
            wrong.append(f"sleep {seconds}")
        except (ValueError, TypeError, OverflowError):
            pass
    for seconds in (0, -1, -1e300, 5e-324, -math.inf):
        if net.wait([], seconds) != []:
            wrong.append(f"wait {seconds}")
        ticket = net.start("GET", "http://127.0.0.1:1", "/", [], None, seconds, seconds)
        if net.wait([ticket], 10)[0][1] != "failed":
            wrong.append(f"timeout {seconds}")

    async def late(seconds):
        await asyncio.wait_for(asyncio.sleep(0.01), seconds)

    for seconds in (0, -1, -math.inf):
        try:
            asyncio.run(late(seconds))
            wrong.append(f"wait_for {seconds}")
        except TimeoutError:
            pass
    return wrong
