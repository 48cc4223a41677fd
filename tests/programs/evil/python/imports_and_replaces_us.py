# Replaces the functions that call it, while the module is imported. This affects only itself.
# at: import
# fails: bad_code: imports_and_replaces_us.py cannot be imported: AttributeError: …
import builtins
import sys

import bue

for module in [module for name, module in sys.modules.items() if name.startswith("bue")]:
    for name in [name for name in vars(module) if not name.startswith("__")]:
        setattr(module, name, lambda *words, **named: "mine")
builtins.len = builtins.print = builtins.isinstance = lambda *words, **named: "mine"


def evil(canary):
    return 1
