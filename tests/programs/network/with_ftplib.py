"""`ftplib`, which opens a second connection for each file."""

import ftplib
import io


def connect(at):
    host, port = at["ftp"].rsplit(":", 1)
    client = ftplib.FTP(timeout=60)
    client.connect(host, int(port))
    client.login("step", "secret")
    return client


# gives: [["a.txt"], 300000, true, 300000]
def files_are_stored_and_fetched(at):
    content = bytes(range(250)) * 1200
    with connect(at) as client:
        client.mkd("stored")
        client.cwd("stored")
        client.storbinary("STOR a.txt", io.BytesIO(content))
        fetched = io.BytesIO()
        client.retrbinary("RETR a.txt", fetched.write)
        names = client.nlst()
        client.voidcmd("TYPE I")
        return [names, len(fetched.getvalue()), fetched.getvalue() == content, client.size("a.txt")]


# gives: [["one", "two"], true]
def lines_are_stored_and_fetched(at):
    lines = []
    with connect(at) as client:
        client.mkd("lines")
        client.storlines("STOR lines/a", io.BytesIO(b"one\r\ntwo\r\n"))
        client.retrlines("RETR lines/a", lines.append)
        return [lines, any("a" in line for line in client.mlsd("lines"))]


# gives: ["error_perm", "error_perm", "PermissionError"]
def errors_are_those_of_the_library(at):
    def error_of(work):
        try:
            return work()
        except ftplib.all_errors as error:
            return type(error).__name__

    def wrong_password():
        host, port = at["ftp"].rsplit(":", 1)
        client = ftplib.FTP()
        client.connect(host, int(port))
        client.login("step", "wrong")

    with connect(at) as client:
        missing = error_of(lambda: client.retrbinary("RETR none", print))
    return [missing, error_of(wrong_password), error_of(lambda: ftplib.FTP("127.0.0.9"))]
