"""Local time: UTC, or what `TZ` says. The expected values are those of CPython 3.11."""

import logging
import os
import threading
import time
from datetime import datetime, timedelta, timezone

WINTER, SUMMER = 1_767_270_600, 1_782_907_200.5


def zone(name):
    os.environ["TZ"] = name
    time.tzset()


def describe():
    summer = time.localtime(SUMMER)
    return [time.timezone, time.altzone, time.daylight, list(time.tzname), time.strftime("%H:%M %Z %z", summer), summer.tm_isdst]


# gives: [0, 0, 0, ["UTC", "UTC"], "12:00 UTC +0000", 0]
def without_tz_it_is_utc():
    return describe()


# gives: [-3600, -7200, 1, ["CET", "CEST"], "14:00 CEST +0200", 1]
def a_zone_with_summer_time():
    zone("Europe/Berlin")
    return describe()


# gives: [-36000, -39600, 1, ["AEST", "AEDT"], "22:00 AEST +1000", 0]
def a_zone_of_the_south():
    zone("Australia/Sydney")
    return describe()


# gives: [-20700, -20700, 0, ["+0545", "+0545"], "17:45 +0545 +0545", 0]
def a_zone_without_summer_time():
    zone("Asia/Kathmandu")
    return describe()


# gives: [[18000, 14400, 1, ["EST", "EDT"], "08:00 EDT -0400", 1], [18000, 14400, 1, ["EST", "EDT"], "08:00 EDT -0400", 1]]
def a_rule_of_posix():
    zone("EST+05EDT,M4.1.0,M10.5.0")
    by_rule = describe()
    zone(":America/New_York")
    return [by_rule, describe()]


# fails: raised: ValueError: TZ is 'Europe/Nowhere': neither a time zone of the database, such as Europe/Berlin, nor a rule of POSIX
def a_zone_that_is_unknown():
    zone("Europe/Nowhere")


# gives: [[2026, 1, 1, 13, 30, 0, 3, 1, 0], [2026, 7, 1, 14, 0, 0, 2, 182, 1], [2026, 7, 1, 12, 0, 0, 2, 182, 0], "Wed Jul  1 14:00:00 2026"]
def times_of_a_zone():
    zone("Europe/Berlin")
    return [list(time.localtime(WINTER)), list(time.localtime(SUMMER)), list(time.gmtime(SUMMER)), time.ctime(SUMMER)]


# gives: [1782907200.0, 1782910800.0, 1767222000.0, 1792890200.0, 1792886600.0, true]
def mktime_is_the_inverse_of_localtime():
    zone("Europe/Berlin")
    return [
        time.mktime((2026, 7, 1, 14, 0, 0, 0, 0, -1)),
        # winter time in summer, fields out of range, and an hour that the clock shows twice
        time.mktime((2026, 7, 1, 14, 0, 0, 0, 0, 0)),
        time.mktime((2025, 13, 1, 0, 0, 0, 0, 0, -1)),
        time.mktime((2026, 10, 25, 2, 3, 20, 0, 0, 0)),
        time.mktime((2026, 10, 25, 2, 3, 20, 0, 0, 1)),
        all(time.mktime(time.localtime(WINTER + day * 86_400)) == WINTER + day * 86_400 for day in range(0, 400, 7)),
    ]


# gives: ["2026-07-01T14:00:00+02:00", "CEST", 1782907200.0, "2026-07-01T14:00:00", 7200.0, [0, 1]]
def datetime_follows():
    zone("Europe/Berlin")
    noon = datetime(2026, 7, 1, 12, tzinfo=timezone.utc)
    local = noon.astimezone()
    now = datetime.now(timezone.utc)
    offset = datetime.now().replace(tzinfo=timezone.utc) - now
    expected = now.astimezone().utcoffset()
    folds = [datetime.fromtimestamp(seconds).fold for seconds in (1_792_887_000, 1_792_890_600)]
    return [
        local.isoformat(),
        local.tzname(),
        datetime(2026, 7, 1, 14).timestamp(),
        datetime.fromtimestamp(1_782_907_200).isoformat(),
        7200.0 if abs(offset - expected) < timedelta(seconds=30) else str(offset),
        folds,
    ]


# gives: "2026-07-01 14:00:00,500"
def logging_follows():
    zone("Europe/Berlin")
    record = logging.LogRecord("name", logging.INFO, "path", 1, "message", (), None)
    record.created, record.msecs = SUMMER, 500
    return logging.Formatter().formatTime(record)


# gives: ["UTC", "12:00"]
def tz_can_be_removed():
    zone("Europe/Berlin")
    del os.environ["TZ"]
    time.tzset()
    return [time.tzname[0], time.strftime("%H:%M", time.localtime(SUMMER))]


# gives: [true, true, true, true, true]
def processor_time_stands_still_while_the_step_waits():
    process, thread, began = time.process_time(), time.thread_time(), time.monotonic()
    time.sleep(0.2)
    waited = time.monotonic() - began
    busy = time.process_time() - process
    other = []

    def compute():
        end = time.monotonic() + 0.1
        while time.monotonic() < end:
            pass
        other.append(time.thread_time())

    worker = threading.Thread(target=compute)
    worker.start()
    worker.join()
    return [
        busy < waited,
        time.process_time() - process >= 0.09,
        time.thread_time() - thread < time.process_time() - process,
        other[0] >= 0.09,
        isinstance(time.process_time_ns(), int) and time.get_clock_info("process_time").monotonic,
    ]
