"""`bue.testing`, and steps outside of the sandbox."""

from __future__ import annotations

import ast
import contextlib
import datetime
import importlib.util
import inspect
import io
import unittest
from typing import Any

import bue
from bue.testing import StepFailed, run_step, try_step

from .support import REPOSITORY, Project, environment, working_directory

STEPS = """\
import datetime, os
from bue import Result, StepStatus, env, secret
import helper

def get_status(config):
    print("asking for", config["id"])
    if config.get("status") == "pending":
        return Result(status=StepStatus.pending, delay=5)
    if config.get("status") == "gone":
        return Result(status=StepStatus.cancel)
    if config.get("status") == "lost":
        return Result(status=StepStatus.reset)
    return {"id": helper.double(config["id"]), "day": datetime.date(2026, 11, 1)}

def fails(text):
    raise ValueError(text)

def add(a, b=1):
    return a + b

def variable():
    return os.environ["REGION"]

def with_secret():
    return secret("API_KEY")
"""
FILES = {
    "my steps.py": STEPS,
    "helper.py": "def double(n):\n    return 2 * n\n",
    "report.bue": "import python (get_status as status, fails) my steps.py\nstatus({})\nfails(1)\n",
    "broken.bue": "foo(\n",
    "query.bue": "few:\n    sqlite3\n    rows\n    `SELECT count(*) AS n FROM rows`\nx = few | few\nx([])\n",
}


class RunStepTest(unittest.TestCase):
    def setUp(self) -> None:
        self.project = Project(FILES)
        self.addCleanup(self.project.close)
        self.steps = self.project.path("my steps.py")

    def test_a_function_of_a_file_runs_in_the_sandbox(self) -> None:
        self.assertEqual(run_step(self.steps, "get_status", {"id": 7}), {"id": 14, "day": datetime.date(2026, 11, 1)})
        self.assertEqual(run_step(self.steps, "add", 2**70, 1.0), 2.0**70)
        self.assertEqual(run_step(self.steps, "add", 2**70), 2**70 + 1)
        self.assertEqual(run_step(self.steps, "add", "é\n`", " #"), "é\n` #")
        with working_directory(self.project.folder):
            self.assertEqual(run_step("my steps.py", "add", [None], [True]), [None, True])
        self.assertEqual(self.project.files(), sorted(FILES))

    def test_a_step_of_a_script_runs_under_its_name(self) -> None:
        run = try_step(self.project.path("report.bue"), "status", {"id": 7})
        self.assertEqual((run.outcome, run.value["id"]), ("completed", 14))
        self.assertRegex(run.log, r"^\d{4}-\d\d-\d\dT.* asking for 7\n$")
        self.assertEqual(run_step(self.project.path("query.bue"), "few", [{"a": 1}, {"a": 2}]), [{"n": 2}])

    def test_answers_are_results(self) -> None:
        for status, expected in [("pending", "pending"), ("gone", "cancel"), ("lost", "reset")]:
            result = run_step(self.steps, "get_status", {"id": 7, "status": status})
            self.assertIsInstance(result, bue.Result)
            self.assertEqual(result.status, bue.StepStatus[expected])

    def test_a_failure_has_the_traceback_of_the_step(self) -> None:
        with self.assertRaises(StepFailed) as caught:
            run_step(self.steps, "fails", "no such account")
        self.assertEqual(caught.exception.error, "ValueError: no such account")
        for text in ["step `fails`", "my steps.py", "in fails", "raise ValueError(text)"]:
            self.assertIn(text, str(caught.exception))
        self.assertEqual(try_step(self.steps, "fails", "x").outcome, "failed")

    def test_permissions_are_those_of_the_test(self) -> None:
        with self.assertRaisesRegex(StepFailed, "REGION"):
            run_step(self.steps, "variable")
        self.assertEqual(run_step(self.steps, "variable", env={"REGION": "a b,c"}), "a b,c")

    def test_mistakes_are_errors(self) -> None:
        with self.assertRaisesRegex(bue.ScriptError, "foo"):
            run_step(self.project.path("broken.bue"), "foo")
        with self.assertRaisesRegex(bue.ScriptError, "nothing"):
            run_step(self.steps, "nothing")
        with self.assertRaisesRegex(bue.InvalidSetting, "nowhere.py"):
            run_step("nowhere.py", "f")
        with self.assertRaises(bue.InvalidSetting):
            run_step(self.steps, "a) b.py\n(c")
        bad: Any = [float("nan"), datetime.date(2026, 1, 1), (1,), {1: 2}, [b"x"]]
        for value in bad:
            with self.subTest(value=value), self.assertRaisesRegex(bue.UnsupportedValue, "argument 1"):
                run_step(self.steps, "add", value)


class StepModuleTest(unittest.TestCase):
    """The names that steps import are those of the sandbox."""

    def test_a_file_of_steps_is_imported_and_called(self) -> None:
        project = Project({"one.py": STEPS.replace("import helper", "")})
        self.addCleanup(project.close)
        spec = importlib.util.spec_from_file_location("one", project.path("one.py"))
        assert spec is not None and spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        with contextlib.redirect_stdout(io.StringIO()):
            result = module.get_status({"id": 7, "status": "pending"})
        self.assertEqual((result.status, result.delay), (bue.StepStatus.pending, 5))
        self.assertEqual(repr(result), "Result(status=<StepStatus.pending: 3>, delay=5)")
        with self.assertRaisesRegex(PermissionError, "BUE_SECRET_API_KEY"):
            module.with_secret()
        with environment(BUE_SECRET_API_KEY="k"):
            self.assertEqual(module.with_secret(), "k")
        self.assertIs(module.env, bue.env)

    def test_the_names_are_those_of_the_sandbox(self) -> None:
        source = (REPOSITORY / "guest-sdk/python/lib/bue.py").read_text(encoding="utf-8")
        tree = ast.parse(source)
        nodes = {node.name: node for node in tree.body if isinstance(node, (ast.ClassDef, ast.FunctionDef))}
        assigned = [node for node in tree.body if isinstance(node, ast.Assign)]
        [names] = [node.value for node in assigned if ast.unparse(node.targets[0]) == "__all__"]
        for name in ast.literal_eval(names):
            self.assertIn(name, bue.__all__)
        [init] = [node for node in nodes["Result"].body if isinstance(node, ast.FunctionDef) and node.name == "__init__"]
        parameters = [argument.arg for argument in init.args.args]
        self.assertEqual(list(inspect.signature(bue.Result.__init__).parameters), parameters)
        members = {
            node.targets[0].id: ast.literal_eval(node.value)
            for node in nodes["StepStatus"].body
            if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name)
        }
        self.assertEqual({status.name: status.value for status in bue.StepStatus}, members)


if __name__ == "__main__":
    unittest.main()
