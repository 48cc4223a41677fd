"""What the module `bue` has inside a step: a file of steps can be imported and tested under any Python.

In the sandbox, `bue` is part of the guest (`guest-sdk/python/lib/bue.py`), and these names mean the same there.
"""

from __future__ import annotations

import enum
import os
from typing import Any, Dict, Optional

# What earlier steps passed on with `Result(env=...)`. Always the same object, so that `from bue import env` works. A test
# that calls a step fills it before, and clears it after.
env: Dict[str, Any] = {}


class StepStatus(enum.Enum):
    """What happens to the job of a step."""

    success = 1
    queued = 2
    pending = 3
    cancel = 4
    reset = 5
    working = 6
    error = 7
    unknown = 8


class TimeoutSoon(Exception):
    """Raised once in a step when the soft limit of its `!timeout 60s soft 50s` has been reached.

    Outside the sandbox nothing raises it, except a test.
    """


class Result:
    """A value, with a status and hints.

    status: a StepStatus; None means success. data: the value; for an error, its message.
    env: a dict that dependent steps read as `bue.env`. priority: the priority of dependent jobs.
    delay: seconds until a pending or reset step is tried again.
    scope: of a pending step, the scope in which it runs next; of a successful one, that of dependent steps. Under
    Buelon's names self_scope and next_scope, both can be given.
    """

    def __init__(
        self,
        status: Optional[StepStatus] = None,
        env: Optional[Dict[str, Any]] = None,
        priority: Optional[int] = None,
        velocity: Optional[float] = None,
        data: Any = None,
        delay: Optional[float] = None,
        scope: Optional[str] = None,
        self_scope: Optional[str] = None,
        next_scope: Optional[str] = None,
    ) -> None:
        self.status = status
        self.env = env
        self.priority = priority
        self.velocity = velocity
        self.data = data
        self.delay = delay
        self.scope = scope
        self.self_scope = self_scope
        self.next_scope = next_scope

    def __repr__(self) -> str:
        arguments = ", ".join(f"{name}={value!r}" for name, value in vars(self).items() if value is not None)
        return f"Result({arguments})"


def secret(name: str) -> str:
    """Return a secret: outside the sandbox, the value of the environment variable `BUE_SECRET_NAME`.

    That is the variable from which a worker takes the secret too, so a step can be tried with the same setting.

    Raises PermissionError, as in a step that may not read the secret, if the variable is not set.
    """
    value = os.environ.get(f"BUE_SECRET_{name}")
    if value is None:
        raise PermissionError(f"there is no secret `{name}`; outside a sandbox, set the variable BUE_SECRET_{name}")
    return value
