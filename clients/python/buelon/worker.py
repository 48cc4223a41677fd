"""`buelon.worker`: running scripts on the servers until they are done. `bue worker` starts a worker."""

from __future__ import annotations

import bue

from ._missing import missing

__getattr__ = missing(__name__, "type `bue worker` to start a worker")


def run_code_on_server_until_done(code: str, sleep_time: float = 5.0, verbose: bool = False) -> None:
    """Submit a script and wait until its run has ended. Nothing is polled, so sleep_time has no effect.

    verbose: print what the steps print. Raises bue.RunFailed, with the tracebacks, if the run failed; Buelon's function does
    not tell success from failure.
    """
    with bue.Hub() as hub:
        _finish(hub.upload(code=code), verbose)


def run_file_on_server_until_done(path: str, sleep_time: float = 5.0, verbose: bool = False) -> None:
    """The same for the script in a file."""
    with bue.Hub() as hub:
        _finish(hub.upload(path), verbose)


def _finish(run: bue.Run, verbose: bool) -> None:
    if verbose:
        for part in run.follow():
            print(part.lines, end="")
    run.wait()
