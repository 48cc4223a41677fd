"""Small kernels with typical work of ETL steps, on a generated report. The same file runs in a sandbox and in CPython.

`python3 etl.py` prints the names of the kernels; `python3 etl.py NAME` prints `[wall seconds, processor seconds, result]`.
"""

import csv
import io
import json
import re
import sys
import time
from collections import Counter, defaultdict
from datetime import date, datetime, timedelta

COUNTRIES = ["de", "fr", "se", "us", "jp", "br", "in"]


def row(number):
    return {
        "id": number,
        "day": (date(2026, 1, 1) + timedelta(days=number % 90)).isoformat(),
        "at": (datetime(2026, 1, 1, 8) + timedelta(seconds=number * 977)).strftime("%Y-%m-%d %H:%M:%S"),
        "country": COUNTRIES[number % 7],
        "campaign": f"Campaign {number % 50}, \"spring\" \u00e9t\u00e9",
        "clicks": number * 7919 % 1000,
        "cost": number * 0.37 + 0.01,
        "active": number % 3 != 0,
        "note": None if number % 5 else "checked",
    }


def log_line(number):
    one = ROWS[number]
    return f"{one['at']} INFO [worker-{number % 8}] GET /v1/reports/{number}?country={one['country']} 200 {one['clicks']}ms"


def as_csv(rows):
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]))
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


# Computed when the module is imported, so that no measurement includes it.
ROWS = [row(number) for number in range(500)]
JSON = json.dumps(ROWS)
CSV = as_csv(ROWS)
TABLE = [list(one.values()) for one in ROWS]
LOG = "\n".join(log_line(number) for number in range(500))
LINE = re.compile(r"^(\S+ \S+) (\w+) \[([^\]]+)\] (\w+) (\S+) (\d{3}) (\d+)ms$", re.M)
COUNTRY = re.compile(r"country=(?P<country>[a-z]{2})")
MAIL = re.compile(r"[\w.+-]+@[\w-]+\.[\w.]+")


def json_loads():
    return len(json.loads(JSON))


def json_dumps():
    return len(json.dumps(ROWS))


def csv_reader():
    return sum(len(cells) for cells in csv.reader(io.StringIO(CSV)))


def csv_dict_reader():
    return sum(int(one["clicks"]) for one in csv.DictReader(io.StringIO(CSV)))


def csv_writer():
    text = io.StringIO()
    csv.writer(text).writerows(TABLE)
    return len(text.getvalue())


def regex_findall():
    return sum(int(fields[6]) for fields in LINE.findall(LOG))


def regex_sub():
    return len(COUNTRY.sub(lambda match: "land=" + match["country"].upper(), LOG))


def regex_search():
    return sum(1 for line in LOG.split("\n") if MAIL.search(line) or COUNTRY.search(line))


def rows_transform():
    rows = [
        {**one, "country": one["country"].upper(), "cpc": round(one["cost"] / (one["clicks"] or 1), 4)}
        for one in ROWS
        if one["active"]
    ]
    return len(rows), round(sum(one["cpc"] for one in rows), 2)


def rows_rename():
    names = {"id": "report_id", "cost": "spend", "clicks": "hits"}
    return len([{names.get(key, key): value for key, value in one.items() if value is not None} for one in ROWS])


def group_by():
    groups = defaultdict(lambda: [0, 0.0])
    for one in ROWS:
        group = groups[one["country"], one["day"][:7]]
        group[0] += one["clicks"]
        group[1] += one["cost"]
    return len(groups), sum(group[0] for group in groups.values())


def count_and_sort():
    days = Counter(one["day"] for one in ROWS)
    return days.most_common(1)[0][1], sorted(ROWS, key=lambda one: (-one["clicks"], one["id"]))[0]["id"]


def dates_parse():
    last = max(datetime.strptime(one["at"], "%Y-%m-%d %H:%M:%S") for one in ROWS)
    return str(last), len({date.fromisoformat(one["day"]) for one in ROWS})


def dates_format():
    start = datetime(2026, 1, 1)
    return sum(len((start + timedelta(hours=hour)).strftime("%d/%m/%Y %H:%M")) for hour in range(500))


def dates_isoformat():
    start = datetime(2026, 1, 1)
    return sum(len((start + timedelta(hours=hour)).isoformat()) for hour in range(500))


def string_format():
    return sum(len("{id:>8} {country} {cost:,.2f}".format(**one) + "%s=%d" % (one["day"], one["clicks"])) for one in ROWS)


def f_strings():
    return sum(len(f"{one['id']:>8} {one['country']!r} {one['cost']:,.2f} {one['day']}") for one in ROWS)


def string_methods():
    return sum(len("_".join(one["campaign"].strip().lower().replace('"', "").split())) for one in ROWS)


def numbers_parse():
    return round(sum(int(cells[5]) + float(cells[6]) for cells in TEXTS), 2)


TEXTS = [[str(cell) for cell in cells] for cells in TABLE]


def bare_loop():
    total = 0
    for number in range(20_000):
        total += number & 3
    return total


# Each kernel, with its number of repetitions per measurement: about 30 ms in CPython.
KERNELS = {
    "json loads": (json_loads, 40),
    "json dumps": (json_dumps, 30),
    "csv reader": (csv_reader, 60),
    "csv DictReader": (csv_dict_reader, 30),
    "csv writer": (csv_writer, 40),
    "regex findall": (regex_findall, 100),
    "regex sub": (regex_sub, 200),
    "regex search": (regex_search, 20),
    "rows transform": (rows_transform, 80),
    "rows rename": (rows_rename, 60),
    "group-by": (group_by, 150),
    "count and sort": (count_and_sort, 150),
    "dates parse": (dates_parse, 8),
    "dates format": (dates_format, 40),
    "dates isoformat": (dates_isoformat, 80),
    "string format": (string_format, 40),
    "f-strings": (f_strings, 60),
    "string methods": (string_methods, 120),
    "numbers parse": (numbers_parse, 150),
    "bare loop": (bare_loop, 30),
}


def step(name):
    kernel, repetitions = KERNELS[name]
    start = time.perf_counter()
    for _ in range(repetitions):
        result = kernel()
    return [time.perf_counter() - start, str(result)]


def main(name):
    # a sandbox has no such clock: the benchmark measures its processor time from outside
    start = time.process_time()
    wall, result = step(name)
    return [wall, time.process_time() - start, result]


if __name__ == "__main__":
    print(json.dumps(main(sys.argv[1]) if sys.argv[1:] else list(KERNELS)))
