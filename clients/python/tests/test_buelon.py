"""Programs that were written for Buelon's client."""

from __future__ import annotations

import asyncio
import contextlib
import io
import subprocess
import sys
import unittest
from typing import List

import bue
import buelon
import buelon.core.pipe_interpreter
import buelon.hub
import buelon.worker

from .support import DEADLINE, REPOSITORY, Served, environment, wait_until, working_directory

STEPS = """\
import time
import buelon.core.step
import buelon.helpers.sqlite3_helper
from buelon.core.step import Result, StepStatus

def accounts(*args):
    return [{"id": 1, "name": "north"}, {"id": 2, "name": "south"}]

def request_report(account):
    return {"account": account, "requested_at": time.time()}

def get_status(request):
    if time.time() - request["requested_at"] < 0.2:
        return Result(status=StepStatus.pending, delay=0.1)
    return request

def get_report(request):
    return [{"account": request["account"]["name"], "sales": sales} for sales in (10, 20)]

def fails(*args):
    raise ValueError("broken")

def endless(*args):
    print("sleeping")
    time.sleep(3600)
"""
# a program for Buelon, in its folder: upload, wait, look at the jobs
PROGRAM = """\
import buelon

jobs = buelon.hub.upload_file_to_server("example.bue", return_jobs=True)
buelon.worker.run_file_on_server_until_done("example.bue", verbose=True)
statuses = buelon.hub.check_job_status_bulk([job.id for job in jobs])
while any(status not in ("success", "error", "cancel", "unknown") for status in statuses.values()):
    statuses = buelon.hub.check_job_status_bulk([job.id for job in jobs])
print(sorted(set(statuses.values())))
"""
SCRIPT = """\
$ production-small
!0

accounts:
    python
    accounts
    example.py

request:
    python
    request_report
    example.py

status:
    python
    $ testing-small
    get_status
    example.py

download:
    python
    !9
    get_report
    example.py

totals:
    sqlite3
    report
    `
SELECT account, sum(sales) AS sales FROM report GROUP BY account
`

accounts_pipe = | accounts
api_pipe = request | status | download | totals
for account in accounts_pipe():
    api_pipe(account)
"""

served: Served


def setUpModule() -> None:
    global served
    served = Served({"example.py": STEPS, "example.bue": SCRIPT, "program.py": PROGRAM})


def tearDownModule() -> None:
    served.close()


