"""Files of a step: a private `/tmp`, and what is there to be read."""

import csv
import os
import pathlib
import shutil
import tempfile
import zipfile
import zoneinfo
from datetime import datetime, timedelta


# gives: [[["1", "2"], ["3", "ä"]], 10, ["x.csv"]]
def a_file_is_written_and_read():
    with open("/tmp/x.csv", "w", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows([[1, 2], [3, "ä"]])
    with open("/tmp/x.csv") as file:
        return [list(csv.reader(file)), os.path.getsize("/tmp/x.csv"), os.listdir("/tmp")]


# gives: [[], false]
def no_step_sees_the_files_of_another_one():
    return [os.listdir("/tmp"), os.path.exists("/tmp/x.csv")]


# gives: ["b'56789'", "b'01234xyz8'", "b'01234xyz8END'", 12, 9]
def a_file_is_changed_in_the_middle_and_at_its_end():
    path = "/tmp/m"
    pathlib.Path(path).write_bytes(b"0123456789")
    with open(path, "r+b") as file:
        file.seek(5)
        rest = file.read()
        file.seek(5)
        file.write(b"xyz")
        file.truncate(9)
    middle = pathlib.Path(path).read_bytes()
    with open(path, "ab") as file:
        file.write(b"END")
        position = file.tell()
    with open(path, "rb") as file:
        file.seek(-3, os.SEEK_END)
        return [repr(rest), repr(middle), repr(pathlib.Path(path).read_bytes()), position, file.tell()]


# gives: ["b'a\\x00\\x00b'", "b'a\\x00'"]
def what_is_between_is_zeros():
    with open("/tmp/hole", "w+b") as file:
        file.write(b"a")
        file.seek(3)
        file.write(b"b")
        file.flush()
        whole = pathlib.Path("/tmp/hole").read_bytes()
        file.truncate(2)
    return [repr(whole), repr(pathlib.Path("/tmp/hole").read_bytes())]


# gives: ["b'cba'", true, 3000, false]
def temporary_files_are_gone_when_they_are_closed():
    with tempfile.NamedTemporaryFile(suffix=".bin") as file:
        file.write(b"cba" * 1000)
        file.flush()
        file.seek(3)
        found = [repr(file.read(3)), file.name.startswith("/tmp/"), os.path.getsize(file.name)]
    with tempfile.TemporaryFile() as file:
        file.write(b"x")
    return found + [os.path.exists(file.name) if isinstance(file.name, str) else False]


# gives: [["a", "a/b", "a/b/c.txt"], ["a", "copy", "e.txt"], "hello", []]
def folders_are_made_walked_copied_and_removed():
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        inner = folder / "a" / "b"
        inner.mkdir(parents=True)
        (inner / "c.txt").write_text("hello")
        found = sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))
        shutil.copy(inner / "c.txt", inner / "d.txt")
        shutil.move(inner / "d.txt", folder / "e.txt")
        shutil.copytree(inner, folder / "copy")
        names, text = sorted(os.listdir(folder)), (folder / "copy" / "c.txt").read_text()
    return [found, names, text, os.listdir("/tmp")]


# gives: [["a/b.txt"], "hihi"]
def archives_are_written_and_unpacked():
    with zipfile.ZipFile("/tmp/a.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a/b.txt", "hi" * 2)
    with zipfile.ZipFile("/tmp/a.zip") as archive:
        archive.extractall("/tmp/out")
        return [archive.namelist(), pathlib.Path("/tmp/out/a/b.txt").read_text()]


# gives: [false, 2, "b'data'", ["o"], []]
def names_are_moved_added_and_removed():
    pathlib.Path("/tmp/m").write_bytes(b"data")
    os.rename("/tmp/m", "/tmp/n")
    is_there = os.path.exists("/tmp/m")
    os.link("/tmp/n", "/tmp/o")
    links = os.stat("/tmp/o").st_nlink
    os.remove("/tmp/n")
    names = os.listdir("/tmp")
    with open("/tmp/o", "rb") as file:
        os.remove("/tmp/o")
        # a file that is open can be read without a name
        return [is_there, links, repr(file.read()), names, os.listdir("/tmp")]


