"""`buelon.helpers.sqlite3_helper`: tables as lists of dicts, in a SQLite database in memory."""

import datetime
import json

default_db_location = ".bue/sqlite3_helper/pipe.db"

_MEMORY = ":memory:"


def check_cell(value):
    """Return a value that SQLite can store: lists, dicts and sets as JSON, other types as text."""
    if isinstance(value, (type(None), int, float, str, datetime.datetime, datetime.date)):
        return value
    if isinstance(value, (list, dict, tuple)):
        return json.dumps(value)
    if isinstance(value, (set, frozenset)):
        return json.dumps(list(value))
    return str(value)


def fix_table_headers(table, order=None):
    """Return the rows with the same columns in each, and values that SQLite can store."""
    headers = list(dict.fromkeys(name for row in table for name in row))
    return [{name: check_cell(row.get(name)) for name in order or headers} for row in table]


class Sqlite3:
    """A database at `":memory:"`, which lives as long as this object. A file as location is an error at the first use."""

    location = default_db_location

    def __init__(self, location=None):
        self.location = location if isinstance(location, str) else self.location
        self._memory = None

    @property
    def conn(self):
        import sqlite3

        if self.location != _MEMORY:
            return sqlite3.connect(self.location)
        if self._memory is None:
            self._memory = sqlite3.connect(_MEMORY)
        return self._memory

    def check_location(self):
        """Does nothing: a step has no folders."""

    def query(self, q, *args, commit=True, cur=None):
        conn = self.conn
        rows = conn.execute(q, args).fetchall()
        if commit:
            conn.commit()
        return rows

    def columns(self, name):
        return [row[0] for row in self.conn.execute("SELECT name FROM pragma_table_info(?)", (name,))]

    def upload_table(self, name, table, id_column=None):
        """Create the table and its columns where they are missing, and insert the rows. Rows with the same id are replaced.
        Returns the number of rows."""
        if not len(table):
            return None
        conn = self.conn
        rows = fix_table_headers(table)
        conn.execute(_create_table(name, list(rows[0]), id_column))
        present = {column.lower() for column in self.columns(name)}
        for column in rows[0]:
            if column.lower() not in present:
                conn.execute(f"ALTER TABLE {_quoted(name)} ADD COLUMN {_quoted(column)}")
        columns = ", ".join(map(_quoted, rows[0]))
        marks = ", ".join("?" * len(rows[0]))
        insert = f"INSERT OR REPLACE INTO {_quoted(name)} ({columns}) VALUES ({marks})"
        count = conn.executemany(insert, [tuple(row.values()) for row in rows]).rowcount
        conn.commit()
        return count

    def download_table(self, name=None, sql=None, parameters=None):
        """Return the rows of a table or of a query."""
        cursor = self.conn.execute(sql or f"SELECT * FROM {_quoted(name)}", parameters or ())
        headers = [column[0] for column in cursor.description or ()]
        return [dict(zip(headers, row)) for row in cursor.fetchall()]


def _create_table(name, columns, id_column):
    ids = [id_column] if isinstance(id_column, str) else list(id_column or ())
    parts = [_quoted(column) for column in columns]
    if ids:
        parts.append(f"PRIMARY KEY ({', '.join(map(_quoted, ids))})")
    return f"CREATE TABLE IF NOT EXISTS {_quoted(name)} ({', '.join(parts)})"


def _quoted(name):
    return '"' + name.replace('"', '""') + '"'
