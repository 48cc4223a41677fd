"""The examples of `docs/python-client.md` run as they are printed, and print what the comments behind them say."""

from __future__ import annotations

import contextlib
import importlib.util
import io
import re
import sys
import types
import unittest
from typing import Any, Dict, List, Tuple

import bue

from .support import REPOSITORY, Served, environment, working_directory

PAGE = REPOSITORY / "docs/python-client.md"
ADDRESS = "127.0.0.1:65432"


def blocks() -> List[Tuple[str, str]]:
    """Return what follows the fence of each block, and its text."""
    parts = PAGE.read_text(encoding="utf-8").split("```")[1::2]
    split = [part.partition("\n") for part in parts]
    return [(info.strip(), text) for info, _, text in split]


def fake_pytest() -> types.ModuleType:
    """Return the one function of pytest that the page uses: the tests need no package."""
    module = types.ModuleType("pytest")

    def raises(kind: Any, match: str) -> Any:
        return unittest.TestCase().assertRaisesRegex(kind, match)

    module.raises = raises  # type: ignore[attr-defined]
    return module


class DocsTest(unittest.TestCase):
    def setUp(self) -> None:
        texts = {info.split(" ")[1]: text for info, text in blocks() if " " in info}
        self.served = Served(texts, ["report.bue"])
        self.addCleanup(self.served.close)

    def test_the_examples_print_what_they_say(self) -> None:
        names: Dict[str, Any] = {}
        seen = 0
        port = self.served.address.split(":")[1]
        with working_directory(self.served.folder), environment(PIPE_WORKER_HOST="", PIPE_WORKER_PORT=""):
            for info, text in blocks():
                if info != "python":
                    continue
                expected = re.findall(r"^ *print\(.*\)\s+# (.*)$", text, re.MULTILINE)
                code = text.replace(ADDRESS, self.served.address).replace('"65432"', f'"{port}"')
                printed = io.StringIO()
                with contextlib.redirect_stdout(printed):
                    exec(compile(code, str(PAGE), "exec"), names)
                self.assertEqual(printed.getvalue().splitlines(), expected, text)
                seen += 1
        names["hub"].close()
        self.assertGreaterEqual(seen, 7)

    def test_the_tests_of_steps_pass(self) -> None:
        spec = importlib.util.spec_from_file_location("test_steps", self.served.path("test_steps.py"))
        assert spec is not None and spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        if importlib.util.find_spec("pytest") is None:
            sys.modules["pytest"] = fake_pytest()
            self.addCleanup(sys.modules.pop, "pytest")
        spec.loader.exec_module(module)
        tests = [value for name, value in vars(module).items() if name.startswith("test_")]
        self.assertEqual(len(tests), 3)
        with working_directory(self.served.folder):
            for test in tests:
                test()

    def test_the_test_of_a_script_passes(self) -> None:
        names: Dict[str, Any] = {}
        [text] = [text for info, text in blocks() if info == "python test_poll.py"]
        with working_directory(self.served.folder):
            exec(compile(text, "test_poll.py", "exec"), names)
            names["test_a_report_is_asked_for_until_it_is_done"]()

    def test_every_name_of_the_page_exists(self) -> None:
        text = PAGE.read_text(encoding="utf-8")
        for name in re.findall(r"`bue\.(\w+)`", text):
            self.assertTrue(hasattr(bue, name) or name in ("streams", "testing", "toml"), name)
        for name in re.findall(r"^\| (`[A-Z].*?) \|", text, re.MULTILINE):
            for exception in re.findall(r"`(\w+)`", name):
                self.assertTrue(issubclass(getattr(bue, exception), bue.BueError), exception)


if __name__ == "__main__":
    unittest.main()
