"""The program `bue`: it compiles scripts, so that there is one parser and one packer of code."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import sysconfig
import tempfile
import warnings
from typing import Any, Dict, List, Mapping, Optional, Sequence, Set

from ._cancel import interruptible
from ._errors import BinaryNotFound, BueError, CommandFailed, InvalidSetting, RequestTimedOut, ScriptError
from ._settings import Settings

# Exit code of a script with errors, or of something that does not exist.
_PROGRAM_FAILED = 1
# Reading a few small files.
_SETTINGS_TIMEOUT = 60.0
_NAME = "bue.exe" if os.name == "nt" else "bue"

# Paths of programs that are bue.
_verified: Set[str] = set()


def find_bue() -> str:
    """Return the path of the program `bue`: that of BUE_BIN, else the one beside this Python, else the one in PATH.

    Raises BinaryNotFound.
    """
    named = os.environ.get("BUE_BIN")
    if named:
        if not (os.path.isfile(named) and os.access(named, os.X_OK)):
            raise BinaryNotFound(f"BUE_BIN names {named}, which is not a program; set it to the path of `bue`")
        return _verify(os.path.abspath(named), "BUE_BIN names")
    for folder in _script_folders():
        path = os.path.join(folder, _NAME)
        if os.path.isfile(path) and os.access(path, os.X_OK):
            return _verify(path, "beside this Python is")
    in_path = shutil.which(_NAME)
    if in_path is not None:
        return _verify(os.path.abspath(in_path), "PATH leads to")
    raise BinaryNotFound(
        f"there is no program `bue` beside {sys.executable} or in PATH; scripts are compiled by it: install it, or set BUE_BIN "
        "to its path"
    )


def _script_folders() -> List[str]:
    folders = [sysconfig.get_path("scripts"), os.path.dirname(sys.executable)]
    try:
        folders.append(sysconfig.get_path("scripts", f"{os.name}_user"))
    except KeyError:
        pass
    return [folder for folder in dict.fromkeys(folders) if folder]


def _verify(path: str, found: str) -> str:
    """Return the path if it is that of bue: Buelon's command has the same name."""
    if path not in _verified:
        try:
            output = subprocess.run([path, "--version"], capture_output=True, text=True, timeout=60, check=False)
        except (OSError, subprocess.SubprocessError) as error:
            raise BinaryNotFound(f"{found} {path}, which cannot be executed: {error}") from error
        words = output.stdout.split()
        if words[:1] != ["bue"]:
            raise BinaryNotFound(
                f"{found} {path}, which is not the program of this package (it is perhaps that of Buelon); set BUE_BIN to the "
                "path of `bue`"
            )
        _verified.add(path)
    return path


class JsonFile:
    """A temporary file with JSON, readable for this user only. An argument could be too long, and others could see it."""

    def __init__(self, value: Any) -> None:
        self._file = tempfile.NamedTemporaryFile("w", prefix="bue-", suffix=".json", encoding="utf-8")
        json.dump(value, self._file, allow_nan=False)
        self._file.flush()

    def __enter__(self) -> str:
        return self._file.name

    def __exit__(self, *_: object) -> None:
        self._file.close()


class ScriptFile:
    """A temporary file with the text of a script."""

    def __init__(self, code: str, folder: str, name: str) -> None:
        if os.path.basename(name) != name or not name.isprintable():
            raise InvalidSetting(f"{name!r} cannot be the name of a script")
        try:
            file, self._path = tempfile.mkstemp(prefix=f"{name}-", suffix=".bue", dir=folder)
        except OSError as error:
            raise InvalidSetting(f"a file cannot be written in {folder}: {error}; choose another `folder`") from error
        with os.fdopen(file, "w", encoding="utf-8") as script:
            script.write(code)

    def __enter__(self) -> str:
        return self._path

    def __exit__(self, *_: object) -> None:
        os.unlink(self._path)


def client_arguments(settings: Settings) -> List[str]:
    """Return the flags with which the program connects to the servers of this client."""
    arguments = ["-b", ",".join(hub.url if hub.tls else hub.authority for hub in settings.hubs)]
    bucket = settings.bucket
    if bucket is not None:
        arguments += ["-k", bucket.url if bucket.tls else bucket.authority]
    if settings.ca is not None:
        arguments += ["--ca", settings.ca]
    if settings.client_cert is not None and settings.client_key is not None:
        arguments += ["--client-cert", settings.client_cert, "--client-key", settings.client_key]
    return arguments


def client_environment(settings: Settings) -> Dict[str, str]:
    """Return the environment with which the program is the same principal as this client."""
    environment = {name: value for name, value in os.environ.items() if name not in ("BUE_TOKEN", "BUE_TOKEN_FILE")}
    if settings.token is not None:
        environment["BUE_TOKEN"] = settings.token
    return environment


def run(
    arguments: Sequence[str],
    *,
    environment: Optional[Mapping[str, str]] = None,
    folder: Optional[str] = None,
    timeout: Optional[float] = None,
    accepted: Sequence[int] = (0,),
) -> subprocess.CompletedProcess[str]:
    """Run the program and return what it printed. Raises ScriptError, CommandFailed or RequestTimedOut."""
    command = [find_bue(), *arguments]
    process = subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        encoding="utf-8",
        errors="replace",
        env=None if environment is None else dict(environment),
        cwd=folder,
    )
    try:
        with interruptible(process.kill):
            stdout, stderr = process.communicate(timeout=timeout)
    except subprocess.TimeoutExpired:
        raise RequestTimedOut(f"`bue {arguments[0]}` did not end within {timeout:g} s") from None
    finally:
        if process.poll() is None:
            process.kill()
            process.communicate()
    if process.returncode in accepted:
        return subprocess.CompletedProcess(command, process.returncode, stdout, stderr)
    failure = ScriptError if process.returncode == _PROGRAM_FAILED else CommandFailed
    raise failure(arguments, process.returncode, stderr)


def settings_of_files() -> Optional[Dict[str, Any]]:
    """Return what a client connects with according to the environment, `.env` and `bue.toml`, as the program reads them.

    None if there is no such file, or no program. Settings of a folder that the user does not trust have no effect; then the
    program prints which ones, and this warns. Raises CommandFailed.
    """
    folder = os.environ.get("BUE_CONFIG_DIR") or os.path.join(
        os.environ.get("XDG_CONFIG_HOME") or os.path.expanduser("~/.config"), "bue"
    )
    files = (os.environ.get("ENV_PATH") or ".env", "bue.toml", os.path.join(folder, "bue.toml"))
    if not any(os.path.isfile(file) for file in files):
        return None
    try:
        find_bue()
    except BinaryNotFound:
        return None
    arguments = ["config", "--client"]
    output = run(arguments, timeout=_SETTINGS_TIMEOUT)
    if output.stderr.strip():
        warnings.warn(output.stderr.strip(), stacklevel=4)
    return parse_json(arguments, output.stdout)


def parse_json(arguments: Sequence[str], text: str) -> Dict[str, Any]:
    """Read the JSON object that the program printed."""
    try:
        value = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise BueError(f"`bue {arguments[0]} --json` did not print JSON: {error}; is it of another release?") from None
    if not isinstance(value, dict):
        raise BueError(f"`bue {arguments[0]} --json` did not print an object; is it of another release?")
    return value
