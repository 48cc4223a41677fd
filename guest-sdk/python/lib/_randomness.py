"""Keeps random state out of memory images: every instance of an image would otherwise draw the same numbers.

While a module is imported, generators created without a seed are recorded; each instance reseeds them before its call. A
generator with an explicit seed is left alone: its numbers are meant to repeat. A module that never imports `random` pays
nothing for this.
"""

import importlib.machinery
import sys
import weakref

# Attributes of `uuid` and `tempfile` that would make names repeat.
_STATE_ATTRIBUTES = (
    "_node",
    "_last_timestamp",
    "_last_timestamp_v6",
    "_last_timestamp_v7",
    "_last_counter_v7",
    "_name_sequence",
)

# What `random.Random` does differently during the import.
_METHODS = ("seed", "getstate", "setstate")

_unseeded = weakref.WeakSet()
# Hashes of states that generators without a seed had.
_unseeded_states = set()
_original_methods = []


class RandomImportHook:
    """A finder that intercepts the import of `random`, and the loader that then records generators."""

    def __init__(self):
        self.inner = None

    def find_spec(self, name, path=None, target=None):
        if name != "random":
            return None
        spec = importlib.machinery.FrozenImporter.find_spec(name)
        self.inner, spec.loader = spec.loader, self
        return spec

    def create_module(self, spec):
        return self.inner.create_module(spec)

    def exec_module(self, module):
        self.inner.exec_module(module)
        _record_generators(module)


def _record_generators(random):
    class_seed, class_getstate, class_setstate = (getattr(random.Random, name) for name in _METHODS)

    def seed(self, a=None, version=2):
        class_seed(self, a, version)
        (_unseeded.add if a is None else _unseeded.discard)(self)

    def getstate(self):
        state = class_getstate(self)
        if self in _unseeded:
            _unseeded_states.add(hash(state))
        return state

    def setstate(self, state):
        class_setstate(self, state)
        # a copy of a generator without a seed, as `copy.deepcopy` and `pickle` make it, has none either
        (_unseeded.add if hash(state) in _unseeded_states else _unseeded.discard)(self)

    _original_methods[:] = [class_seed, class_getstate, class_setstate]
    _replace_methods(random, seed, getstate, setstate)
    _unseeded.add(random._inst)


def _replace_methods(random, *methods):
    for name, method in zip(_METHODS, methods):
        setattr(random.Random, name, method)
        setattr(random, name, getattr(random._inst, name))


def reset_randomness():
    """Called when the module is imported: clear state that would repeat, and return the generators that each instance must
    reseed, or None if the module does not use `random`."""
    sys.meta_path[:] = [finder for finder in sys.meta_path if not isinstance(finder, RandomImportHook)]
    for name in ("uuid", "tempfile"):
        module = sys.modules.get(name)
        for attribute in _STATE_ATTRIBUTES if module else ():
            if getattr(module, attribute, None) is not None:
                setattr(module, attribute, None)
    if not _original_methods:
        return None
    random = sys.modules["random"]
    _unseeded_states.clear()
    _replace_methods(random, *_original_methods)
    generators = [generator for generator in _unseeded if not isinstance(generator, random.SystemRandom)]
    for generator in generators:
        generator.gauss_next = None
    return generators
