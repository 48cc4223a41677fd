"""The client against a hub, a bucket and a worker."""

from __future__ import annotations

import datetime
import decimal
import io
import threading
import unittest
import uuid
from typing import Any, Set

import bue

from .support import DEADLINE, Served, working_directory

STEPS = """\
import datetime, decimal, time, uuid

def rows(n):
    return [{"id": number} for number in range(n)]

def printing(item):
    print("working on", item["id"])

def work(item, day):
    print("working on", item["id"])
    return {"id": item["id"], "day": day}

def total(rows):
    return sum(row["id"] for row in rows)

def types():
    east = datetime.timezone(datetime.timedelta(hours=2))
    return [None, True, 2**70, 1.5, float("inf"), "é", b"\\x00\\xff", uuid.UUID(int=7), decimal.Decimal("1.50"),
            datetime.date(2026, 11, 1), datetime.time(12, 30), datetime.datetime(2026, 11, 1, 6),
            datetime.datetime(2026, 11, 1, 6, tzinfo=east), (1, 2), {1, 2}, {1: "a", "b": [1]}]

def large():
    return b"x" * 300_000

def page(item):
    return str(item["id"]) * 5_000

def odd(item):
    if item["id"] % 2:
        raise ValueError(f"{item['id']} is odd")
    return item["id"]

def fails():
    raise ValueError("broken")

def after(rows):
    return rows

def endless():
    print("about to sleep")
    time.sleep(3600)
"""

REPORT = """\
param day: date = yesterday
param n: int = 3 (1..2000)

import python (rows, work, total) steps.py

for item in rows(n):
    work(item, day)
all = rows(n)
total(all)
"""

served: Served
hub: bue.Hub


def setUpModule() -> None:
    global served, hub
    served = Served({"steps.py": STEPS, "report.bue": REPORT}, ["report.bue"])
    hub = bue.Hub(served.address)


def tearDownModule() -> None:
    hub.close()
    served.close()


def script(calls: str, *steps: str) -> str:
    return f"import python ({', '.join(steps)}) steps.py\n{calls}\n"


def upload(calls: str, *steps: str) -> bue.Run:
    return hub.upload(code=script(calls, *steps), folder=served.folder)


class UploadTest(unittest.TestCase):
    def test_a_script_is_uploaded_and_its_results_are_read(self) -> None:
        run = hub.upload(served.path("report.bue"), params={"n": 2, "day": datetime.date(2026, 11, 1)})
        self.assertEqual(run.wait(DEADLINE), run)
        day = datetime.date(2026, 11, 1)
        self.assertEqual(list(run.results()), [[{"id": 0, "day": day}, {"id": 1, "day": day}], 1])
        status = run.status()
        self.assertEqual((status.state, status.counts.completed), (bue.RunState.completed, 5))
        self.assertEqual(status.state, "completed")
        self.assertEqual({step.name for step in status.steps}, {"rows", "work", "total"})
        self.assertIs(status.created_at.tzinfo, datetime.timezone.utc)
        self.assertEqual(run.errors(), [])

    def test_code_finds_the_files_of_its_folder_and_leaves_none(self) -> None:
        before = served.files()
        with working_directory(served.folder):
            run = hub.upload(code=script("types()", "types"), name="kinds")
        self.assertEqual(served.files(), before)
        self.assertTrue(run.status().name.startswith("kinds"))
        [value] = run.wait(DEADLINE).results()
        east = datetime.timezone(datetime.timedelta(hours=2))
        expected: Any = [None, True, 2**70, 1.5, float("inf"), "é", b"\x00\xff", uuid.UUID(int=7)]
        expected += [decimal.Decimal("1.50"), datetime.date(2026, 11, 1), datetime.time(12, 30)]
        expected += [datetime.datetime(2026, 11, 1, 6), datetime.datetime(2026, 11, 1, 6, tzinfo=east)]
        expected += [(1, 2), {1, 2}, {1: "a", "b": [1]}]
        self.assertEqual(value, expected)
        self.assertEqual([type(item) for item in value], [type(item) for item in expected])
        self.assertEqual(str(value[8]), "1.50")

    def test_a_script_with_errors_is_refused_with_all_of_them(self) -> None:
        with self.assertRaises(bue.ScriptError) as caught:
            hub.upload(code="import python (rows) steps.py\nrows(\nfoo()\n", folder=served.folder)
        self.assertEqual(caught.exception.code, 1)
        self.assertRegex(str(caught.exception), r"error\[E\d+\]")
        with self.assertRaisesRegex(bue.ScriptError, "1..2000"):
            hub.upload(served.path("report.bue"), params={"n": 2001})

    def test_usage_is_checked(self) -> None:
        with self.assertRaises(TypeError):
            hub.upload()
        with self.assertRaises(TypeError):
            hub.upload("a.bue", code="b")
        with self.assertRaises(bue.InvalidSetting):
            hub.upload(code="x", folder="/nowhere")


