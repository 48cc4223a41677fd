"""Values of the bucket as files, and as a whole. Each function has the result that the comment above it says. `shared/old` is b"old"."""

import csv
import datetime
import gzip
import io
import json
import os
import pickle
import shutil
import threading
import zipfile
from concurrent.futures import ThreadPoolExecutor

import bue
from bue import bucket

MIB = 1024 * 1024


def error(function, *arguments, **keywords):
    """The class and text of what the function raises."""
    try:
        function(*arguments, **keywords)
    except Exception as raised:
        return f"{type(raised).__name__}: {raised}"
    return "nothing"


# gives: ["old", "default", null, "KeyError: 'get/none'", "bytes"]
def get():
    old = bucket.get("shared/old")
    return [
        old.decode(),
        bucket.get("get/none", "default"),
        bucket.get("get/none", default=None),
        error(bucket.get, "get/none"),
        type(old).__name__,
    ]


# gives: [true, true, true, true, true, true, true]
def values_of_all_sizes_come_back():
    results = []
    for size in (0, 1, MIB - 1, MIB, MIB + 1, 2 * MIB, 3 * MIB + 7):
        data = os.urandom(size)
        bucket.set("sizes/whole", data)
        with bucket.open("sizes/whole", "rb") as reader, bucket.open("sizes/copy", "wb") as writer:
            shutil.copyfileobj(reader, writer)
        results.append(bucket.get("sizes/whole") == data and bucket.get("sizes/copy") == data)
    return results


# gives: ["text ä", "bytes", "array", "view"]
def set():
    bucket.set("set/a", "text ä")
    bucket.set("set/b", b"bytes")
    bucket.set("set/c", bytearray(b"array"))
    bucket.set("set/d", memoryview(b"a view")[2:])
    return [bucket.get(f"set/{name}").decode() for name in "abcd"]


# gives: ["TypeError: a value of the bucket is bytes or a str, not dict; for example json.dumps(value)", "TypeError: the name of a value is a str, not int", "TypeError: a bytes-like object is required, not 'str'", "TypeError: write() argument must be str, not bytes", null]
def other_types_are_refused():
    results = [error(bucket.set, "types/a", {"a": 1}), error(bucket.get, 5)]
    for mode, data in (("wb", "text"), ("w", b"bytes")):
        with bucket.open("types/b", mode) as file:
            results.append(error(file.write, data))
            bucket_file = file
        assert bucket_file.closed
    return results + [bucket.get("types/a", None)]


# gives: ["new", null, null]
def a_value_is_replaced_and_deleted():
    bucket.set("replaced", "old")
    bucket.set("replaced", "new")
    new = bucket.get("replaced").decode()
    bucket.delete("replaced")
    gone = bucket.get("replaced", None)
    bucket.delete("replaced")
    return [new, gone, bucket.get("replaced", None)]


# gives: [["1", "ä, \"b\""], ["2", ""]]
def csv_file():
    with bucket.open("csv", "w", newline="") as file:
        csv.writer(file).writerows([[1, 'ä, "b"'], [2, ""]])
    with bucket.open("csv", newline="") as file:
        return list(csv.reader(file))


# gives: {"a": [1, 2]}
def json_file():
    with bucket.open("json", "w") as file:
        json.dump({"a": [1, 2]}, file)
    with bucket.open("json") as file:
        return json.load(file)


# gives: ["first", "second", "third"]
def lines():
    with bucket.open("lines", "wt") as file:
        print("first", file=file)
        file.writelines(["second\n", "third"])
    with bucket.open("lines", "rt") as file:
        return [line.rstrip("\n") for line in file]


# gives: [[1, 2], "zipped", "inside"]
def files_in_other_formats():
    with bucket.open("pickle", "wb") as file:
        pickle.dump([1, 2], file)
    with bucket.open("gzip", "wb") as file, gzip.open(file, "wb") as packed:
        packed.write(b"zipped")
    with bucket.open("zip", "wb") as file, zipfile.ZipFile(file, "w") as archive:
        archive.writestr("a.txt", "inside")
    with bucket.open("pickle", "rb") as file:
        unpickled = pickle.load(file)
    with bucket.open("gzip", "rb") as file, gzip.open(file) as packed:
        unpacked = packed.read().decode()
    archive = zipfile.ZipFile(io.BytesIO(bucket.get("zip")))
    return [unpickled, unpacked, archive.read("a.txt").decode()]


# gives: ["ff fe 61 00 e4 00", "61 0d 0a", "61 0a", "aä", "a\n"]
def encodings_and_ends_of_lines():
    with bucket.open("text/utf-16", "w", encoding="utf-16") as file:
        file.write("a")
        file.write("ä")
    with bucket.open("text/crlf", "w", newline="\r\n") as file:
        file.write("a\n")
    with bucket.open("text/lf", "w") as file:
        file.write("a\n")
    with bucket.open("text/utf-16", encoding="utf-16") as file:
        decoded = file.read()
    with bucket.open("text/crlf") as file:
        translated = file.read()
    return [bucket.get(f"text/{name}").hex(" ") for name in ("utf-16", "crlf", "lf")] + [decoded, translated]


