# Dates outside the supported range.
# gives: []
import datetime
import time


def evil(canary):
    far = datetime.timedelta(days=999_999_999)
    doors = [
        lambda: datetime.datetime.max + far, lambda: datetime.datetime.min - far, lambda: far * 10, lambda: datetime.date(0, 1, 1),
        lambda: datetime.datetime.fromtimestamp(1e300), lambda: datetime.datetime.fromtimestamp(float("nan")),
        lambda: datetime.timezone(far), lambda: time.gmtime(1e300), lambda: datetime.timedelta(1e300),
        lambda: datetime.datetime.strptime("9" * 100_000, "%Y"), lambda: datetime.date.fromordinal(-1),
        lambda: datetime.datetime.fromisoformat("\0" * 26), lambda: time.mktime((1 << 62,) * 9),
    ]
    return [str(number) for number, door in enumerate(doors) if is_open(door)]


def is_open(door):
    try:
        door()
    except (OverflowError, ValueError, OSError, TypeError):
        return False
    return True
