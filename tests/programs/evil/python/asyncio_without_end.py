# Tasks that start tasks.
# with: time_ms=250
# fails: limit: The step ran longer than its time limit of 250 ms; give it more with `!timeout`, or answer `pending` instead of waiting
import asyncio


async def again():
    while True:
        await asyncio.gather(*[asyncio.sleep(0) for _ in range(100)])


def evil(canary):
    asyncio.run(again())
