"""Checks what sqlite3 steps returned: one line per query, `name|given cells|returned cells`."""
import sys
from decimal import ROUND_HALF_UP, Context, Decimal, setcontext

setcontext(Context(prec=100))


def cell(text):
    kind, _, number = text.partition(" ")
    return None if kind == "null" else Decimal(number)


def is_exact(number):
    """At most 15 significant digits, as SQLite keeps them."""
    return number is None or len(Decimal(number).normalize().as_tuple().digits) <= 15


def known(numbers):
    return [number for number in numbers if number is not None]


def add(numbers):
    return sum(known(numbers), Decimal(0)) if known(numbers) else None


def combined(rows, function):
    rows = [(v, w) for v, w in rows if v is not None and -1000 < v < 1000]
    return [[None if w is None else function(v, w)] for v, w in rows]


def rounded(number, places):
    # format shows null as 0
    return (number or Decimal(0)).quantize(Decimal(1).scaleb(-places), ROUND_HALF_UP)


def compare(v, w):
    if v is None or w is None:
        # x BETWEEN NULL AND y can be false without being null, but not here: both ends are null
        return [None, None, None]
    return [int(v > w), int(v == w), int(w <= v <= -w)]


def order(number):
    return (number is not None, number or 0)


def expected(name, rows):
    column = [v for v, _ in rows]
    if name == "all":
        return [list(row) for row in rows]
    if name == "order":
        return [[v] for v in sorted(column, key=order)]
    if name == "ends":
        return [[min(known(column), default=None), max(known(column), default=None)]]
    if name == "sum":
        return [[add(column)]]
    if name == "group":
        return [[v, column.count(v)] for v in sorted(set(column), key=order)]
    if name == "compare":
        return [compare(v, w) for v, w in rows]
    if name == "add":
        return combined(rows, lambda v, w: v + w)
    if name == "subtract":
        return combined(rows, lambda v, w: v - w)
    if name == "remainder":
        rows = [(v, w) for v, w in rows if w is not None and abs(w) > Decimal("0.001")]
        return combined(rows, lambda v, w: v % w)
    if name == "multiply":
        return combined(rows, lambda v, w: v * w * 2)
    if name == "literals":
        return [[v] for v in column]
    if name in ("round", "format"):
        rows = [(v, w) for v, w in rows if v is not None and -100000 < v < 100000]
        if name == "round":
            return [[rounded(v, 1)] for v, _ in rows]
        return [[rounded(v, 2), rounded(w, 0)] for v, w in rows]
    if name == "window":
        return [[add(column[max(0, at - 2): at + 1])] for at in range(len(column))]
    raise ValueError(name)


count = 0
for line in sys.stdin:
    name, given, returned = line.rstrip("\n").split("|")
    numbers = [cell(text) for text in given.split(",")]
    wanted = sum(expected(name, list(zip(numbers[::2], numbers[1::2]))), [])
    if returned == "refused":
        partial = [v * w for v, w in zip(numbers[::2], numbers[1::2]) if v is not None and w is not None]
        assert not all(map(is_exact, wanted + (partial if name == "multiply" else []))), line
    else:
        got = [cell(text) for text in returned.split(",")] if returned else []
        assert got == wanted, f"{line}{wanted}"
    count += 1
print(count, "lines")
