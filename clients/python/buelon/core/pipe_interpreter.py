"""`buelon.core.pipe_interpreter`: running scripts without servers."""

from __future__ import annotations

import os

from bue import _binary
from bue._binary import ScriptFile

from .._missing import missing

__getattr__ = missing(__name__, "the program `bue` reads scripts: `bue check`, `bue plan` and `bue run`")


def run_code(code: str) -> None:
    """Run a script on this machine, without servers (`bue run`), and print its results, each as a line of JSON.

    The files that it names are in the working directory. What steps may use comes from the settings (BUE_ALLOW_NET and the
    others). Raises bue.ScriptError, with the tracebacks, if the script has errors or its run failed.
    """
    folder = os.getcwd()
    with ScriptFile(code, folder, "script") as script:
        output = _binary.run(["run", os.path.basename(script)], folder=folder)
    print(output.stdout, end="")
