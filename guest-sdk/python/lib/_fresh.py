"""What a memory image must not carry into every instance: chance that was drawn while the module loaded.

While a module loads, generators made without a seed are noted; each instance seeds them anew before a call. One that
was given a seed stays as it is: whoever seeds wants the same numbers. Nothing of this happens to a module that never
imports `random`.
"""

import importlib.machinery
import sys
import weakref

_REPEATING = (
    "_node",
    "_last_timestamp",
    "_last_timestamp_v6",
    "_last_timestamp_v7",
    "_last_counter_v7",
    "_name_sequence",
)

_unseeded = weakref.WeakSet()
_originals = []


class Watch:
    """A finder that sees `random` being imported, and a loader that then keeps watch."""

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
        _watch(module)


def _watch(random):
    class_seed, class_setstate = random.Random.seed, random.Random.setstate

    def seed(self, a=None, version=2):
        class_seed(self, a, version)
        (_unseeded.add if a is None else _unseeded.discard)(self)

    def setstate(self, state):
        class_setstate(self, state)
        _unseeded.discard(self)

    _originals[:] = [class_seed, class_setstate]
    _replace(random, seed, setstate)
    _unseeded.add(random._inst)


def _replace(random, seed, setstate):
    random.Random.seed, random.Random.setstate = seed, setstate
    random.seed, random.setstate = random._inst.seed, random._inst.setstate


def forget_chance():
    """The module is loaded: forget what would repeat, and give the generators that must be seeded anew, or None."""
    sys.meta_path[:] = [finder for finder in sys.meta_path if not isinstance(finder, Watch)]
    for name in ("uuid", "tempfile"):
        module = sys.modules.get(name)
        for attribute in _REPEATING if module else ():
            if getattr(module, attribute, None) is not None:
                setattr(module, attribute, None)
    if not _originals:
        return None
    random = sys.modules["random"]
    _replace(random, *_originals)
    generators = [generator for generator in _unseeded if not isinstance(generator, random.SystemRandom)]
    for generator in generators:
        generator.gauss_next = None
    return generators
