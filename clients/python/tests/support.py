"""Real servers in temporary folders, and waiting with deadlines.

The deadlines are generous, because they bound only how long a failing test takes.
"""

from __future__ import annotations

import atexit
import contextlib
import os
import pathlib
import re
import shutil
import subprocess
import tempfile
import threading
import time
from typing import Callable, Dict, Iterator, List, Mapping, Optional, Sequence

DEADLINE = 120.0

REPOSITORY = pathlib.Path(__file__).resolve().parents[3]

if not os.environ.get("BUE_BIN"):
    raise RuntimeError("set BUE_BIN to the path of the program `bue`: the tests run the real one")
BUE = os.path.abspath(os.environ["BUE_BIN"])
if not os.access(BUE, os.X_OK):
    raise RuntimeError(f"BUE_BIN names {BUE}, which is not a program")
os.environ["BUE_BIN"] = BUE

_SETTINGS = ("BUE_", "PIPE_", "PIPELINE_", "BUCKET_", "POSTGRES_", "WORKER_", "USING_", "BUELON_", "AWS_")
_KEPT = ("BUE_BIN", "BUE_CACHE_DIR", "BUE_STATE_DIR", "BUE_CONFIG_DIR")

# no settings of the user who runs the tests
for _name in [name for name in os.environ if name.startswith(_SETTINGS) and name not in _KEPT]:
    del os.environ[_name]
os.environ.pop("ENV_PATH", None)
if "BUE_CONFIG_DIR" not in os.environ:
    os.environ["BUE_CONFIG_DIR"] = tempfile.mkdtemp(prefix="bue-config-")
    atexit.register(shutil.rmtree, os.environ["BUE_CONFIG_DIR"], True)


def wait_until(what: str, condition: Callable[[], bool]) -> None:
    """Wait until a condition holds. Fails with `what` if it does not in time."""
    deadline = time.monotonic() + DEADLINE
    while not condition():
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {DEADLINE:g} s: {what}")
        time.sleep(0.02)


def bue(folder: str, *arguments: str, **environment: str) -> str:
    """Run the program and return what it printed on stdout. Fails with its stderr."""
    command = [BUE, *arguments]
    variables = {**os.environ, **environment}
    output = subprocess.run(command, cwd=folder, env=variables, capture_output=True, text=True, timeout=600, check=False)
    if output.returncode != 0:
        raise AssertionError(f"{command}: exit code {output.returncode}\n{output.stdout}\n{output.stderr}")
    return output.stdout


class Server:
    """A server of the program."""

    def __init__(self, folder: str, *arguments: str, environment: Optional[Mapping[str, str]] = None) -> None:
        self._lines: List[str] = []
        self._process = subprocess.Popen(
            [BUE, *arguments],
            cwd=folder,
            env={**os.environ, **(environment or {})},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            encoding="utf-8",
            errors="replace",
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self._process.stderr is not None
        for line in self._process.stderr:
            self._lines.append(line)

    def wait_for(self, pattern: str) -> str:
        """Wait for a line that matches, and return the first group."""

        def find() -> Optional[str]:
            for line in list(self._lines):
                match = re.search(pattern, line)
                if match:
                    return match.group(match.re.groups and 1 or 0)
            return None

        def is_there() -> bool:
            if find() is None and self._process.poll() is not None:
                self._reader.join(DEADLINE)
                if find() is None:
                    raise AssertionError(f"the server has ended without {pattern!r}:\n{''.join(self._lines)}")
            return find() is not None

        wait_until(f"a line with {pattern!r} in:\n{''.join(self._lines)}", is_there)
        return find() or ""

    def stop(self) -> None:
        """End the server as an operator does."""
        self._process.terminate()
        self._end()

    def kill(self) -> None:
        """End the server as a power cut does."""
        self._process.kill()
        self._end()

    def _end(self) -> None:
        try:
            self._process.wait(DEADLINE)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait(DEADLINE)
            raise AssertionError(f"the server did not end:\n{''.join(self._lines)}") from None
        finally:
            self._reader.join(DEADLINE)
            if self._process.stderr is not None:
                self._process.stderr.close()


class Project:
    """A temporary folder with files."""

    def __init__(self, files: Mapping[str, str]) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="bue-python-")
        self.folder = self._folder.name
        for name, text in files.items():
            self.write(name, text)

    def path(self, name: str) -> str:
        return os.path.join(self.folder, name)

    def write(self, name: str, text: str) -> str:
        path = self.path(name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
        return path

    def files(self) -> List[str]:
        return sorted(name for name in os.listdir(self.folder) if name != "state")

    def close(self) -> None:
        self._folder.cleanup()


class Served(Project):
    """A project with `bue serve` in it: hub, bucket and worker."""

    def __init__(
        self, files: Mapping[str, str], pipelines: Sequence[str] = (), environment: Optional[Mapping[str, str]] = None
    ) -> None:
        super().__init__(files)
        arguments = ["-b", "127.0.0.1:0", "--bucket-bind", "127.0.0.1:0", "--data", "state"]
        self._server = Server(self.folder, "serve", *pipelines, *arguments, environment=environment)
        try:
            self.address = self._server.wait_for(r"the hub listens on ([\d.:]+)")
            self.bucket_address = self._server.wait_for(r"the bucket listens on ([\d.:]+)")
            self._server.wait_for(" serves ")
        except BaseException:
            self._server.kill()
            super().close()
            raise

    def close(self) -> None:
        self._server.stop()
        super().close()


@contextlib.contextmanager
def environment(**variables: str) -> Iterator[None]:
    """Set variables for a while."""
    before: Dict[str, Optional[str]] = {name: os.environ.get(name) for name in variables}
    os.environ.update(variables)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


@contextlib.contextmanager
def working_directory(folder: str) -> Iterator[None]:
    """Change the working directory for a while."""
    before = os.getcwd()
    os.chdir(folder)
    try:
        yield
    finally:
        os.chdir(before)
