"""The user's files as modules: a finder over a bundle held in memory. Packages are files, found as everywhere."""

import importlib
import importlib.machinery
import importlib.util
import sys
import types

from bue._fresh import Watch
from bue._libraries import Finder, rehearse

# A user's file of one of these names does not replace the module: the interpreter itself stands on them, and a Python
# started from the shell has them loaded before it looks at the first file.
_KEPT = set(sys.builtin_module_names) | {
    "abc", "asyncio", "bue", "codecs", "collections", "copyreg", "encodings", "enum", "functools", "importlib", "io",
    "keyword", "linecache", "operator", "os", "re", "reprlib", "site", "stat", "sys", "traceback", "types", "warnings",
    "weakref",
}
# Where the host shows a step its packages, to read.
_PACKAGES = "/packages"
# A script is no larger than some megabytes; more lines in front of inline code are a mistake of ours, not a file.
_MOST_LINES = 1_000_000


class Loader:
    """Runs one file."""

    def __init__(self, path, source, is_package=False):
        self.path = path
        self.source = source
        self.package = is_package

    def create_module(self, spec):
        return None

    def exec_module(self, module):
        code = compile(self.source, self.path, "exec", dont_inherit=True)
        exec(code, module.__dict__)

    def is_package(self, name):
        return self.package

    def get_filename(self, name=None):
        return self.path

    def get_source(self, name=None):
        # what linecache asks for the lines of a traceback
        return importlib.util.decode_source(self.source)

    def get_data(self, path):
        try:
            return bundle.files[path]
        except KeyError:
            raise FileNotFoundError(f"{path} is not in the bundle") from None


class Bundle:
    """A finder: the files that travelled with the step."""

    def __init__(self, entry, first_line, files):
        self.entry = entry
        self.files = files
        self.folder = entry.rpartition("/")[0]
        self.name = _module_name(entry)
        if first_line > 1:
            # a traceback shall name the line of the script that inline code stands in
            files[entry] = b"\n" * (first_line - 1) + files[entry]
        self.folders = {path[:end] for path in files for end in _slashes(path)}

    def find_spec(self, name, path=None, target=None):
        if name == self.name:
            return self._spec(name, self.entry, self.entry.endswith("__init__.py"))
        tail = name.rpartition(".")[2]
        for folder in dict.fromkeys((self.folder, "")) if path is None else path:
            spec = self._look(name, f"{folder}/{tail}" if folder else tail)
            if spec is not None:
                return spec
        return None

    def _look(self, name, base):
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

    def make_room(self):
        """A user's `calendar.py` is found although the standard one is loaded already, as it is next to a script."""
        names = {path.removeprefix(self.folder).lstrip("/").partition("/")[0].removesuffix(".py") for path in self.files}
        names |= {path.partition("/")[0].removesuffix(".py") for path in self.files}
        for name in names - _KEPT:
            for loaded in [loaded for loaded in sys.modules if loaded == name or loaded.startswith(name + ".")]:
                if self.find_spec(name) is not None:
                    del sys.modules[loaded]


class OlderNames:
    """`import step`, as the oldest scripts have it, where the user has no such file."""

    @staticmethod
    def find_spec(name, path=None, target=None):
        if name != "step":
            return None
        return importlib.machinery.ModuleSpec(name, OlderNames)

    @staticmethod
    def create_module(spec):
        return sys.modules["buelon.core.step"]

    @staticmethod
    def exec_module(module):
        pass


bundle = None


def load(entry, first_line, files, has_packages):
    """Import the entry of a bundle and get ready for calls."""
    global bundle
    if first_line > _MOST_LINES:
        raise ValueError(f"{entry} begins at line {first_line}; at most {_MOST_LINES} are possible")
    bundle = Bundle(entry, first_line, files)
    bundle.make_room()
    sys.path[:] = [_PACKAGES] if has_packages else []
    sys.meta_path[:] = [Finder, bundle, Watch(), *sys.meta_path, OlderNames]
    module = importlib.import_module(bundle.name)
    rehearse()
    return module


def find(module, dotted):
    """A function by its name; of a package's submodules too. None if there is none."""
    found = module
    for part in dotted.split("."):
        parent = found
        found = getattr(parent, part, None)
        if found is None and isinstance(parent, types.ModuleType):
            found = _submodule(parent, part)
        if found is None:
            return None
    return found


def missing(module, dotted, found):
    """The message where `find` came back with nothing, or with nothing that can be called."""
    place = bundle.entry
    if found is not None:
        return f"`{dotted}` in {place} is {kind(found)}, not a function"
    import difflib

    names = [name for name, value in vars(module).items() if _is_step(name, value, module)]
    text = f"function `{dotted}` not found in {place}"
    if not names:
        return f"{text}; it defines no function"
    near = difflib.get_close_matches(dotted, names, 1)
    shown = ", ".join(names[:20]) + (f" and {len(names) - 20} more" if len(names) > 20 else "")
    return f"{text}; it has: {shown}" + (f". Did you mean `{near[0]}`?" if near else "")


def kind(value):
    from bue._explain import kind

    return kind(value)


def _is_step(name, value, module):
    return callable(value) and not name.startswith("_") and getattr(value, "__module__", None) == module.__name__


def _submodule(package, name):
    if not hasattr(package, "__path__"):
        return None
    full = f"{package.__name__}.{name}"
    return importlib.import_module(full) if importlib.util.find_spec(full) else None


def _module_name(entry):
    """`jobs/daily.py` is `jobs.daily`. Inline code stands in a file of another kind and gets a name no file has."""
    if not entry.endswith(".py"):
        return entry.rpartition("/")[2].replace(".", "_")
    parts = entry.removesuffix(".py").removesuffix("/__init__").split("/")
    if any("." in part for part in parts) or parts[0] in _KEPT:
        name = parts[-1].replace(".", "_")
        return name + "_" if name in _KEPT else name
    return ".".join(parts)


def _slashes(path):
    return [at for at, character in enumerate(path) if character == "/"]
