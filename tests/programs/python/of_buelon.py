"""The modules of Buelon and of its predecessor, imported as their scripts do."""

import buelon.bucket
import buelon.helpers.lazy_load_class
import buelon.helpers.postgres
import buelon.hub
import buelon.worker
import pipe_debug
import pipeline
import postgres
import sqlite3_helper
import step
from buelon.core import pipe_debug as debug
from buelon.core.step import Result, StepStatus
from buelon.helpers import json_parser, pipe_util
from buelon.helpers.optional import is_available, optional_import
from buelon.helpers.sqlite3_helper import Sqlite3


# gives: [true, true, true, true]
def old_names_are_the_same_modules():
    return [
        pipeline is buelon.hub,
        pipe_debug is debug,
        sqlite3_helper.Sqlite3 is Sqlite3,
        step.Result is Result and StepStatus.pending.value == 3,
    ]


# gives: [2, [{"id": 1, "name": "a", "tags": "[1, 2]"}, {"id": 2, "name": null, "tags": null}], ["id", "name", "tags"]]
def tables_are_uploaded_and_downloaded():
    db = Sqlite3(":memory:")
    count = db.upload_table("t", [{"id": 1, "name": "a", "tags": [1, 2]}, {"id": 2}])
    return [count, db.download_table("t"), db.columns("t")]


# gives: [[{"id": 1, "n": "new", "more": true}], [["new"]], [{"n": "new"}]]
def rows_with_the_same_id_are_replaced():
    db = Sqlite3(":memory:")
    db.upload_table("t", [{"id": 1, "n": "old"}], id_column="id")
    db.upload_table("t", [{"id": 1, "n": "new", "more": True}], id_column="id")
    rows = db.download_table("t")
    rows[0]["more"] = rows[0]["more"] == 1
    return [rows, db.query("SELECT n FROM t WHERE id = ?", 1), db.download_table(sql="SELECT n FROM t WHERE id = ?", parameters=(1,))]


# gives: [{"a": [1]}, "{\"a\": 1}", [8, "x{\"a\":1}"], 1.5, null, 33, false]
def helpers_work():
    end, text = pipe_util.extract_json('x{"a":1} rest')
    return [
        json_parser.loads(json_parser.dumps({"a": [1]})),
        json_parser.dumps({"a": 1}).decode(),
        [end, text],
        pipe_util.try_number("1.5"),
        pipe_util.try_number("x"),
        len(pipe_util.get_id()),
        is_available(optional_import("psycopg2", "postgres")),
    ]


# fails: raised: sqlite3.OperationalError: unable to open database file 'test.db': a step can write in /tmp only…
def files_are_refused():
    Sqlite3("test.db").upload_table("t", [{"a": 1}])


# fails: raised: sqlite3.OperationalError: unable to open database file '.bue/sqlite3_helper/pipe.db': a step can write in /tmp only…
def the_file_of_the_worker_is_refused():
    Sqlite3().query("SELECT 1")


# fails: raised: NotImplementedError: `buelon.core.pipe_debug.counter` does not work in a step: it keeps its numbers in test.db, …
def a_counter_says_what_to_use():
    debug.counter("x")


# fails: raised: NotImplementedError: `buelon.hub.upload_pipe_code_from_file` does not work in a step: a step cannot submit …
def the_hub_says_what_to_use():
    pipeline.upload_pipe_code_from_file("example.pipe")


# fails: raised: NotImplementedError: `buelon.helpers.postgres.get_postgres_from_env` does not work in a step: write a step in postgres…
def postgres_says_what_to_use():
    postgres.get_postgres_from_env().download_table("t")


# fails: raised: NotImplementedError: `buelon.hub.HubClient` does not work in a step: …
def classes_say_what_to_use():
    class Client(buelon.hub.HubClient):
        pass


# gives: 3
@debug.timeit
def decorated_functions_are_called():
    return 3
