"""pg8000 against PostgreSQL, with SCRAM passwords, with and without TLS."""

import ssl

import pg8000.dbapi
import pg8000.native


def place(at):
    host, port = at["postgres"].rsplit(":", 1)
    return {"host": host, "port": int(port), "user": "step", "password": "secret", "database": "shop"}


# gives: [[[1, "pear"], [2, "apple"]], "1.50"]
def rows_are_written_and_read(at):
    connection = pg8000.native.Connection(**place(at))
    connection.run("CREATE TEMPORARY TABLE fruit (id INT, name TEXT, price DECIMAL(8, 2))")
    for row in [(1, "pear", "1.50"), (2, "apple", "2.00")]:
        connection.run("INSERT INTO fruit VALUES (:a, :b, CAST(:c AS DECIMAL))", a=row[0], b=row[1], c=row[2])
    rows = connection.run("SELECT id, name FROM fruit ORDER BY id")
    [[price]] = connection.run("SELECT price FROM fruit WHERE id = :id", id=1)
    connection.close()
    return [rows, str(price)]


# gives: [5000, 5000000]
def results_are_long(at):
    with pg8000.dbapi.connect(**place(at)) as connection:
        cursor = connection.cursor()
        cursor.execute("SELECT repeat('x', 1000) FROM generate_series(1, %s)", (5000,))
        rows = cursor.fetchall()
        return [len(rows), sum(len(row[0]) for row in rows)]


# gives: ["DatabaseError", "DatabaseError", true]
def errors_are_those_of_the_library(at):
    def error_of(work):
        try:
            return work()
        except (pg8000.native.InterfaceError, pg8000.native.DatabaseError) as error:
            return type(error).__name__

    def refusal(work):
        try:
            return work()
        except PermissionError as error:
            return "`!allow tcp 127.0.0.9:5432`" in str(error)

    connection = pg8000.native.Connection(**place(at))
    return [
        error_of(lambda: connection.run("SELECT FROM nothing")),
        error_of(lambda: pg8000.native.Connection(**{**place(at), "password": "wrong"})),
        refusal(lambda: pg8000.native.Connection("step", host="127.0.0.9")),
    ]


# gives: [true, true, "SSLError"]
def tls_is_used(at):
    def has_tls(authority):
        context = ssl.create_default_context(cadata=authority)
        connection = pg8000.native.Connection(**place(at), ssl_context=context)
        return connection.run("SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()")[0][0]

    try:
        has_tls(at["other_ca"])
    except Exception as error:
        refused = type(error).__name__
    # by default, the library encrypts if the server can, without asking for a valid certificate
    encrypted = pg8000.native.Connection(**place(at)).run("SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()")[0][0]
    return [has_tls(at["ca"]), encrypted, refused]
