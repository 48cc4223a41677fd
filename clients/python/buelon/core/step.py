"""`buelon.core.step`: what steps return, and the jobs of a run."""

from __future__ import annotations

from dataclasses import dataclass

from bue import Result, StepStatus

from .._missing import missing

__all__ = ["Job", "Result", "Step", "StepStatus"]

__getattr__ = missing(__name__, "a script defines steps; `Result` and `StepStatus` are what a step returns")


@dataclass(frozen=True)
class Job:
    """A job of a run. id: its number. name: that of its step. run: the id of the run."""

    id: str
    name: str
    run: str


Step = Job
