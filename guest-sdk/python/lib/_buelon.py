"""The modules of Buelon, for steps that import them. What a sandbox can do works. The rest is there to be imported, and raises
an error when it is called, with what to use instead."""

import importlib.machinery
import sys
import types

import bue
from bue import _buelon_helpers as helpers
from bue import _buelon_tables as tables

_SCRIPT = "the script does this: write a pipe, or a loop"
_CONFIGURATION = "bue is configured by bue.toml, .env and flags; `secret` of the module `bue` reads a secret"
_STORE = "keep the values in a list or dict, and return them: a step has no files"
_COUNTER = (
    "it keeps its numbers in test.db, a file that the jobs of a worker share, and a step has no files. To poll, return "
    "`pending` until the service has finished; `!for 1h` limits for how long. To count across jobs, use a step in postgres"
)

# What to use instead of a function of a module that is not there.
_ADVICE = {
    "buelon.bucket": "return the data: it becomes the result of the step; or store it with `bue.bucket`, which `!allow bucket` permits",
    "buelon.command_line": "a step cannot start commands; type it in a terminal",
    "buelon.core.action": _SCRIPT,
    "buelon.core.execution": _SCRIPT,
    "buelon.core.loop": _SCRIPT,
    "buelon.core.pipe": _SCRIPT,
    "buelon.core.pipe_debug": _COUNTER,
    "buelon.core.pipe_interpreter": _SCRIPT,
    "buelon.core.step_definition": _SCRIPT,
    "buelon.helpers.created_cache": _STORE,
    "buelon.helpers.lazy_load_class": _STORE,
    "buelon.helpers.persistqueue": _STORE,
    "buelon.helpers.postgres": "write a step in postgres: its tables are the inputs, and its result is the step's result",
    "buelon.hub": "a step cannot submit or list jobs; `bue upload -f FILE`, `bue status` and `bue errors` do",
    "buelon.settings": _CONFIGURATION,
    "buelon.worker": "a step cannot run scripts; `bue upload -f FILE --wait` does, and `bue worker` starts a worker",
}
# Top-level names of Buelon's predecessor.
_OLD_NAMES = {
    "json_parser": "buelon.helpers.json_parser",
    "pipe_debug": "buelon.core.pipe_debug",
    "pipe_util": "buelon.helpers.pipe_util",
    "pipeline": "buelon.hub",
    "postgres": "buelon.helpers.postgres",
    "sqlite3_helper": "buelon.helpers.sqlite3_helper",
    "step": "buelon.core.step",
}


class _Missing:
    """A function or class that a step does not have."""

    def __init__(self, name, advice):
        self._name = name
        self._advice = advice

    def __call__(self, *args, **kwargs):
        raise NotImplementedError(f"`{self._name}` does not work in a step: {self._advice}")

    def __mro_entries__(self, bases):
        self()

    def __repr__(self):
        return f"<{self._name}, which does not work in a step>"


class _Module(types.ModuleType):
    """A module of Buelon whose missing names raise an error when they are called."""

    def __getattr__(self, name):
        advice = _ADVICE.get(self.__name__)
        if advice is None or name.startswith("__"):
            raise AttributeError(f"module {self.__name__!r} has no attribute {name!r}")
        return _Missing(f"{self.__name__}.{name}", advice)


class OldNamesFinder:
    """Finds the modules of Buelon's predecessor, unless the user or a package has such a module."""

    @staticmethod
    def find_spec(name, path=None, target=None):
        return importlib.machinery.ModuleSpec(name, OldNamesFinder) if name in _OLD_NAMES else None

    @staticmethod
    def create_module(spec):
        return sys.modules[_OLD_NAMES[spec.name]]

    @staticmethod
    def exec_module(module):
        pass


def _add(name, **attributes):
    module = _Module(name, "A module of Buelon; see `bue._buelon`.")
    module.__path__ = []
    module.__all__ = [name for name in attributes if not name.startswith("_")]
    module.__dict__.update(attributes)
    sys.modules[name] = module
    parent, _, tail = name.rpartition(".")
    if parent:
        setattr(sys.modules[parent], tail, module)


def _public(module, *names):
    return {name: getattr(module, name) for name in names}


def _add_modules():
    answers = {"Result": bue.Result, "StepStatus": bue.StepStatus}
    for package in ("buelon", "buelon.core", "buelon.helpers"):
        _add(package, **answers)
    for name in _ADVICE:
        _add(name, **({"timeit": lambda function: function} if name == "buelon.core.pipe_debug" else {}))
    _add("buelon.core.step", **answers)
    _add(
        "buelon.helpers.sqlite3_helper",
        **_public(tables, "Sqlite3", "check_cell", "default_db_location", "fix_table_headers"),
    )
    _add("buelon.helpers.json_parser", **_public(helpers, "dumps", "loads"))
    _add("buelon.helpers.optional", **_public(helpers, "MissingDependency", "is_available", "optional_import"))
    _add(
        "buelon.helpers.pipe_util",
        **_public(
            helpers, "PipeObject", "extract_json", "get_id", "json_copy", "safe_is_nan", "trim", "try_json_loads", "try_number"
        ),
    )


_add_modules()
