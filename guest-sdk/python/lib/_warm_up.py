"""Runs what steps commonly do, before the base image is taken.

The interpreter adapts while it runs: it specializes bytecode for the types it sees and caches hashes and attribute lookups.
What it adapted before the image is taken is shared; what it adapts in a call is written to pages that each instance copies.
"""

import asyncio
import collections
import datetime
import decimal
import io
import json
import logging
import re
import time
import urllib.parse
import uuid

import bue
from bue import _event_loop, _explain, _traceback

# more than the number of runs after which bytecode is specialized
_REPEATS = 40


def _log():
    logger = logging.Logger("warm", logging.INFO)
    handler = logging.StreamHandler(io.StringIO())
    logger.addHandler(handler)
    for text in (logging.BASIC_FORMAT, "%(asctime)s - %(levelname)s - %(name)s - %(message)s"):
        handler.setFormatter(logging.Formatter(text))
        for level in (logger.debug, logger.info, logger.warning, logger.error):
            level("%s rows of %s", 3, "x")
            level(f"{3} rows")


def _data():
    rows = [{"id": number, "name": f"n{number}", "value": number * 1.5, "at": None} for number in range(5)]
    rows = json.loads(json.dumps(rows, indent=1))
    groups = collections.defaultdict(list)
    for row in sorted(rows, key=lambda row: row["name"]):
        groups[row["id"] % 2].append({**row, "name": row["name"].upper().strip().split("N")})
    text = ", ".join(str(row.get("value")) for row in rows)
    urllib.parse.urlencode({"a": re.sub(r"\d+", "#", text)})
    return sum(len(group) for group in groups.values())


def _values():
    now = datetime.datetime.now(datetime.timezone.utc)
    datetime.datetime.fromisoformat(now.isoformat()).strftime("%Y-%m-%d") and str(now - datetime.timedelta(days=1))
    str(decimal.Decimal("1.10") * 3 + decimal.Decimal(2))
    str(uuid.uuid4())
    time.time()
    repr(bue.Result(status=bue.StepStatus.pending, delay=1))
    _explain.explain_unsupported(print)


async def _wait(number):
    await asyncio.sleep(0)
    return number


async def _gather():
    return await asyncio.gather(_wait(1), _wait(2))


def _raise():
    try:
        {}["missing"]
    except KeyError as error:
        _traceback.describe(error, 1)


def warm_up():
    for example in (_log, _data, _values, _raise, lambda: _event_loop.run(_gather())):
        for _ in range(_REPEATS):
            example()
    for _ in range(_REPEATS):
        print(end="")
