"""What a step may return besides a value, and what it may ask for: `from bue import Result, StepStatus, TimeoutSoon, env, secret`."""

import enum

import _bue_net

__all__ = ["Result", "StepStatus", "TimeoutSoon", "env", "secret"]
__path__ = []

# What earlier steps passed on with `Result(env=...)`. Filled for each job; always the same object, so that
# `from bue import env` works too.
env = {}


class StepStatus(enum.Enum):
    """What happens to the job."""

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

    A step that catches it can clean up and return a value or a Result, before the timeout ends it.
    """


class Result:
    """A value, with a status and hints.

    status: a StepStatus; None means success. data: the value; for an error, its message.
    env: a dict that dependent steps read as `bue.env`. priority: the priority of dependent jobs.
    delay: seconds until a pending or reset step is tried again.
    scope: of a pending step, the scope in which it runs next; of a successful one, that of dependent steps. Under
    Buelon's names self_scope and next_scope, both can be given.

    A function returns it. A generator returns it too, or yields it as its last element.
    """

    def __init__(self, status=None, env=None, priority=None, velocity=None, data=None, delay=None,
                 scope=None, self_scope=None, next_scope=None):
        self.status = status
        self.env = env
        self.priority = priority
        self.velocity = velocity
        self.data = data
        self.delay = delay
        self.scope = scope
        self.self_scope = self_scope
        self.next_scope = next_scope

    def __repr__(self):
        arguments = ", ".join(f"{name}={value!r}" for name, value in vars(self).items() if value is not None)
        return f"Result({arguments})"


def secret(name):
    """Return the value of a secret of the worker, if both the script and the worker allow the step to read it.

    You rarely need this: `secret:NAME` in a request header is replaced by the value when the request is sent.
    """
    from bue import _scheduler

    [(_, what, value)] = _scheduler.wait_alone(_bue_net.wait, [_bue_net.secret(name)], None)
    if what == "failed":
        raise PermissionError(value[1])
    return value
