"""Imports the user's files from a bundle held in memory. Packages are files, found by Python's own finders."""

import importlib
import importlib.machinery
import importlib.util
import sys
import types

from bue import _explain
from bue._buelon import OldNamesFinder
from bue._library_patches import PatchFinder, rehearse
from bue._randomness import RandomImportHook

# A user's file does not replace a module of these names: the interpreter itself depends on them, and a Python started from
# the shell loads them before the first file.
_NOT_REPLACEABLE = set(sys.builtin_module_names) | {
    "abc", "asyncio", "bue", "codecs", "collections", "copyreg", "encodings", "enum", "functools", "importlib", "io",
    "keyword", "linecache", "operator", "os", "re", "reprlib", "site", "stat", "sys", "traceback", "types", "warnings",
    "weakref",
}
# Where the host mounts a step's packages, read-only.
_PACKAGES = "/packages"
# Scripts are limited to some megabytes, so inline code that starts at a later line is a bug of ours.
_MAX_LINES = 1_000_000


class Loader:
    """The loader of one file."""

    def __init__(self, path, source, is_package=False):
        self.path = path
        self.source = source
        self._is_package = is_package

    def create_module(self, spec):
        return None

    def exec_module(self, module):
        code = compile(self.source, self.path, "exec", dont_inherit=True)
        exec(code, module.__dict__)

    def is_package(self, name):
        return self._is_package

    def get_filename(self, name=None):
        return self.path

    def get_source(self, name=None):
        # `linecache` calls this for the lines of a traceback
        return importlib.util.decode_source(self.source)

    def get_data(self, path):
        with open(path, "rb") as file:
            return file.read()


class Bundle:
    """A finder for the files that were packed with the step."""

    def __init__(self, entry, first_line, files):
        self.entry = entry
        # the names of the modules with steps, each with its file
        self.entries = {_module_name(entry): entry}
        self.files = files
        self.folder = entry.rpartition("/")[0]
        if first_line > 1:
            # so that tracebacks show the line in the script that contains the inline code
            files[entry] = b"\n" * (first_line - 1) + files[entry]
        self.folders = {path[:end] for path in files for end in _slash_positions(path)}

    def find_spec(self, name, path=None, target=None):
        if name in self.entries:
            path = self.entries[name]
            return self._spec(name, path, path.endswith("__init__.py"))
        tail = name.rpartition(".")[2]
        for folder in dict.fromkeys((self.folder, "")) if path is None else path:
            spec = self._find_file(name, f"{folder}/{tail}" if folder else tail)
            if spec is not None:
                return spec
        return None

    def _find_file(self, name, base):
        for path, is_package in ((f"{base}/__init__.py", True), (f"{base}.py", False)):
            if path in self.files:
                return self._spec(name, path, is_package)
        if base not in self.folders or name in sys.stdlib_module_names:
            return None
        spec = importlib.machinery.ModuleSpec(name, None, is_package=True)
        spec.submodule_search_locations = [base]
        return spec

    def _spec(self, name, path, is_package):
        loader = Loader(path, self.files[path], is_package)
        spec = importlib.machinery.ModuleSpec(name, loader, origin=path, is_package=is_package)
        spec.has_location = True
        spec.cached = None
        if is_package:
            spec.submodule_search_locations = [path.rpartition("/")[0]]
        return spec

    def unload_replaced_modules(self):
        """Make a user's `calendar.py` replace the standard module, even if that is loaded already."""
        names = {path.removeprefix(self.folder).lstrip("/").partition("/")[0].removesuffix(".py") for path in self.files}
        names |= {path.partition("/")[0].removesuffix(".py") for path in self.files}
        for name in names - _NOT_REPLACEABLE:
            for loaded in [module for module in sys.modules if module == name or module.startswith(name + ".")]:
                if self.find_spec(name) is not None:
                    del sys.modules[loaded]


bundle = None


def load(entry, first_line, files, has_packages):
    """Import the entry of a bundle."""
    global bundle
    if first_line > _MAX_LINES:
        raise ValueError(f"{entry} begins at line {first_line}; the limit is {_MAX_LINES}")
    bundle = Bundle(entry, first_line, files)
    bundle.unload_replaced_modules()
    sys.path[:] = [_PACKAGES] if has_packages else []
    sys.meta_path[:] = [PatchFinder, bundle, RandomImportHook(), *sys.meta_path, OldNamesFinder]
    module = importlib.import_module(_module_name(entry))
    rehearse()
    return module


def load_part(path, first_line, last_line):
    """Import a file of the bundle that has a step, or inline code: these lines of a file that has the lines of the script."""
    name = _module_name(path)
    if first_line == 0:
        bundle.entries.setdefault(name, path)
        return importlib.import_module(name)
    name = f"{name}_{first_line}"
    if name not in sys.modules:
        if path not in bundle.files:
            # a packed file, because it has not the name of a Python file; tracebacks show its lines
            with open(path, "rb") as file:
                bundle.files[path] = file.read()
        lines = bundle.files[path].split(b"\n")
        source = b"\n" * (first_line - 1) + b"\n".join(lines[first_line - 1 : last_line]) + b"\n"
        spec = importlib.machinery.ModuleSpec(name, Loader(path, source), origin=path)
        spec.has_location = True
        spec.cached = None
        module = importlib.util.module_from_spec(spec)
        bundle.entries[name] = path
        sys.modules[name] = module
        spec.loader.exec_module(module)
    return sys.modules[name]


def find(module, dotted):
    """Return the object with a dotted name, also in submodules of a package; None if there is none."""
    target = module
    for part in dotted.split("."):
        parent = target
        target = getattr(parent, part, None)
        if target is None and isinstance(parent, types.ModuleType):
            target = _submodule(parent, part)
        if target is None:
            return None
    return target


def explain_missing(module, dotted, target):
    """Return the message for a name that `find` did not find, or that is not callable."""
    path = getattr(module, "__file__", bundle.entry)
    if target is not None:
        return f"`{dotted}` in {path} is {_explain.kind(target)}, not a function"
    import difflib

    names = [name for name, value in vars(module).items() if _is_candidate(name, value, module)]
    message = f"function `{dotted}` not found in {path}"
    if not names:
        return f"{message}; it defines no function"
    matches = difflib.get_close_matches(dotted, names, 1)
    listed = ", ".join(names[:20]) + (f" and {len(names) - 20} more" if len(names) > 20 else "")
    return f"{message}; it has: {listed}" + (f". Did you mean `{matches[0]}`?" if matches else "")


def _is_candidate(name, value, module):
    return callable(value) and not name.startswith("_") and getattr(value, "__module__", None) == module.__name__


def _submodule(package, name):
    if not hasattr(package, "__path__"):
        return None
    full_name = f"{package.__name__}.{name}"
    return importlib.import_module(full_name) if importlib.util.find_spec(full_name) else None


def _module_name(entry):
    """Return `jobs.daily` for `jobs/daily.py`. Inline code is in a file without `.py` and gets a name that no file has."""
    if not entry.endswith(".py"):
        return entry.rpartition("/")[2].replace(".", "_")
    parts = entry.removesuffix(".py").removesuffix("/__init__").split("/")
    if any("." in part for part in parts) or parts[0] in _NOT_REPLACEABLE:
        name = parts[-1].replace(".", "_")
        return name + "_" if name in _NOT_REPLACEABLE else name
    return ".".join(parts)


def _slash_positions(path):
    return [index for index, character in enumerate(path) if character == "/"]