class ResultsTest(unittest.TestCase):
    def test_large_results_come_from_the_bucket(self) -> None:
        run = upload("large()", "large").wait(DEADLINE)
        self.assertEqual(list(run.results()), [b"x" * 300_000])

    def test_results_of_many_rounds_come_in_pages(self) -> None:
        run = upload("for item in rows(1500):\n    page(item)", "rows", "page").wait(DEADLINE)
        [values] = run.results()
        self.assertEqual(values, [str(number) * 5_000 for number in range(1500)])
        rows, pages = run.calls()
        self.assertEqual((rows.is_used, len(rows.value), pages.rounds and pages.rounds.completed), (True, 1500, 1500))

    def test_what_has_no_result_is_never_left_out_silently(self) -> None:
        run = upload("for item in rows(4):\n    odd(item)\nx = fails()\nafter(x)", "rows", "odd", "fails", "after")
        with self.assertRaises(bue.RunFailed) as caught:
            run.wait(DEADLINE)
        self.assertIn("is odd", str(caught.exception))
        self.assertIn("steps.py", str(caught.exception))
        self.assertEqual(caught.exception.state, "failed")
        self.assertEqual(len(caught.exception.errors), 3)
        with self.assertRaises(bue.NoResult) as missing:
            list(run.results())
        self.assertEqual((missing.exception.line, missing.exception.state), (3, "failed"))
        _, odd, failed, skipped = run.calls()
        self.assertEqual(odd.value, [0, bue.Missing.failed, 2, bue.Missing.failed])
        self.assertEqual(odd.rounds, bue.RoundTotals(completed=2, failed=2, cancelled=0, skipped=0, running=0))
        self.assertEqual((failed.state, skipped.state, skipped.value), ("failed", "skipped", bue.Missing.skipped))
        self.assertFalse(skipped.value)
        errors = run.errors()
        self.assertEqual([(error.step, error.failure.kind) for error in errors if error.step == "odd"], [("odd", "raised")] * 2)
        odd_errors = [error for error in errors if error.step == "odd"]
        self.assertEqual([error.rounds[0].round for error in odd_errors], [2, 4])
        self.assertEqual([job.id for job in run.jobs(step="odd", state="failed")], [error.job for error in odd_errors])
        self.assertEqual(caught.exception.errors, errors)

    def test_failed_jobs_run_again_after_a_reset(self) -> None:
        run = upload("fails()", "fails")
        run.wait(DEADLINE, check=False)
        self.assertEqual(run.reset(), 1)
        with self.assertRaises(bue.RunFailed):
            run.wait(DEADLINE)


