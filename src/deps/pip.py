"""Runs pip for the guest: `--python-version` changes the version it resolves for, but not how it evaluates markers."""

import sys

# do not import a `json.py` from the working directory
sys.path[:] = [folder for folder in sys.path if folder]

import json
import runpy

guest = json.loads(sys.argv[1])
try:
    from pip._vendor.packaging import markers

    markers.default_environment = lambda: dict(guest)
    is_patched = markers.Marker(f"sys_platform == '{guest['sys_platform']}'").evaluate()
except (ImportError, AttributeError):
    is_patched = False
if not is_patched:
    sys.exit("this pip cannot resolve for another platform; bue supports pip 22.2 to 26, `python3 -m pip install -U pip` installs one")
sys.argv = ["pip", *sys.argv[2:]]
runpy.run_module("pip", run_name="__main__", alter_sys=True)
