"""Print a row of the table in docs/packages.md.

`python3 packages.py NAME STDOUT STDERR`: the package, and the files with the output of `bue deps check --json`.
"""

import json
import re
import sys

name, stdout_path, stderr_path = sys.argv[1:]
# They can be imported. What else is known about them:
ONLY_IMPORTED = {
    "dnspython": "it can be imported, but not send queries over UDP",
    "pymongo": "it can be imported; it was not tested with a server",
}
VERDICTS = {"yes": "works", "partly": "partly", "no": "cannot"}


def cell(text):
    """Escape a text for a table cell."""
    return re.sub(r"\s+", " ", text).replace("|", "\\|")


def shorten(reason):
    """Remove platform tags, which differ between machines."""
    return re.sub(r"(\S+?-[^-\s]+)-\S+\.whl is native code for one platform", r"\1 is native code", reason)


def row():
    try:
        packages = json.load(open(stdout_path))["packages"]
    except ValueError:
        lines = open(stderr_path).read().strip().splitlines()
        return ["", "cannot", cell(lines[-1] if lines else "the command printed nothing"), ""]
    key = re.sub(r"[-_.]+", "-", name).lower()
    own = next((package for package in packages if package["name"] == key), packages[0])
    works, reasons = own["works"], [shorten(text) for text in own["why"]]
    others = [package for package in packages if package is not own and package["works"] != "yes"]
    if works == "yes" and others:
        works = "partly"
    for package in others:
        reasons.append(f"{package['name']}: " + "; ".join(shorten(text) for text in package["why"][:1]))
    if works == "yes" and key in ONLY_IMPORTED:
        works, reasons = "partly", [ONLY_IMPORTED[key]]
    return [own["version"] or "", VERDICTS[works], cell("; ".join(reasons[:2])), cell(own["instead"] or "")]


print("| " + " | ".join([f"`{name}`", *row()]) + " |")
