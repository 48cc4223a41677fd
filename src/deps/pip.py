"""pip, thinking of the guest: it knows a Python version to resolve for, but asks its own interpreter about markers."""

import sys

# a `json.py` where bue was started is not the one that is meant
sys.path[:] = [folder for folder in sys.path if folder]

import json
import runpy

guest = json.loads(sys.argv[1])
try:
    from pip._vendor.packaging import markers

    markers.default_environment = lambda: dict(guest)
    understood = markers.Marker(f"sys_platform == '{guest['sys_platform']}'").evaluate()
except (ImportError, AttributeError):
    understood = False
if not understood:
    sys.exit("this pip cannot be told what it resolves for; bue knows pip 22.2 to 26, `python3 -m pip install -U pip` gets one")
sys.argv = ["pip", *sys.argv[2:]]
runpy.run_module("pip", run_name="__main__", alter_sys=True)
