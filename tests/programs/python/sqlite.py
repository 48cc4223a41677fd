"""`sqlite3` in a step: a real SQLite, in memory and in `/tmp`."""

import datetime
import decimal
import sqlite3


def memory(**options):
    return sqlite3.connect(":memory:", **options)


# gives: [[1, "a", 1.5, "b'x'", null]]
def rows_come_back_as_they_were_stored():
    db = memory()
    db.execute("CREATE TABLE t(a INTEGER, b TEXT, c REAL, d BLOB, e)")
    db.execute("INSERT INTO t VALUES (?, ?, ?, ?, ?)", (1, "a", 1.5, b"x", None))
    return [[a, b, c, repr(d), e] for a, b, c, d, e in db.execute("SELECT * FROM t")]


# gives: [3, [3, 2], [[1], [2]], [3], null]
def cursors_fetch():
    cursor = memory().cursor()
    cursor.execute("CREATE TABLE t(a)")
    count = cursor.executemany("INSERT INTO t VALUES (?)", [(1,), (2,), (3,)]).rowcount
    last = cursor.execute("INSERT INTO t VALUES (2)").lastrowid
    cursor.execute("DELETE FROM t WHERE rowid = 4")
    cursor.execute("SELECT a FROM t ORDER BY a")
    return [count, [last - 1, cursor.description and 2], list(map(list, cursor.fetchmany(2))), list(cursor.fetchone()), cursor.fetchone()]


# gives: [["a", "b"], 1, 2, {"a": 1, "b": 2}]
def rows_have_names():
    db = memory()
    db.row_factory = sqlite3.Row
    row = db.execute("SELECT 1 AS a, 2 AS b").fetchone()
    return [row.keys(), row["a"], row[1], dict(row)]


# gives: [0, 1]
def transactions_roll_back_and_commit():
    db = memory()
    db.execute("CREATE TABLE t(a)")
    db.commit()
    db.execute("INSERT INTO t VALUES (1)")
    db.rollback()
    (before,) = db.execute("SELECT count(*) FROM t").fetchone()
    with db:
        db.execute("INSERT INTO t VALUES (1)")
    return [before, db.execute("SELECT count(*) FROM t").fetchone()[0]]


# gives: [10, 6, ["b", "a"]]
def functions_of_python_work_in_sql():
    db = memory()

    class Total:
        def __init__(self):
            self.total = 0

        def step(self, value):
            self.total += value

        def finalize(self):
            return self.total

    db.create_function("twice", 1, lambda value: 2 * value)
    db.create_aggregate("total_of", 1, Total)
    db.create_collation("backwards", lambda left, right: (left < right) - (left > right))
    db.executescript("CREATE TABLE t(a, b); INSERT INTO t VALUES (1, 'a'), (5, 'b');")
    return [
        db.execute("SELECT twice(5)").fetchone()[0],
        db.execute("SELECT total_of(a) FROM t").fetchone()[0],
        [b for (b,) in db.execute("SELECT b FROM t ORDER BY b COLLATE backwards")],
    ]


# gives: ["1.10", "2024-05-06"]
def adapters_and_converters_work():
    sqlite3.register_adapter(decimal.Decimal, str)
    sqlite3.register_converter("amount_text", lambda text: decimal.Decimal(text.decode()))
    db = memory(detect_types=sqlite3.PARSE_DECLTYPES)
    db.execute("CREATE TABLE t(a amount_text, b text)")
    db.execute("INSERT INTO t VALUES (?, ?)", (decimal.Decimal("1.10"), datetime.date(2024, 5, 6).isoformat()))
    amount, day = db.execute("SELECT a, b FROM t").fetchone()
    assert isinstance(amount, decimal.Decimal)
    return [str(amount), day]


# gives: [["BEGIN TRANSACTION;", "CREATE TABLE t(a);", "INSERT INTO \"t\" VALUES(1);", "COMMIT;"], 1]
def databases_are_dumped_and_copied():
    db, copy = memory(), memory()
    db.executescript("CREATE TABLE t(a); INSERT INTO t VALUES (1);")
    db.backup(copy)
    return [list(db.iterdump()), copy.execute("SELECT a FROM t").fetchone()[0]]