class BuelonTest(unittest.TestCase):
    def setUp(self) -> None:
        host, port = served.address.split(":")
        # the settings of Buelon
        context = contextlib.ExitStack()
        context.enter_context(environment(PIPE_WORKER_HOST=host, PIPE_WORKER_PORT=port))
        context.enter_context(working_directory(served.folder))
        self.addCleanup(context.close)
        self.hub = bue.Hub()

    def code(self, function: str) -> str:
        return f"import python ({function}) example.py\nx = | {function}\nx()\n"

    def test_a_program_runs_unchanged(self) -> None:
        command = [sys.executable, "program.py"]
        path = str(REPOSITORY / "clients/python")
        with environment(PYTHONPATH=path):
            output = subprocess.run(command, capture_output=True, text=True, timeout=DEADLINE, check=False)
        self.assertEqual((output.returncode, output.stderr), (0, ""))
        self.assertTrue(output.stdout.endswith("['success']\n"), output.stdout)
        [values] = self.hub.run("last").results()
        self.assertEqual(values, [[{"account": "north", "sales": 30}], [{"account": "south", "sales": 30}]])

    def test_jobs_have_the_states_of_buelon(self) -> None:
        self.assertIsNone(buelon.hub.upload_code_to_server(self.code("accounts")))
        [job] = buelon.hub.upload_code_to_server(self.code("endless"), return_jobs=True) or []
        self.assertEqual((job.name, type(job.id)), ("endless", str))
        wait_until("the job runs", lambda: buelon.hub.check_job_status(job.id) == "working")
        self.hub.run(job.run).cancel()
        expected = {job.id: "cancel", "none": "unknown", "123456789": "unknown"}
        self.assertEqual(buelon.hub.check_job_status_bulk(expected), expected)
        seen: List[buelon.core.step.Job] = []
        code = self.code("accounts")
        ids = buelon.hub.upload_pipe_code(code, wait_until_finish=True, return_job_ids=True, job_handler=seen.append)
        self.assertEqual([one.id for one in seen], ids)
        self.assertEqual([buelon.hub.check_job_status(id) for id in ids or []], ["success"])
        buelon.hub.upload_pipe_code_from_file("example.bue", wait_until_finish=True)
        buelon.hub.submit_pipe_code(self.code("accounts"))
        buelon.hub.submit_pipe_code_from_file("example.bue")
        buelon.hub.save_from_server()

    def test_errors_are_shown_reset_and_cancelled(self) -> None:
        with self.assertRaisesRegex(bue.RunFailed, "broken"):
            buelon.worker.run_code_on_server_until_done(self.code("fails"))
        run = self.hub.run("last")
        [error] = run.errors()
        *_, errors, texts = buelon.hub.get_all_info_from_server()
        self.assertIn(str(error.job), [job.id for job in errors])
        self.assertEqual(texts[str(error.job)]["error"], "ValueError: broken")
        self.assertIn("raise ValueError", texts[str(error.job)]["trace"])
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed):
            buelon.hub.display_errors_from_server()
            self.assertIsNone(buelon.hub.display_from_server())
        expected = f"name: fails | job id: {error.job}\n\nError: ValueError: broken\nTraceback:\nTraceback"
        self.assertIn(expected, printed.getvalue())
        text = buelon.hub.display_from_server("<", ">", return_value=True) or ""
        self.assertRegex(text, r"^<done: [\d,]+, queued: [\d,]+, errors: [\d,]+, .*>$")
        buelon.hub.reset_errors_from_server()
        run.wait(DEADLINE, check=False)
        self.assertEqual(run.status().counts.failed, 1)

        code = "import python (fails, endless) example.py\na = | fails\na()\nb = | endless\nb()\n"
        both = self.hub.upload(code=code)
        wait_until("one has failed", lambda: both.status().counts.failed == 1)
        buelon.hub.cancel_errors_from_server()
        self.assertEqual(both.wait(DEADLINE, check=False).status().state, "cancelled")
        self.assertEqual(run.status().state, "failed")

    def test_the_bucket(self) -> None:
        with environment(BUCKET_CLIENT_HOST="127.0.0.1", BUCKET_CLIENT_PORT=served.bucket_address.split(":")[1]):
            with buelon.bucket.Client() as client:
                self.assertIsNone(client.get("key"))
                client.set("key", b"value")
                client.set("key", b"kept", persistent=True)
                client.bulk_set({"a": b"1", "b": b"2"})
                self.assertEqual(client.bulk_get(["a", "b", "c"]), {"a": b"1", "b": b"2", "c": None})
                self.assertEqual(asyncio.run(client.async_get("key")), b"value")
                client.delete("key")
                client.delete("key")
                self.assertIsNone(client.get("key"))
                self.assertEqual(client.get("key", persistent=True), b"kept")
                client.clean_up()

    def test_a_script_runs_without_servers(self) -> None:
        before = served.files()
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed):
            buelon.core.pipe_interpreter.run_code(self.code("accounts"))
        self.assertEqual(printed.getvalue(), '[{"id":1,"name":"north"},{"id":2,"name":"south"}]\n')
        with self.assertRaisesRegex(bue.ScriptError, "broken"):
            buelon.core.pipe_interpreter.run_code(self.code("fails"))
        self.assertEqual(served.files(), before)

    def test_names_that_are_missing_say_what_to_use(self) -> None:
        with self.assertRaisesRegex(AttributeError, "bue.Hub"):
            buelon.hub.HubClient
        with self.assertRaisesRegex(AttributeError, "bue worker"):
            buelon.worker.work
        with self.assertRaisesRegex(AttributeError, "bue run"):
            buelon.core.pipe_interpreter.generate_steps_from_code

    def test_the_helpers_of_steps(self) -> None:
        self.assertIs(buelon.core.step.Result, bue.Result)
        self.assertIs(buelon.StepStatus, bue.StepStatus)
        db = buelon.helpers.sqlite3_helper.Sqlite3(":memory:")
        db.upload_table("account", [{"id": 1, "name": "north"}], id_column="id")
        self.assertEqual(db.download_table("account"), [{"id": 1, "name": "north"}])
        db.conn.close()
        self.assertEqual(buelon.helpers.pipe_util.try_number("2.5"), 2.5)
        self.assertEqual(buelon.helpers.json_parser.loads(buelon.helpers.json_parser.dumps([1])), [1])
        self.assertEqual(buelon.core.pipe_debug.counter("polls"), 1)
        self.assertEqual(buelon.core.pipe_debug.counter("polls", 2), 3)


if __name__ == "__main__":
    unittest.main()
