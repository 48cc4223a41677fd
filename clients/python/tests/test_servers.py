"""What servers do to clients: tokens, TLS, restarts, other releases, and servers that are none of bue."""

from __future__ import annotations

import contextlib
import http.server
import os
import shutil
import socket
import subprocess
import tempfile
import threading
import unittest
from typing import Any, Iterator, List
from unittest import mock

import bue
from bue import _session

from .support import BUE, DEADLINE, Project, Served, Server, environment, working_directory
from .support import bue as run_bue

STEPS = "def one():\n    return 1\n\ndef fails():\n    raise ValueError('broken')\n"
ONE = "import python (one) steps.py\none()\n"
FAILS = "import python (fails) steps.py\nfails()\n"
FILES = {"steps.py": STEPS, "one.bue": ONE, "fails.bue": FAILS}


class TokenTest(unittest.TestCase):
    def test_a_role_limits_what_a_client_may_do(self) -> None:
        project = Project(FILES)
        self.addCleanup(project.close)
        tokens = {}
        for role in ["admin", "invoker", "viewer"]:
            tokens[role] = run_bue(project.folder, "token", "new", "--role", role).strip()
        path = project.path("bue.tokens")
        served = Served(FILES, ["one.bue", "fails.bue"], {"BUE_TOKENS": path, "BUE_TOKEN": tokens["admin"]})
        self.addCleanup(served.close)

        with self.assertRaises(bue.AccessDenied) as caught:
            list(bue.Hub(served.address).runs())
        self.assertEqual((caught.exception.status, caught.exception.code), (401, "token_missing"))
        with self.assertRaisesRegex(bue.AccessDenied, served.address):
            list(bue.Hub(served.address, "bue_wrong").runs())

        invoker = bue.Hub(served.address, tokens["invoker"])
        run = invoker.invoke("one").wait(DEADLINE)
        self.assertEqual(list(run.results()), [1])
        failed = invoker.invoke("fails").wait(DEADLINE, check=False)
        # it may not list jobs, but its results tell what failed
        self.assertEqual([error.failure.message for error in failed.errors()], ["ValueError: broken"])
        with self.assertRaises(bue.AccessDenied) as caught:
            list(invoker.runs())
        self.assertEqual((caught.exception.status, caught.exception.code), (403, "role"))
        with self.assertRaises(bue.AccessDenied):
            run.cancel()

        admin = bue.Hub(served.address, tokens["admin"])
        [job] = failed.errors()
        self.assertEqual([error.job for error in admin.run(failed.id).errors()], [job.job])
        admin.upload(served.path("one.bue")).wait(DEADLINE)
        with self.assertRaisesRegex(bue.CommandFailed, "role"):
            bue.Hub(served.address, tokens["viewer"]).upload(served.path("one.bue"))

        # the environment, as the program reads it
        with environment(BUE_HUB=served.address, BUE_TOKEN=tokens["viewer"]):
            self.assertGreaterEqual(len(list(bue.Hub().runs())), 3)
        token_file = served.write("token", tokens["admin"] + "\n")
        with environment(BUE_HUB=served.address, BUE_TOKEN_FILE=token_file):
            bue.Hub().upload(served.path("one.bue")).wait(DEADLINE)