# gives: ["IntegrityError", "OperationalError", "ProgrammingError", "InterfaceError", true]
def errors_have_their_classes():
    names = []

    def run(statement, *arguments):
        try:
            db.execute(statement, *arguments)
        except sqlite3.Error as error:
            names.append(type(error).__name__)

    db = memory()
    db.execute("CREATE TABLE t(a UNIQUE)")
    db.execute("INSERT INTO t VALUES (1)")
    run("INSERT INTO t VALUES (1)")
    run("SELEC 1")
    run("SELECT ?", (1, 2))
    run("SELECT ?", (object(),))
    names[-1] = "InterfaceError" if names[-1] in ("InterfaceError", "ProgrammingError") else names[-1]
    return [*names, issubclass(sqlite3.IntegrityError, sqlite3.DatabaseError)]


# gives: [[["a", 2], ["b", 1]], "[1,2]", 2, "a"]
def sqlite_has_json_windows_and_full_text():
    db = memory()
    db.executescript("CREATE TABLE t(a, b); INSERT INTO t VALUES ('a', 1), ('a', 2), ('b', 3);")
    db.execute("CREATE VIRTUAL TABLE words USING fts5(text)")
    db.execute("INSERT INTO words VALUES ('a quick fox'), ('a slow dog')")
    return [
        [list(row) for row in db.execute("SELECT a, count(*) FROM t GROUP BY a ORDER BY a")],
        db.execute("SELECT json_array(1, 2)").fetchone()[0],
        db.execute("SELECT max(number) FROM (SELECT row_number() OVER (PARTITION BY a) AS number FROM t)").fetchone()[0],
        db.execute("SELECT substr(text, 1, 1) FROM words WHERE words MATCH 'quick'").fetchone()[0],
    ]


# gives: [[1], 100000]
def several_connections_and_many_rows_work():
    shared = [sqlite3.connect("file:shared?mode=memory&cache=shared", uri=True) for _ in range(2)]
    shared[0].executescript("CREATE TABLE t(a); INSERT INTO t VALUES (1);")
    db = memory()
    db.execute("CREATE TABLE t(a, b)")
    db.executemany("INSERT INTO t VALUES (?, ?)", ((number % 7, str(number)) for number in range(100_000)))
    db.execute("CREATE INDEX i ON t(b)")
    db.commit()
    db.execute("VACUUM")
    db.execute("SELECT a, max(b) FROM t GROUP BY a ORDER BY 2").fetchall()
    return [list(shared[1].execute("SELECT a FROM t").fetchone()), db.execute("SELECT count(*) FROM t").fetchone()[0]]


# fails: raised: sqlite3.OperationalError: unable to open database file 'sales.db': a step can write in /tmp only, and reads the files that the script packs; `/tmp/sales.db`…
def files_outside_of_tmp_are_refused():
    sqlite3.connect("sales.db")


# fails: raised: sqlite3.OperationalError: unable to open database: sales.db
def files_outside_of_tmp_cannot_be_attached():
    memory().execute("ATTACH 'sales.db' AS sales")


# gives: [[1, 2], [3], ["/tmp/sales.db"], "ok", "delete"]
def a_file_in_tmp_keeps_what_was_committed():
    import glob

    with sqlite3.connect("/tmp/sales.db") as db:
        db.execute("CREATE TABLE t(a)")
        db.executemany("INSERT INTO t VALUES (?)", [(1,), (2,)])
    db.close()
    db = sqlite3.connect("/tmp/sales.db")
    rows = [row[0] for row in db.execute("SELECT a FROM t ORDER BY a")]
    db.execute("DELETE FROM t")
    db.rollback()
    db.execute("INSERT INTO t VALUES (3)")
    assert sorted(glob.glob("/tmp/sales*")) == ["/tmp/sales.db", "/tmp/sales.db-journal"]
    db.commit()
    db.execute("VACUUM")
    mode = db.execute("PRAGMA journal_mode = WAL").fetchone()[0]
    other = memory()
    other.execute("ATTACH '/tmp/sales.db' AS sales")
    last = other.execute("SELECT max(a) FROM sales.t").fetchone()
    return [rows, list(last), glob.glob("/tmp/sales*"), db.execute("PRAGMA integrity_check").fetchone()[0], mode]