# gives: ["FileExistsError", "IsADirectoryError", "FileNotFoundError", "NotADirectoryError", "OSError", "OSError", "OSError", "UnsupportedOperation", "FileNotFoundError"]
def mistakes_are_the_usual_errors():
    open("/tmp/x", "x").close()
    os.makedirs("/tmp/full/inner")
    calls = (
        lambda: open("/tmp/x", "x"),
        lambda: open("/tmp"),
        lambda: open("/tmp/none"),
        lambda: open("/tmp/x/y", "w"),
        lambda: os.rmdir("/tmp/full"),
        lambda: os.rename("/tmp/full", "/tmp/full/inner/x"),
        lambda: os.rmdir("/tmp"),
        lambda: open("/tmp/x").write("y"),
        lambda: open("/etc/passwd"),
    )
    return [_error(call) for call in calls]


def _error(call):
    try:
        call()
    except Exception as error:
        return type(error).__name__
    return "none"


# gives: ["[Errno 69] Read-only file system", "[Errno 69] Read-only file system", "[Errno 69] Read-only file system", "/"]
def nothing_but_tmp_can_be_changed():
    texts = []
    for call in (lambda: open("out.csv", "w"), lambda: os.mkdir("/x"), lambda: os.remove("/usr/share/zoneinfo/UTC")):
        try:
            call()
        except OSError as error:
            texts.append(str(error).partition(" (")[0])
    return texts + [os.getcwd()]


# fails: raised: OSError: [Errno 69] Read-only file system (os error 69): 'out.csv'. A step can write to `/tmp`, whose files are…
def writing_elsewhere_says_where_to_write():
    open("out.csv", "w")


# fails: raised: FileNotFoundError: [Errno 44] No such file or directory (os error 44): '/etc/passwd'. A step sees the files that are packed with it…
def a_file_of_the_machine_is_not_there():
    return open("/etc/passwd").read()


# gives: [1000000, true]
def a_megabyte_is_written_in_parts_and_read():
    with open("/tmp/big", "wb") as file:
        for _ in range(100):
            file.write(b"x" * 10_000)
    data = pathlib.Path("/tmp/big").read_bytes()
    return [len(data), data == b"x" * 1_000_000]


# fails: limit: *
def files_count_as_memory():
    with open("/tmp/huge", "wb") as file:
        for _ in range(100):
            file.write(bytes(10_000_000))


# gives: ["OSError", "OSError"]
def there_is_an_end_to_lengths_and_descriptors():
    def open_many():
        files = [open("/tmp/x", "w") for _ in range(2000)]
        return len(files)

    with open("/tmp/y", "wb") as file:
        return [_error(open_many), _error(lambda: file.truncate(10**12))]


# gives: [true, "2026-03-29T03:30:00+02:00", "2026-03-29T01:30:00+01:00", "CET", true]
def time_zones_are_known():
    berlin = zoneinfo.ZoneInfo("Europe/Berlin")
    before = datetime(2026, 3, 29, 1, 30, tzinfo=berlin)
    after = (before.astimezone(zoneinfo.ZoneInfo("UTC")) + timedelta(hours=1)).astimezone(berlin)
    names = zoneinfo.available_timezones()
    return [len(names) > 400, after.isoformat(), before.isoformat(), before.tzname(), "America/Argentina/Salta" in names]


# gives: ["/tmp", "/tmp/.config", "/home/me/x", "~other/x"]
def the_home_directory_is_tmp():
    import os
    from pathlib import Path

    names = [str(Path.home()), os.path.expanduser("~/.config")]
    os.environ["HOME"] = "/home/me"
    return [*names, os.path.expanduser("~/x"), os.path.expanduser("~other/x")]
