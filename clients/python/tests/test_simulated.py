"""`bue.testing.run_script`: whole scripts in simulated time, with HTTP answered by the test."""

from __future__ import annotations

import datetime
import unittest
from typing import Any, List

from bue import ScriptError
from bue.testing import Request, Response, ScriptFailed, ScriptRun, UnexpectedRequest, in_turn, run_script

from .support import Project

STEPS = """\
import asyncio
import time
import urllib.error
import urllib.request
from bue import Result, StepStatus, secret

def get(path, data=None):
    with urllib.request.urlopen("https://api.example.com" + path, data) as response:
        return response.read().decode()

def request():
    return get("/reports", b"{}")

def status(report):
    answer = get("/reports/" + report)
    return answer if answer != "waiting" else Result(status=StepStatus.pending)

def days(day):
    return str(day)

def nap(seconds):
    wall, monotonic = time.time(), time.monotonic()
    time.sleep(seconds)
    return [round(time.time() - wall, 3), round(time.monotonic() - monotonic, 3)]

def numbers():
    return [1, 2, 3]

def shout(number):
    time.sleep(600 * (4 - number))
    get(f"/shout/{number}")
    return number

async def several():
    async def one(seconds):
        await asyncio.sleep(seconds)
        return seconds
    began = time.time()
    done = await asyncio.gather(one(0.0001), one(7200), one(60))
    return [done, round(time.time() - began)]

def flaky():
    return get("/flaky")

def with_secret():
    request = urllib.request.Request("https://api.example.com/me", headers={"Authorization": "Bearer secret:KEY"})
    with urllib.request.urlopen(request) as response:
        return response.status

def forbidden():
    return urllib.request.urlopen("https://other.example.com/").status
"""

POLL = """\
!allow net api.example.com
import python (
    request,
    status !every 60s !for 4h,
) steps.py
work = request | status
work()
"""


def script(step: str, call: str, settings: str = "") -> str:
    rules = "!allow net api.example.com\n!allow secret KEY\n"
    return f"{rules}import python (\n    {step} {settings},\n    numbers,\n) steps.py\n{call}\n"