class SettingsTest(unittest.TestCase):
    """Settings of `.env` are those of the program."""

    def test_a_trusted_folder_names_hub_and_token(self) -> None:
        project = Project({".env": "BUE_HUB=127.0.0.1:9\nBUE_TOKEN=bue_1\n"})
        self.addCleanup(project.close)
        state = tempfile.mkdtemp(prefix="bue-state-")
        self.addCleanup(shutil.rmtree, state, True)
        with working_directory(project.folder), environment(BUE_STATE_DIR=state):
            with self.assertWarnsRegex(UserWarning, "ignored BUE_HUB, BUE_TOKEN in .env"):
                self.assertEqual(repr(bue.Hub()), "<bue.Hub http://127.0.0.1:65432>")
            run_bue(project.folder, "trust")
            hub = bue.Hub()
            self.assertEqual(repr(hub), "<bue.Hub http://127.0.0.1:9>")
            self.assertEqual(hub._session.settings.token, "bue_1")
            # the token is for the hub that the folder names
            self.assertIsNone(bue.Hub("127.0.0.1:8")._session.settings.token)
            with environment(BUE_HUB="127.0.0.1:7"), self.assertRaisesRegex(bue.CommandFailed, "refused to send the token"):
                bue.Hub()
            with environment(BUE_HUB="127.0.0.1:7", BUE_TOKEN="bue_2"):
                self.assertEqual(bue.Hub()._session.settings.token, "bue_2")


class TlsTest(unittest.TestCase):
    def setUp(self) -> None:
        self.project = Project(FILES)
        self.addCleanup(self.project.close)
        if shutil.which("openssl") is None:
            self.fail("this test makes certificates with openssl; install it (Debian: openssl)")
        self.openssl("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", "ca.key", "-out", "ca.pem", "-subj", "/CN=ca")
        self.certificate("server", "subjectAltName=IP:127.0.0.1")
        self.certificate("client", "extendedKeyUsage=clientAuth")

    def openssl(self, *arguments: str) -> None:
        output = subprocess.run(
            ["openssl", *arguments],
            cwd=self.project.folder,
            capture_output=True,
            text=True,
            timeout=DEADLINE,
            check=False,
        )
        self.assertEqual(output.returncode, 0, output.stderr)

    def certificate(self, name: str, extension: str) -> None:
        self.project.write(f"{name}.cnf", f"basicConstraints=critical,CA:FALSE\n{extension}\n")
        request = [
            "-newkey",
            "rsa:2048",
            "-nodes",
            "-keyout",
            f"{name}.key",
            "-out",
            f"{name}.csr",
            "-subj",
            f"/CN={name}",
        ]
        self.openssl("req", *request)
        authority = ["-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-extfile", f"{name}.cnf"]
        self.openssl("x509", "-req", "-in", f"{name}.csr", "-out", f"{name}.pem", "-days", "2", *authority)

    def start(self, *arguments: str) -> str:
        tls = ["--tls-cert", "server.pem", "--tls-key", "server.key"]
        server = Server(self.project.folder, *arguments, "-b", "127.0.0.1:0", *tls)
        self.addCleanup(server.stop)
        return server.wait_for(r"listens on (?:https://)?([\d.:]+)")

    def test_certificates_are_verified_and_sent(self) -> None:
        path = self.project.path
        bucket = self.start("bucket", "--tls-client-ca", "ca.pem")
        client_flags = ["--ca", "ca.pem", "--client-cert", "client.pem", "--client-key", "client.key"]
        address = self.start("hub", "-k", f"https://{bucket}", "--tls-client-ca", "ca.pem")
        identity: Any = {"client_cert": path("client.pem"), "client_key": path("client.key")}
        hub = bue.Hub(f"https://{address}", ca=path("ca.pem"), **identity)
        self.assertEqual(hub.info().version, bue.__version__)
        hub.bucket.set("key", b"x" * 100_000)
        with hub.bucket.open("key") as file:
            self.assertEqual(len(file.read()), 100_000)
        worker = Server(self.project.folder, "worker", "-b", f"https://{address}", *client_flags)
        self.addCleanup(worker.stop)
        self.assertEqual(list(hub.upload(path("one.bue")).wait(DEADLINE).results()), [1])

        with environment(BUE_SERVER_CA=path("ca.pem"), BUE_CLIENT_CERT=path("client.pem"), BUE_CLIENT_KEY=path("client.key")):
            self.assertEqual(len(list(bue.Hub(f"https://{address}").runs())), 1)
        with self.assertRaisesRegex(bue.TlsError, "client_cert"):
            bue.Hub(f"https://{address}", ca=path("ca.pem")).info()
        with self.assertRaisesRegex(bue.TlsError, "BUE_SERVER_CA"):
            bue.Hub(f"https://{address}", **identity).info()
        with self.assertRaisesRegex(bue.TlsError, "localhost"):
            bue.Hub(f"https://localhost:{address.split(':')[1]}", ca=path("ca.pem"), **identity).info()
        with self.assertRaisesRegex(bue.BueError, "https"):
            bue.Hub(address).info()
        with self.assertRaisesRegex(bue.TlsError, "PEM"):
            bue.Hub(f"https://{address}", ca=path("steps.py")).info()

    def test_a_server_without_tls_is_reported(self) -> None:
        hub = Server(self.project.folder, "hub", "-b", "127.0.0.1:0")
        self.addCleanup(hub.stop)
        address = hub.wait_for(r"listens on ([\d.:]+)")
        with self.assertRaisesRegex(bue.TlsError, f"http://{address}"):
            bue.Hub(f"https://{address}", ca=self.project.path("ca.pem")).info()