class RunTest(unittest.TestCase):
    def test_a_run_is_cancelled_and_deleted(self) -> None:
        run = upload("endless()", "endless")
        with self.assertRaises(bue.WaitTimedOut) as caught:
            run.wait(0.2)
        self.assertIsInstance(caught.exception, TimeoutError)
        with self.assertRaises(bue.Conflict) as conflict:
            run.delete()
        self.assertEqual(conflict.exception.code, "run_running")
        self.assertEqual(run.cancel(), 1)
        with self.assertRaises(bue.RunFailed) as cancelled:
            run.wait(DEADLINE)
        self.assertEqual(cancelled.exception.state, "cancelled")
        run.delete()
        with self.assertRaises(bue.NotFound) as missing:
            run.status()
        self.assertEqual((missing.exception.status, missing.exception.code), (404, "run_not_found"))
        self.assertIn(run.id, missing.exception.message)

    def test_waiting_is_one_request_that_the_end_answers(self) -> None:
        run = upload("endless()", "endless")
        caught = []

        def wait() -> None:
            try:
                run.wait(DEADLINE)
            except bue.RunFailed as error:
                caught.append(error.state)

        thread = threading.Thread(target=wait)
        thread.start()
        # the client is in its long poll, or comes to it later: both end at once
        run.cancel()
        thread.join(DEADLINE)
        self.assertEqual(caught, ["cancelled"])

    def test_what_steps_print_is_followed(self) -> None:
        run = upload("endless()", "endless")
        followed = ""
        # ends when the run does
        for part in run.follow(step="endless"):
            self.assertEqual((part.step, part.missed), ("endless", 0))
            followed += part.lines
            if "about to sleep\n" in followed:
                run.cancel()
        self.assertRegex(followed, r"^\d{4}-\S+ about to sleep\n$")
        with self.assertRaises(bue.NotFound):
            next(hub.run("01900000-0000-7000-8000-000000000000").follow())

    def test_what_steps_printed_is_read_afterwards(self) -> None:
        run = upload("for item in rows(3):\n    printing(item)", "rows", "printing").wait(DEADLINE, check=False)
        self.assertEqual(list(run.logs(step="rows")), [])
        logs = list(run.logs())
        self.assertEqual({log.step for log in logs}, {"printing"})
        texts = sorted(log.lines.split(" ", 1)[1] for log in logs)
        self.assertEqual(texts, [f"working on {number}\n" for number in range(3)])
        self.assertEqual(run.job_log(logs[0].job), logs[0].lines)
        with self.assertRaises(bue.NotFound):
            list(run.logs(step="none"))

    def test_runs_are_found_by_the_beginnings_of_their_ids(self) -> None:
        run = upload('total([{"id": 1}])', "total").wait(DEADLINE)
        self.assertEqual(hub.run(run.id), run)
        self.assertEqual(hub.run(run.id[:13]), run)
        self.assertIn(run.id, [status.id for status in hub.runs(since=datetime.timedelta(hours=1))])
        with self.assertRaisesRegex(bue.NotFound, "no run"):
            hub.run("ffffffffffffffffffffffff")
        with self.assertRaises(bue.Refused):
            hub.run("xyz")
        self.assertEqual(hub.job(next(run.jobs()).id).step, "total")
        with self.assertRaises(bue.NotFound):
            hub.job(10**9)

    def test_a_run_is_repeated_with_other_parameters(self) -> None:
        first = hub.upload(served.path("report.bue"), params={"n": 2}).wait(DEADLINE)
        again = first.rerun(params={"n": 3}, key="again").wait(DEADLINE)
        self.assertEqual(list(again.results())[1], 3)
        self.assertEqual(again.status().rerun_of, first.id)
        self.assertEqual(first.rerun(params={"n": 3}, key="again"), again)
        with self.assertRaises(bue.UnfitParams):
            first.rerun(params={"m": 3})


class ListTest(unittest.TestCase):
    def test_runs_are_filtered_and_come_in_pages(self) -> None:
        ids: Set[str] = set()
        for _ in range(2):
            runs = hub.pipelines.invoke_many("report", [{"n": 1, "day": "2020-02-02"}] * 80)
            ids.update(run.id for run in runs)
        found = list(hub.runs(pipeline="report", params={"day": datetime.date(2020, 2, 2)}))
        self.assertEqual({run.id for run in found}, ids)
        self.assertEqual({run.pipeline and run.pipeline.name for run in found}, {"report"})
        for run in ids:
            hub.run(run).wait(DEADLINE)
        since = datetime.datetime.now(datetime.timezone.utc) - datetime.timedelta(hours=1)
        completed = {run.id for run in hub.runs(state=["completed", "cancelled"], since=since)}
        self.assertLessEqual(ids, completed)
        self.assertEqual(list(hub.runs(until=datetime.date(2020, 1, 1))), [])
        self.assertEqual(list(hub.runs(name="no such script*")), [])
        with self.assertRaises(bue.Refused) as caught:
            list(hub.runs(state="asleep"))
        self.assertEqual((caught.exception.code, caught.exception.fields[0].field), ("invalid_filter", "state"))
        with self.assertRaises(bue.InvalidSetting):
            list(hub.runs(since=datetime.datetime(2026, 1, 1)))

    def test_failed_jobs_of_all_runs_are_listed_and_changed_together(self) -> None:
        runs = [upload("fails()", "fails").wait(DEADLINE, check=False) for _ in range(3)]
        errors = [error for error in hub.errors(step="fails", since="1h") if error.job.run in {run.id for run in runs}]
        self.assertEqual([error.job.failure and error.job.failure.message for error in errors], ["ValueError: broken"] * 3)
        counted = hub.reset_runs(step="fails", error="broken", dry_run=True)
        self.assertGreaterEqual((counted.runs, counted.jobs), (3, 3))
        self.assertEqual(hub.reset_runs(step="fails", error="broken").jobs, counted.jobs)
        for run in runs:
            run.wait(DEADLINE, check=False)
        sleeping = upload("endless()", "endless")
        self.assertEqual(hub.cancel_runs(name=sleeping.status().name).runs, 1)
        self.assertEqual(hub.delete_runs(name=sleeping.status().name).examples[0].run, sleeping.id)
        with self.assertRaises(bue.Refused):
            hub.delete_runs()
        with self.assertRaises(TypeError):
            hub.delete_runs(names="x")


