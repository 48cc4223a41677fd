"""A row of the table in docs/packages.md: NAME, what `bue deps check --json` printed, and what it said."""

import json
import re
import sys

name, found, said = sys.argv[1:]
# They import, and speak to servers in a way that is not HTTP, which is all a step's network does.
OTHER_NETWORKS = {"dnspython", "pymysql", "redis"}
WORDS = {"yes": "works", "partly": "partly", "no": "cannot"}


def plain(text):
    """As a cell of a table."""
    return re.sub(r"\s+", " ", text).replace("|", "\\|")


def shortened(why):
    """Without tags of one machine, which say nothing to others."""
    return re.sub(r"(\S+?-[^-\s]+)-\S+\.whl is native code for one platform", r"\1 is native code", why)


def row():
    try:
        packages = json.load(open(found))["packages"]
    except ValueError:
        lines = open(said).read().strip().splitlines()
        return ["", "cannot", plain(lines[-1] if lines else "nothing was found"), ""]
    key = re.sub(r"[-_.]+", "-", name).lower()
    own = next((package for package in packages if package["name"] == key), packages[0])
    works, why = own["works"], [shortened(text) for text in own["why"]]
    others = [package for package in packages if package is not own and package["works"] != "yes"]
    if works == "yes" and others:
        works = "partly"
    for package in others:
        why.append(f"{package['name']}: " + "; ".join(shortened(text) for text in package["why"][:1]))
    if works == "yes" and key in OTHER_NETWORKS:
        works, why = "partly", ["it imports, and reaches no server: its protocol is not HTTP"]
    return [own["version"] or "", WORDS[works], plain("; ".join(why[:2])), plain(own["instead"] or "")]


print("| " + " | ".join([f"`{name}`", *row()]) + " |")