class RestartTest(unittest.TestCase):
    def test_a_wait_survives_the_restart_of_the_hub(self) -> None:
        project = Project(FILES)
        self.addCleanup(project.close)
        bucket = Server(project.folder, "bucket", "-b", "127.0.0.1:0")
        self.addCleanup(bucket.stop)
        bucket_address = bucket.wait_for(r"listens on ([\d.:]+)")
        hub = Server(project.folder, "hub", "-b", "127.0.0.1:0", "-k", bucket_address)
        address = hub.wait_for(r"listens on ([\d.:]+)")
        client = bue.Hub(f"127.0.0.1:9,{address}", timeout=DEADLINE)
        run = client.upload(project.path("one.bue"))
        self.assertEqual(run.status().state, "running")
        results: List[int] = []
        thread = threading.Thread(target=lambda: results.extend(run.wait(DEADLINE).results()))
        thread.start()
        hub.kill()
        hub = Server(project.folder, "hub", "-b", address, "-k", bucket_address)
        self.addCleanup(hub.stop)
        hub.wait_for("listens on")
        worker = Server(project.folder, "worker", "-b", address)
        self.addCleanup(worker.stop)
        thread.join(DEADLINE)
        self.assertEqual(results, [1])


class ReleaseTest(unittest.TestCase):
    def setUp(self) -> None:
        self.served = Served(FILES, ["one.bue"])
        self.addCleanup(self.served.close)
        self.hub = bue.Hub(self.served.address)

    def test_the_error_says_which_side_is_older(self) -> None:
        for version, advice in [("0.0.9", "this package is older"), ("99.0.0", "the hub is older")]:
            with mock.patch.object(_session, "__version__", version):
                # a route that the hub does not have
                with self.assertRaises(bue.VersionMismatch) as caught:
                    self.hub._session.get(bue.HubInfo, "/v1/unknown")
                for text in [advice, version, f"pip install bue=={bue.__version__}", self.served.address]:
                    self.assertIn(text, str(caught.exception))
                # an answer of another form
                with self.assertRaisesRegex(bue.VersionMismatch, advice):
                    self.hub._session.get(bue.Pipeline, "/v1/info")
        with self.assertRaises(bue.UnexpectedServer):
            self.hub._session.get(bue.HubInfo, "/v1/unknown")

    def test_package_and_program_are_of_one_release(self) -> None:
        self.assertEqual(run_bue(self.served.folder, "--version").split()[1], bue.__version__)

    def test_a_bucket_is_no_hub(self) -> None:
        with self.assertRaisesRegex(bue.UnexpectedServer, "is no hub"):
            list(bue.Hub(self.served.bucket_address).runs())