# gives: ["attributes", "w", "utf-8", false, true, true, false, 3, "rb", false, true, false]
def attributes():
    with bucket.open("attributes", "w") as file:
        results = [file.name, file.mode, file.encoding, file.readable(), file.writable()]
        file.write("abc")
        file.flush()
        results += [bucket.get("attributes", None) is None, file.seekable(), file.buffer.tell()]
    with bucket.open("attributes", "rb") as file:
        return results + [file.mode, file.writable(), file.readable(), file.seekable()]


# gives: ["ValueError", "ValueError", "ValueError", "ValueError", "ValueError", "ValueError", "ValueError", "ValueError", "LookupError"]
def arguments_that_make_no_sense_are_refused():
    results = [error(bucket.open, "arguments", mode) for mode in ("", "a", "x", "r+", "rw", "rbt", None)]
    results += [error(bucket.open, "arguments", "wb", encoding="utf-8")]
    results += [error(bucket.open, "arguments", "w", encoding="no such")]
    assert bucket.get("arguments", None) is None
    return [text.partition(":")[0] for text in results]


# gives: ["FileNotFoundError: [Errno 44] the bucket has no value of this name: 'missing/a'", "FileNotFoundError: [Errno 44] the bucket has no value of this name: 'missing/b'"]
def a_missing_value_is_a_missing_file():
    return [error(bucket.open, "missing/a"), error(bucket.open, "missing/b", "rb")]


# gives: ["ValueError", "ValueError", "ValueError", "ValueError", "ValueError", "ValueError", "ValueError", "ValueError"]
def names_that_are_none_are_refused():
    names = ["", "a/../b", "/a", "a//b", "a\\b", "a\nb", "..", "a" * 1025]
    return [error(bucket.set, name, b"").partition(":")[0] for name in names]


# gives: ["percent", "percent", "KeyError: 'a/b'"]
def a_name_is_not_decoded():
    bucket.set("a%2fb", "percent")
    bucket.set("a%2F..%2Fb", "percent")
    return [bucket.get("a%2fb").decode(), bucket.get("a%2F..%2Fb").decode(), error(bucket.get, "a/b")]


# gives: [60, 2, 3600, null, "ValueError", "ValueError", "ValueError", "TypeError", "TypeError", "ValueError"]
def values_expire():
    bucket.set("expires/a", b"", expires=60)
    bucket.set("expires/b", b"", expires=1.5)
    with bucket.open("expires/c", "w", expires=datetime.timedelta(hours=1)):
        pass
    bucket.set("expires/d", b"")
    times = [json.loads(bucket.get(f"lifetime of expires/{name}")) for name in "abcd"]
    wrong = [0, -1, 200 * 366 * 86400, "1h", True, float("nan")]
    return times + [error(bucket.set, "expires/e", b"", expires=value).partition(":")[0] for value in wrong]


# gives: ["the block", null, "UnicodeEncodeError", null, "old", "LookupError"]
def an_exception_in_the_block_discards_what_was_written():
    try:
        with bucket.open("discarded/a", "wb") as file:
            file.write(bytes(3 * MIB))
            raise ValueError("the block")
    except ValueError as raised:
        first = str(raised)
    try:
        with bucket.open("discarded/b", "w", encoding="ascii") as file:
            file.write("a")
            file.write("ä")
    except UnicodeEncodeError as raised:
        second = type(raised).__name__
    bucket.set("discarded/c", "old")
    try:
        with bucket.open("discarded/c", "w") as file:
            file.write("new")
            raise LookupError
    except LookupError as raised:
        third = type(raised).__name__
    left = [bucket.get(f"discarded/{name}", None) for name in "ab"]
    return [first, left[0], second, left[1], bucket.get("discarded/c").decode(), third]


# gives: ["abc", "ValueError", "ValueError", "ValueError", true]
def a_file_is_closed_once():
    file = bucket.open("closed", "w")
    file.write("abc")
    file.close()
    file.close()
    results = [bucket.get("closed").decode(), error(file.write, "d"), error(file.flush)]
    reader = bucket.open("closed")
    reader.close()
    return [text.partition(":")[0] for text in results + [error(reader.read)]] + [file.closed and reader.closed]


# gives: [0, 1, 4, 9]
def threads():
    def square(number):
        bucket.set(f"threads/{number}", str(number))
        return int(bucket.get(f"threads/{number}")) ** 2

    with ThreadPoolExecutor(4) as pool:
        return list(pool.map(square, range(4)))


# gives: "from a thread"
async def asyncio_threads():
    import asyncio

    await asyncio.to_thread(bucket.set, "asyncio", "from a thread")
    return (await asyncio.to_thread(bucket.get, "asyncio")).decode()


# gives: [1, 2, "1\n2\n"]
def a_generator_writes_while_it_yields():
    def rows():
        with bucket.open("generator", "w") as file:
            for number in (1, 2):
                file.write(f"{number}\n")
                yield number

    return [*rows(), bucket.get("generator").decode()]


# gives: [true, "bue.bucket"]
def it_is_a_module():
    import bue.bucket as module

    return [module is bue.bucket is bucket, module.__name__]