class PipelineTest(unittest.TestCase):
    def test_a_pipeline_is_invoked(self) -> None:
        run = hub.invoke("report", n=2, day=datetime.date(2026, 11, 1)).wait(DEADLINE)
        self.assertEqual(list(run.results())[1], 1)
        self.assertEqual(list(hub.invoke("report", params={"n": 3}, priority=5).wait(DEADLINE).results())[1], 3)

    def test_requests_with_the_same_key_start_one_run(self) -> None:
        first = hub.invoke("report", n=2, key="the key")
        self.assertEqual(hub.invoke("report", n=2, key="the key"), first)
        with self.assertRaises(bue.Conflict) as caught:
            hub.invoke("report", n=3, key="the key")
        self.assertEqual(caught.exception.code, "key_used")
        self.assertNotEqual(hub.invoke("report", n=2), hub.invoke("report", n=2))
        with self.assertRaises(bue.InvalidSetting):
            hub.invoke("report", key="é")

    def test_unfit_parameters_are_reported_one_by_one(self) -> None:
        with self.assertRaises(bue.UnfitParams) as caught:
            hub.invoke("report", n=0, day="tomorrow", limit=7)
        self.assertEqual({field.field for field in caught.exception.fields}, {"n", "day", "limit"})
        self.assertEqual((caught.exception.status, caught.exception.code), (422, "invalid_params"))
        with self.assertRaises(bue.UnfitParams) as caught:
            hub.pipelines.invoke_many("report", [{"n": 1}, {"n": 0}])
        self.assertEqual([field.field for field in caught.exception.fields], ["runs[1].n"])
        with self.assertRaises(TypeError):
            hub.invoke("report", params={"n": 1}, n=1)
        with self.assertRaises(bue.UnsupportedValue):
            hub.invoke("report", n=decimal.Decimal(1))

    def test_many_runs_are_started_together(self) -> None:
        runs = hub.pipelines.invoke_many("report", [{"n": 1}, {"n": 2}], keys=["first", "second"])
        self.assertEqual(hub.pipelines.invoke_many("report", [{"n": 1}, {"n": 2}], keys=["first", "second"]), runs)
        self.assertEqual([list(run.wait(DEADLINE).results())[1] for run in runs], [0, 1])

    def test_pipelines_are_published_listed_and_removed(self) -> None:
        path = served.write("second.bue", script("types()", "types"))
        published = hub.pipelines.publish(path, name="kinds")
        self.assertEqual(published, bue.Published("kinds", 1, True))
        self.assertFalse(hub.pipelines.publish(path, name="kinds").created)
        self.assertLessEqual({"kinds", "report"}, {pipeline.name for pipeline in hub.pipelines.list()})
        params = {param.name: param for param in hub.pipelines.get("report").params}
        self.assertEqual((params["n"].type, params["n"].max, params["n"].required), ("int", 2000, False))
        hub.pipelines.unpublish("kinds")
        for act in (hub.pipelines.unpublish, hub.pipelines.get, hub.invoke):
            with self.assertRaises(bue.NotFound) as caught:
                act("kinds")
            self.assertEqual(caught.exception.code, "pipeline_not_found")
        with self.assertRaises(bue.ScriptError):
            hub.pipelines.publish(served.write("broken.bue", "foo("))


class ScheduleTest(unittest.TestCase):
    def test_a_schedule_is_set_run_and_removed(self) -> None:
        applied = hub.schedules.set("nightly", pipeline="report", cron="0 6 * * *", params={"n": 2}, timezone="Europe/Berlin")
        self.assertEqual((applied.change, hub.schedules.get("nightly").params), ("created", '{"n":2}'))
        self.assertEqual(len(hub.schedules.get("nightly").next), 5)
        hub.schedules.pause("nightly")
        self.assertEqual(hub.schedules.get("nightly").state, "paused")
        hub.schedules.resume("nightly")
        run = hub.schedules.run("nightly", key="now")
        self.assertEqual(hub.schedules.run("nightly", key="now"), run)
        self.assertEqual(list(run.wait(DEADLINE).results())[1], 1)
        hub.schedules.delete("nightly")
        with self.assertRaises(bue.NotFound):
            hub.schedules.get("nightly")

    def test_wrong_fields_are_reported_one_by_one(self) -> None:
        with self.assertRaises(bue.UnfitSchedule) as caught:
            hub.schedules.set("bad", pipeline="report", cron="x", overlap="sometimes")
        self.assertEqual({field.field for field in caught.exception.fields}, {"cron", "overlap"})

    def test_many_schedules_are_applied_and_listed(self) -> None:
        fields = {f"s{number}": {"pipeline": "report", "every": "1d", "from": "2026-01-01"} for number in range(150)}
        changes = hub.schedules.apply(fields, dry_run=True)
        self.assertEqual({one.change for one in changes}, {"created"})
        self.assertEqual(list(hub.schedules.list()), [])
        hub.schedules.apply(fields)
        self.assertEqual([one.name for one in hub.schedules.list()], sorted(fields))
        hub.schedules.apply({}, prune=True)
        self.assertEqual(list(hub.schedules.list()), [])

    def test_past_due_times_are_run(self) -> None:
        hub.schedules.set("daily", pipeline="report", cron="0 6 * * *", params={"n": 1})
        start = datetime.date(2026, 11, 5)
        progress = list(hub.schedules.backfill("daily", start, "2026-11-09", at_most=2, timeout=DEADLINE))[-1]
        self.assertEqual((progress.due, progress.waiting, progress.runs.completed), (4, 0, 4))
        hub.schedules.delete("daily")


