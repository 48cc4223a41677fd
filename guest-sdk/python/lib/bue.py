"""What a step may say besides returning a value, and ask for: `from bue import Result, StepStatus, env, secret`."""

import enum
import sys
import types

import _bue_net

__all__ = ["Result", "StepStatus", "env", "secret"]
__path__ = []

# What the steps before this one passed on with `Result(env=...)`. Filled anew for each job; always this one object, so
# that `from bue import env` sees it too.
env = {}


class StepStatus(enum.Enum):
    """What becomes of the job."""

    success = 1
    queued = 2
    pending = 3
    cancel = 4
    reset = 5
    working = 6
    error = 7
    unknown = 8


class Result:
    """A value and what else the step has to say.

    status: a StepStatus; none means success. data: the value (of an error: its message).
    env: a dict the dependants read as `bue.env`. priority: that of the dependants.
    delay: seconds until a pending or reset step is tried again.
    """

    def __init__(self, status=None, env=None, priority=None, velocity=None, data=None, delay=None):
        self.status = status
        self.env = env
        self.priority = priority
        self.velocity = velocity
        self.data = data
        self.delay = delay

    def __repr__(self):
        said = ", ".join(f"{name}={value!r}" for name, value in vars(self).items() if value is not None)
        return f"Result({said})"


def secret(name):
    """The value of a secret of the worker's, where script and worker let the step read it.

    Mostly it need not be read: `secret:NAME` in a header of a request is replaced by the value on its way out.
    """
    [(_, what, value)] = _bue_net.wait([_bue_net.secret(name)])
    if what == "failed":
        raise PermissionError(value[1])
    return value


def _older_name(name, **attributes):
    module = types.ModuleType(name, "An older name of bue.")
    module.__path__ = []
    module.__all__ = ["Result", "StepStatus"]
    module.__dict__.update(attributes, Result=Result, StepStatus=StepStatus)
    sys.modules[name] = module
    return module


_older_name("buelon", core=_older_name("buelon.core", step=_older_name("buelon.core.step")))