# gives: ["database is locked", [0], "database is locked", [1]]
def connections_lock_each_other():
    first, second = (sqlite3.connect("/tmp/x.db", timeout=0, isolation_level=None) for _ in range(2))
    first.execute("CREATE TABLE t(a)")

    def error(db, *sql):
        try:
            for statement in sql:
                db.execute(statement)
        except sqlite3.OperationalError as error:
            return str(error)

    count = "SELECT count(*) FROM t"
    first.execute("BEGIN")
    first.execute("INSERT INTO t VALUES (1)")
    writing = error(second, "BEGIN IMMEDIATE")
    before = list(second.execute(count).fetchone())
    # a reader that has not finished keeps the other from committing
    second.execute("BEGIN")
    second.execute(count).fetchone()
    committing = error(first, "COMMIT")
    second.execute("COMMIT")
    first.execute("COMMIT")
    return [writing, before, committing, list(second.execute(count).fetchone())]


# gives: ["disk full", 1]
def a_full_disk_is_an_error_that_rolls_back():
    db = sqlite3.connect("/tmp/x.db")
    db.execute("CREATE TABLE t(a)")
    db.execute("INSERT INTO t VALUES (1)")
    db.commit()
    db.execute("PRAGMA max_page_count = 10")
    try:
        db.execute("INSERT INTO t VALUES (zeroblob(1000000))")
    except sqlite3.OperationalError as error:
        text = "disk full" if "full" in str(error) else str(error)
    db.rollback()
    return [text, db.execute("SELECT count(*) FROM t").fetchone()[0]]


# gives: [10000, 3]
def backups_and_databases_of_the_import_work():
    target = sqlite3.connect("/tmp/copy.db")
    IMPORTED.backup(target)
    IMPORTED.execute("INSERT INTO t VALUES (3)")
    return [target.execute("SELECT count(*) FROM big").fetchone()[0], IMPORTED.execute("SELECT count(*) FROM t").fetchone()[0]]


IMPORTED = sqlite3.connect("/tmp/imported.db")
IMPORTED.executescript("CREATE TABLE t(a); INSERT INTO t VALUES (1), (2); CREATE TABLE big(a);")
IMPORTED.executemany("INSERT INTO big VALUES (?)", [(str(number),) for number in range(10000)])
IMPORTED.commit()


# gives: 1
def nested_expressions_work():
    return memory().execute("SELECT " + "abs(" * 40 + "1" + ")" * 40).fetchone()[0]


# fails: raised: sqlite3.OperationalError: …
def deeply_nested_expressions_are_an_error():
    memory().execute("SELECT " + "abs(" * 5000 + "1" + ")" * 5000)


# fails: raised: sqlite3.OperationalError: …
def long_chains_are_an_error():
    memory().execute("SELECT 1" + "+1" * 100_000)


# gives: [true, true, true]
def the_clock_and_random_numbers_are_those_of_the_step():
    db = memory()
    now = datetime.datetime.now(datetime.timezone.utc)
    (text,) = db.execute("SELECT strftime('%Y-%m-%d %H:%M:%f', 'now')").fetchone()
    age = now - datetime.datetime.fromisoformat(text).replace(tzinfo=datetime.timezone.utc)
    numbers = {db.execute("SELECT random()").fetchone()[0] for _ in range(5)}
    return [abs(age) < datetime.timedelta(minutes=5), len(numbers) == 5, sqlite3.sqlite_version_info > (3, 45)]
