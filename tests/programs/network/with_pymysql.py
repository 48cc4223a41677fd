"""pymysql against MariaDB, with and without TLS."""

import ssl

import pymysql


def connect(at, **options):
    host, port = at["mysql"].rsplit(":", 1)
    options = {"password": "secret", **options}
    return pymysql.connect(host=host, port=int(port), user="step", database="shop", **options)


# gives: [[[1, "pear"], [2, "apple"]], 2, "1.50"]
def rows_are_written_and_read(at):
    with connect(at, ssl_disabled=True) as connection, connection.cursor() as cursor:
        cursor.execute("CREATE TEMPORARY TABLE fruit (id INT PRIMARY KEY, name TEXT, price DECIMAL(8, 2))")
        count = cursor.executemany("INSERT INTO fruit VALUES (%s, %s, %s)", [(1, "pear", "1.50"), (2, "apple", "2.00")])
        connection.commit()
        cursor.execute("SELECT id, name FROM fruit ORDER BY id")
        rows = [list(row) for row in cursor.fetchall()]
        cursor.execute("SELECT price FROM fruit WHERE id = %s", (1,))
        return [rows, count, str(cursor.fetchone()[0])]


# gives: [5000, 5000000]
def results_are_long(at):
    with connect(at, ssl_disabled=True) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT REPEAT('x', 1000) FROM seq_1_to_5000")
        rows = cursor.fetchall()
        return [len(rows), sum(len(row[0]) for row in rows)]


# gives: ["ProgrammingError", "OperationalError", "OperationalError"]
def errors_are_those_of_the_library(at):
    def error_of(work):
        try:
            return work()
        except pymysql.MySQLError as error:
            return type(error).__name__

    with connect(at, ssl_disabled=True) as connection, connection.cursor() as cursor:
        wrong = error_of(lambda: cursor.execute("SELECT FROM"))
    password = error_of(lambda: connect(at, password="wrong"))
    denied = error_of(lambda: pymysql.connect(host="127.0.0.9", user="step"))
    return [wrong, password, denied]


# gives: ["TLS", "TLS", "OperationalError"]
def tls_is_used(at):
    def cipher(authority):
        context = ssl.create_default_context(cadata=authority)
        with connect(at, ssl=context) as connection, connection.cursor() as cursor:
            cursor.execute("SHOW STATUS LIKE 'Ssl_cipher'")
            return cursor.fetchone()[1][:3]

    try:
        cipher(at["other_ca"])
    except pymysql.MySQLError as error:
        refused = type(error).__name__
    # by default, the library encrypts if the server can, without asking for a valid certificate
    with connect(at) as connection, connection.cursor() as cursor:
        cursor.execute("SHOW STATUS LIKE 'Ssl_cipher'")
        return [cipher(at["ca"]), cursor.fetchone()[1][:3], refused]
