"""Run what steps commonly run, before the image is taken.

The interpreter learns while it runs: it rewrites code for the types it meets and keeps hashes and looked-up attributes.
What it has learnt stands in the image; what it learns in a call is written to pages that each instance must copy.
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
from bue import _explain, _loop, _trace

# more than the number of runs after which code is rewritten
_TIMES = 40


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
    found = collections.defaultdict(list)
    for row in sorted(rows, key=lambda row: row["name"]):
        found[row["id"] % 2].append({**row, "name": row["name"].upper().strip().split("N")})
    text = ", ".join(str(row.get("value")) for row in rows)
    urllib.parse.urlencode({"a": re.sub(r"\d+", "#", text)})
    return sum(len(group) for group in found.values())


def _values():
    now = datetime.datetime.now(datetime.timezone.utc)
    datetime.datetime.fromisoformat(now.isoformat()).strftime("%Y-%m-%d") and str(now - datetime.timedelta(days=1))
    str(decimal.Decimal("1.10") * 3 + decimal.Decimal(2))
    str(uuid.uuid4())
    time.time()
    repr(bue.Result(status=bue.StepStatus.pending, delay=1))
    _explain.refuse(print)


async def _wait(number):
    await asyncio.sleep(0)
    return number


async def _gather():
    return await asyncio.gather(_wait(1), _wait(2))


def _raise():
    try:
        {}["missing"]
    except KeyError as error:
        _trace.describe(error, 1)


def warm():
    for work in (_log, _data, _values, _raise, lambda: _loop.run(_gather())):
        for _ in range(_TIMES):
            work()
    for number in range(_TIMES):
        print(end="")
