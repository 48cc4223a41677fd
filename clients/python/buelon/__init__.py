"""The names of Buelon's client, for programs that were written for it: a thin layer over `bue`.

`import buelon` submits scripts to a hub of bue. `docs/python-client.md` lists what is there and what differs; new programs
use `bue`. Inside steps, the modules of the same names are those of the sandbox (`docs/buelon.md`).
"""

from . import bucket, core, helpers, hub, worker
from .core.step import Result, StepStatus

__all__ = ["Result", "StepStatus", "bucket", "core", "helpers", "hub", "worker"]