class ForeignServer(http.server.BaseHTTPRequestHandler):
    """A server that is not of bue: it answers every request with its `answer`."""

    answer = (200, "text/html", b"<html>")

    def do_GET(self) -> None:
        status, content_type, body = self.answer
        self.send_response(status)
        self.send_header("content-type", content_type)
        self.send_header("content-length", str(len(body) + (1000 if status == 201 else 0)))
        self.end_headers()
        self.wfile.write(body)
        self.close_connection = True

    def log_message(self, format: str, *args: object) -> None:
        pass


@contextlib.contextmanager
def foreign_server(status: int, content_type: str, body: bytes) -> Iterator[str]:
    handler = type("Handler", (ForeignServer,), {"answer": (status, content_type, body)})
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        thread.join(DEADLINE)
        server.server_close()


class ForeignTest(unittest.TestCase):
    def test_answers_that_are_not_of_a_hub_are_errors(self) -> None:
        answers = [(200, "text/html", b"<html>"), (404, "text/html", b"no"), (200, "application/json", b"[]")]
        answers += [(500, "application/json", b'{"error":"x"}'), (200, "application/json", b'{"version":7}')]
        answers += [(200, "application/json", b'{"version":"rm -rf"}')]
        for status, content_type, body in answers:
            with self.subTest(body=body), foreign_server(status, content_type, body) as address:
                with self.assertRaisesRegex(bue.UnexpectedServer, address):
                    bue.Hub(address).info()

    def test_an_answer_that_is_cut_off_is_an_error(self) -> None:
        with foreign_server(201, "application/json", b"{}") as address:
            with self.assertRaises(bue.ConnectionBroken):
                bue.Hub(address).info()

    def test_an_answer_that_does_not_come_is_an_error(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as silent:
            address = f"127.0.0.1:{silent.getsockname()[1]}"
            with self.assertRaisesRegex(bue.RequestTimedOut, address):
                bue.Hub(address, timeout=0.2).info()

    def test_no_server_is_an_error_that_says_where(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as server:
            address = f"127.0.0.1:{server.getsockname()[1]}"
        with self.assertRaisesRegex(bue.HubUnreachable, address) as caught:
            bue.Hub(address).info()
        self.assertIsInstance(caught.exception, ConnectionError)
        with environment(BUE_HUB=""), mock.patch("bue._settings._DEFAULT_HUB_PORT", address.split(":")[1]):
            with self.assertRaisesRegex(bue.HubUnreachable, "BUE_HUB"):
                bue.Hub().info()


class BinaryTest(unittest.TestCase):
    def test_the_program_is_found_or_its_place_is_named(self) -> None:
        self.assertEqual(bue.find_bue(), BUE)
        with environment(BUE_BIN="/nowhere/bue"), self.assertRaisesRegex(bue.BinaryNotFound, "/nowhere/bue"):
            bue.find_bue()
        project = Project({"bue": "#!/bin/sh\necho Buelon 1.0.78\n"})
        self.addCleanup(project.close)
        os.chmod(project.path("bue"), 0o755)
        with environment(BUE_BIN=project.path("bue")), self.assertRaisesRegex(bue.BinaryNotFound, "Buelon"):
            bue.find_bue()
        os.mkdir(project.path("bin"))
        os.symlink(BUE, project.path("bin/bue"))
        with environment(BUE_BIN="", PATH=project.path("bin")), mock.patch("bue._binary._script_folders", list):
            self.assertEqual(bue.find_bue(), project.path("bin/bue"))
        with environment(BUE_BIN="", PATH="/nowhere"):
            with mock.patch("bue._binary._script_folders", lambda: [project.path("bin")]):
                self.assertEqual(bue.find_bue(), project.path("bin/bue"))
        with environment(BUE_BIN="", PATH="/nowhere"), mock.patch("bue._binary._script_folders", list):
            with self.assertRaisesRegex(bue.BinaryNotFound, "BUE_BIN"):
                bue.find_bue()


if __name__ == "__main__":
    unittest.main()