class SimulatedTest(unittest.TestCase):
    def setUp(self) -> None:
        self.project = Project({"steps.py": STEPS, "poll.bue": POLL})
        self.addCleanup(self.project.close)

    def run_text(self, text: str, **arguments: Any) -> ScriptRun:
        return run_script(self.project.write("x.bue", text), **arguments)

    def test_a_poll_of_three_hours_takes_simulated_time_only(self) -> None:
        ready_at = datetime.datetime(2026, 11, 1, 9, tzinfo=datetime.timezone.utc)
        asked: List[datetime.datetime] = []

        def answer(request: Request) -> Any:
            if request.method == "POST":
                self.assertEqual((request.url, request.json()), ("https://api.example.com/reports", {}))
                return "r7"
            self.assertEqual(request.url, "https://api.example.com/reports/r7")
            asked.append(request.at)
            return "rows" if request.at >= ready_at else "waiting"

        run = run_script(self.project.path("poll.bue"), http=answer, start="2026-11-01T06:00")
        self.assertEqual((run.state, run.results), ("completed", ["rows"]))
        # every 60 s from the first to the one that is ready
        steps = {later - earlier for earlier, later in zip(asked, asked[1:])}
        self.assertEqual((len(asked), steps), (181, {datetime.timedelta(minutes=1)}))
        self.assertEqual((run.started, run.ended, run.duration), (asked[0], ready_at, datetime.timedelta(hours=3)))
        self.assertEqual(len(run.requests), 182)

    def test_sleeping_takes_simulated_time_only(self) -> None:
        run = self.run_text(script("nap", "nap(1000)"))
        self.assertEqual((run.results, run.duration), ([[1000.0, 1000.0]], datetime.timedelta(seconds=1000)))
        run = self.run_text(script("several", "several()", "!timeout 3h"))
        self.assertEqual(run.results, [[[0.0001, 7200, 60], 7200]])

    def test_steps_that_sleep_wake_up_in_the_order_of_time(self) -> None:
        text = script("shout", "for n in numbers():\n    shout(n)", "!timeout 1h")
        run = self.run_text(text, http=lambda request: {})
        self.assertEqual([request.url[-1] for request in run.requests], ["3", "2", "1"])
        self.assertEqual([(request.at - run.started).seconds for request in run.requests], [600, 1200, 1800])
        self.assertEqual(run.results, [[1, 2, 3]])

    def test_the_time_limit_of_a_step_is_in_simulated_time(self) -> None:
        run = self.run_text(script("nap", "nap(61)", "!timeout 60s"), check=False)
        self.assertEqual((run.state, run.duration), ("failed", datetime.timedelta(seconds=60)))
        self.assertIn("longer than its time limit of 60 s", run.failed[0].error)
        self.assertEqual(self.run_text(script("nap", "nap(59)", "!timeout 60s")).state, "completed")

    def test_retries_wait_in_simulated_time(self) -> None:
        answers = {"https://api.example.com/flaky": in_turn(503, Response(502, "no"), "done")}
        run = self.run_text(script("flaky", "flaky()", "!retries 2 after 10m..1h"), http=answers)
        waits = [later.at - earlier.at for earlier, later in zip(run.requests, run.requests[1:])]
        self.assertEqual(run.results, ["done"])
        self.assertTrue(datetime.timedelta(minutes=10) <= waits[0] <= datetime.timedelta(minutes=12.5), waits)
        self.assertTrue(datetime.timedelta(minutes=20) <= waits[1] <= datetime.timedelta(minutes=25), waits)

    def test_parameters_depend_on_the_simulated_day(self) -> None:
        text = "param day: date = yesterday\nimport python (days) steps.py\ndays(day)\n"
        self.assertEqual(self.run_text(text, start=datetime.datetime(2020, 3, 1, 12)).results, ["2020-02-29"])
        day = {"day": datetime.date(2021, 1, 1)}
        self.assertEqual(self.run_text(text, params=day).results, ["2021-01-01"])

    def test_a_run_that_never_ends_is_given_up(self) -> None:
        with self.assertRaisesRegex(ScriptError, "not ended within its limit of simulated time"):
            run_script(
                self.project.path("poll.bue"),
                http=lambda request: "waiting" if request.method == "GET" else "r",
                time_limit=datetime.timedelta(hours=2),
            )

    def test_a_secret_is_filled_in_and_no_request_leaves_the_machine(self) -> None:
        run = self.run_text(
            script("with_secret", "with_secret()"), http={"GET https://api.example.com/me": 204}, secrets={"KEY": "k1"}
        )
        self.assertEqual((run.results, run.requests[0].headers["authorization"]), ([204], "Bearer k1"))
        with self.assertRaises(ScriptFailed) as caught:
            self.run_text(script("forbidden", "forbidden()"), http=lambda request: 200)
        self.assertIn("!allow net other.example.com", caught.exception.run.failed[0].error)
        self.assertEqual(caught.exception.run.requests, [])

    def test_a_request_that_the_test_does_not_answer_fails_it(self) -> None:
        with self.assertRaisesRegex(UnexpectedRequest, "GET https://api.example.com/flaky"):
            self.run_text(script("flaky", "flaky()"), check=False)

        def broken(request: Request) -> Any:
            raise KeyError(request.url)

        with self.assertRaises(KeyError):
            self.run_text(script("flaky", "flaky()"), http=broken)

    def test_what_cannot_be_simulated_is_refused(self) -> None:
        tcp = "!allow tcp db.example.com:5432\n" + script("numbers as n", "n()").replace("    numbers,\n", "")
        for text, reason in (
            (tcp, "TCP connections"),
            (script("nap", "nap(1)", "!timeout 60s soft 50s"), "counts real time"),
            ("q:\n    postgres\n    rows\n    `SELECT 1`\nq()\n", "PostgreSQL server has a clock"),
        ):
            with self.assertRaisesRegex(ScriptError, reason):
                self.run_text(text)
        with self.assertRaisesRegex(Exception, "is not a time"):
            self.run_text(script("nap", "nap(1)"), start="soon")


if __name__ == "__main__":
    unittest.main()