class BucketTest(unittest.TestCase):
    def test_values_are_set_read_and_deleted(self) -> None:
        self.assertIsNone(hub.bucket.get("a b/é?#%"))
        hub.bucket.set("a b/é?#%", b"one")
        hub.bucket.set("a b/é?#%", bytearray(b"two"), expires=datetime.timedelta(hours=1))
        self.assertEqual(hub.bucket.get("a b/é?#%"), b"two")
        self.assertTrue(hub.bucket.delete("a b/é?#%"))
        self.assertFalse(hub.bucket.delete("a b/é?#%"))

    def test_values_are_streamed(self) -> None:
        pieces = [bytes([number]) * 70_000 for number in range(200)]
        with hub.bucket.open("stream", "wb") as file:
            for piece in pieces:
                self.assertEqual(file.write(piece), len(piece))
            self.assertIsNone(hub.bucket.get("stream"))
        whole = b"".join(pieces)
        with hub.bucket.open("stream") as file:
            self.assertEqual(file.read(100_000), whole[:100_000])
            self.assertEqual(file.read(), whole[100_000:])
        with self.assertRaisesRegex(bue.TooLarge, "open"):
            hub.bucket.get("stream", max_bytes=1_000_000)
        hub.bucket.set("stream", io.BytesIO(whole))
        self.assertEqual(hub.bucket.get("stream"), whole)
        hub.bucket.set("stream", (piece for piece in [b"", b"a", b"b"]))
        self.assertEqual(hub.bucket.get("stream"), b"ab")

    def test_a_value_that_is_not_finished_is_not_stored(self) -> None:
        hub.bucket.set("kept", b"old")
        with self.assertRaises(KeyError):
            with hub.bucket.open("kept", "wb") as file:
                file.write(b"n" * 1_000_000)
                raise KeyError
        unfinished = hub.bucket.open("kept", "wb")
        unfinished.write(b"n" * 1_000_000)
        del unfinished
        self.assertEqual(hub.bucket.get("kept"), b"old")

    def test_refusals(self) -> None:
        with self.assertRaises(bue.NotFound):
            hub.bucket.open("nothing")
        for key in ["../x", "a//b", "x" * 2000]:
            with self.subTest(key=key), self.assertRaises(bue.Refused) as caught:
                hub.bucket.set(key, b"")
            self.assertEqual(caught.exception.code, "bad_key")
            with self.assertRaises(bue.Refused):
                with hub.bucket.open(key, "wb") as file:
                    file.write(b"x" * 10_000_000)
        with self.assertRaises(TypeError):
            hub.bucket.set("text", "text")  # type: ignore[arg-type]
        with self.assertRaises(ValueError):
            hub.bucket.set("text", b"", expires=0)
        with self.assertRaises(ValueError):
            hub.bucket.open("text", "rt")


class HubTest(unittest.TestCase):
    def test_the_hub_says_what_it_is(self) -> None:
        self.assertEqual(hub.info().version, bue.__version__)
        self.assertEqual(len(hub.workers()), 1)
        self.assertIn(served.address, repr(hub))

    def test_one_client_serves_many_threads(self) -> None:
        results = []

        def work(number: int) -> None:
            run = hub.invoke("report", n=number).wait(DEADLINE)
            results.append((number, list(run.results())[1]))

        threads = [threading.Thread(target=work, args=(number,)) for number in range(1, 9)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(DEADLINE)
        self.assertEqual(sorted(results), [(number, number * (number - 1) // 2) for number in range(1, 9)])


if __name__ == "__main__":
    unittest.main()
