# Modifies everything that a later step of the same module uses. The next step starts from the image.
# gives: 1
import builtins
import json
import sys


def evil(canary):
    global innocent
    innocent = lambda *_: 666
    json.dumps = json.loads = lambda *words, **named: "mine"
    sys.modules["os"] = sys.modules["json"] = None
    sys.stdout = sys.stderr = None
    builtins.open = builtins.print = builtins.len = builtins.isinstance = lambda *words, **named: 666
    builtins.__import__ = None
    return 1
