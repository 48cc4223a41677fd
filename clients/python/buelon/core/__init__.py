"""`buelon.core`: what steps return, and running scripts on this machine."""

from . import pipe_debug, pipe_interpreter, step
from .step import Result, StepStatus

__all__ = ["Result", "StepStatus", "pipe_debug", "pipe_interpreter", "step"]
