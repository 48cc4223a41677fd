"""The asynchronous client."""

from __future__ import annotations

import asyncio
import threading
import unittest

import bue

from .support import DEADLINE, Served, wait_until

STEPS = """\
import time

def square(n):
    print("squaring", n)
    return n * n

def endless():
    time.sleep(3600)

def fails():
    raise ValueError("broken")
"""
SQUARE = "param n: int\nimport python (square) steps.py\nsquare(n)\n"

served: Served


def setUpModule() -> None:
    global served
    served = Served({"steps.py": STEPS, "square.bue": SQUARE}, ["square.bue"])


def tearDownModule() -> None:
    served.close()


def threads() -> int:
    return sum(thread.name == "bue" for thread in threading.enumerate())


class AsyncTest(unittest.IsolatedAsyncioTestCase):
    async def asyncSetUp(self) -> None:
        # a loaded machine is no reason for warnings
        asyncio.get_running_loop().slow_callback_duration = DEADLINE
        self.hub = bue.AsyncHub(served.address)

    async def asyncTearDown(self) -> None:
        await self.hub.close()

    async def test_many_runs_are_waited_for_at_the_same_time(self) -> None:
        async def square(n: int) -> int:
            run = await self.hub.invoke("square", n=n)
            await run.wait(DEADLINE)
            [value] = [value async for value in run.results()]
            return int(value)

        self.assertEqual(await asyncio.gather(*map(square, range(40))), [n * n for n in range(40)])
        wait_until("the threads have ended", lambda: threads() == 0)

    async def test_a_run_has_what_its_synchronous_twin_has(self) -> None:
        run = await self.hub.upload(served.path("square.bue"), params={"n": 3})
        self.assertEqual(await (await self.hub.run(run.id)).wait(DEADLINE), run)
        self.assertEqual([result.value async for result in run.calls()], [9])
        self.assertEqual([job.step async for job in run.jobs()], ["square"])
        [log] = [log async for log in run.logs()]
        self.assertIn("squaring 3", log.lines)
        self.assertEqual(await run.job_log(log.job), log.lines)
        self.assertEqual([part async for part in run.follow()], [])
        self.assertEqual((await run.status()).state, "completed")
        again = await run.rerun(params={"n": 4})
        await again.wait(DEADLINE)
        await again.delete()
        self.assertIn(run.id, [status.id async for status in self.hub.runs()])
        self.assertEqual((await self.hub.info()).version, bue.__version__)
        self.assertEqual((await self.hub.job(log.job)).step, "square")
        self.assertEqual(len(await self.hub.workers()), 1)

    async def test_errors_are_raised(self) -> None:
        run = await self.hub.upload(code="import python (fails) steps.py\nfails()\n", folder=served.folder)
        with self.assertRaisesRegex(bue.RunFailed, "broken"):
            await run.wait(DEADLINE)
        self.assertEqual((await run.errors())[0].failure.message, "ValueError: broken")
        with self.assertRaises(bue.NoResult):
            _ = [value async for value in run.results()]
        self.assertEqual(await run.reset(), 1)
        await run.wait(DEADLINE, check=False)
        with self.assertRaises(bue.UnfitParams):
            await self.hub.invoke("square", n="three")

    async def test_a_cancelled_wait_ends_at_once_and_the_run_goes_on(self) -> None:
        run = await self.hub.upload(code="import python (endless) steps.py\nendless()\n", folder=served.folder)
        with self.assertRaises(asyncio.TimeoutError):
            await asyncio.wait_for(run.wait(), 0.5)
        wait_until("the thread of the wait has ended", lambda: threads() == 0)
        self.assertEqual((await run.status()).state, "running")
        task = asyncio.ensure_future(run.follow().__anext__())
        await asyncio.sleep(0.5)
        task.cancel()
        with self.assertRaises(asyncio.CancelledError):
            await task
        wait_until("the thread of the log has ended", lambda: threads() == 0)
        self.assertEqual(await run.cancel(), 1)
        await run.wait(DEADLINE, check=False)

    async def test_the_bucket(self) -> None:
        bucket = self.hub.bucket
        await bucket.set("key", b"value", expires=60)
        self.assertEqual(await bucket.get("key"), b"value")
        async with bucket.open("key", "wb") as file:
            await file.write(b"new" * 100_000)
        async with bucket.open("key") as file:
            self.assertEqual(await file.read(3), b"new")
            self.assertEqual(len(await file.read()), 299_997)
        with self.assertRaises(KeyError):
            async with bucket.open("key", "wb") as file:
                await file.write(b"lost")
                raise KeyError
        self.assertTrue(await bucket.delete("key"))

    async def test_pipelines_and_schedules(self) -> None:
        pipelines, schedules = self.hub.pipelines, self.hub.schedules
        published = await pipelines.publish(served.path("square.bue"), name="again")
        self.assertEqual([one.name for one in await pipelines.list()], ["again", "square"])
        self.assertEqual((await pipelines.get("again")).version, published.version)
        for run in await pipelines.invoke_many("again", [{"n": 1}, {"n": 2}]):
            await run.wait(DEADLINE)
        await schedules.set("daily", pipeline="again", cron="0 6 * * *", params={"n": 3})
        await schedules.apply({"daily": {"pipeline": "again", "cron": "0 7 * * *", "params": {"n": 3}}})
        self.assertEqual([one.cron async for one in schedules.list()], ["0 7 * * *"])
        await schedules.pause("daily")
        await schedules.resume("daily")
        self.assertEqual((await schedules.get("daily")).state, "active")
        await (await schedules.run("daily")).wait(DEADLINE)
        progress = [one async for one in schedules.backfill("daily", "2026-11-01", "2026-11-03", timeout=DEADLINE)]
        self.assertEqual(progress[-1].runs.completed, 2)
        await schedules.delete("daily")
        await pipelines.unpublish("again")


class TwinsTest(unittest.TestCase):
    def test_every_method_has_a_twin_with_the_same_parameters(self) -> None:
        import inspect

        twins = [(bue.Hub, bue.AsyncHub), (bue.Run, bue.AsyncRun), (bue.Bucket, bue.AsyncBucket)]
        twins += [(bue.Pipelines, bue.AsyncPipelines), (bue.Schedules, bue.AsyncSchedules)]
        for one, other in twins:
            for name, method in inspect.getmembers(one, inspect.isfunction):
                if name.startswith("_") and name != "__init__" or (one, name) == (bue.Run, "__init__"):
                    continue
                if name == "__init__" and one is not bue.Hub:
                    continue
                with self.subTest(method=f"{one.__name__}.{name}"):
                    twin = inspect.signature(getattr(other, name)).parameters
                    self.assertEqual(list(inspect.signature(method).parameters.values()), list(twin.values()))


if __name__ == "__main__":
    unittest.main()
