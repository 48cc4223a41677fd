"""Parameters to JSON, stored values to Python, addresses: what needs no server."""

from __future__ import annotations

import datetime
import decimal
import random
import unittest
import uuid
from typing import Any

import bue
from bue import _pages, _settings, _values
from bue._views import RunCounts, ViewError, from_json

UTC = datetime.timezone.utc


def decoded(hexadecimal: str) -> Any:
    return _values.decode(bytes.fromhex(hexadecimal.replace(" ", "")))


class ParamsTest(unittest.TestCase):
    def test_what_json_has_is_passed_on(self) -> None:
        id = uuid.UUID(int=7)
        given = {"a": [1, 2.5, "é", None, True], "day": datetime.date(2026, 11, 1), "id": id, "n": 2**70, "t": (1, 2)}
        given["at"] = datetime.datetime(2026, 11, 1, 6, tzinfo=UTC)
        expected = {"a": [1, 2.5, "é", None, True], "day": "2026-11-01", "id": str(id), "n": 2**70, "t": [1, 2]}
        expected["at"] = "2026-11-01T06:00:00+00:00"
        self.assertEqual(_values.params_to_json(given), expected)

    def test_what_json_cannot_represent_is_an_error_that_names_its_place(self) -> None:
        cases = [
            (float("nan"), "nan"),
            (float("inf"), "inf"),
            (decimal.Decimal("1.5"), "str(value)"),
            (b"x", "bucket"),
            ({1}, "sorted(value)"),
            ({1: 2}, "keys in JSON are texts"),
            (object(), "object"),
        ]
        for value, text in cases:
            with self.subTest(value=value), self.assertRaises(bue.UnsupportedValue) as caught:
                _values.params_to_json({"p": {"q": [value]}})
            self.assertIn("p.q[0]", str(caught.exception))
            self.assertIn(text, str(caught.exception))

    def test_depth_is_bounded(self) -> None:
        value: Any = None
        for _ in range(200):
            value = [value]
        with self.assertRaises(bue.UnsupportedValue):
            _values.params_to_json({"p": value})


class DecodeTest(unittest.TestCase):
    def test_every_kind_of_value(self) -> None:
        cases = [
            ("f6", None),
            ("f5", True),
            ("00", 0),
            ("3903e7", -1000),
            ("1b ffffffffffffffff", 2**64 - 1),
            ("c2 49 010000000000000000", 2**64),
            ("c3 49 010000000000000000", -(2**64) - 1),
            ("f93e00", 1.5),
            ("fa3fc00000", 1.5),
            ("fb3ff8000000000000", 1.5),
            ("62c3a9", "é"),
            ("7f 61 61 61 62 ff", "ab"),
            ("4200ff", b"\x00\xff"),
            ("83010203", [1, 2, 3]),
            ("9f0102ff", [1, 2]),
            ("a2 01 61 61 61 62 02", {1: "a", "b": 2}),
            ("bf 61 61 01 ff", {"a": 1}),
            ("d9 0102 82 01 02", {1, 2}),
            ("da 00627565 82 01 02", (1, 2)),
            ("a1 da 00627565 82 01 02 03", {(1, 2): 3}),
            ("c4 82 21 18 96", decimal.Decimal("1.50")),
            ("d8 25 50 00000000000000000000000000000007", uuid.UUID(int=7)),
            ("d9 d9f7 01", 1),
        ]
        for hexadecimal, value in cases:
            with self.subTest(hexadecimal=hexadecimal):
                self.assertEqual(decoded(hexadecimal), value)
                self.assertIs(type(decoded(hexadecimal)), type(value))

    def tagged(self, tag: int, text: str) -> Any:
        head = (b"\xc0" if tag == 0 else b"\xda" + tag.to_bytes(4, "big")) + b"\x78" + bytes([len(text)])
        return _values.decode(head + text.encode())

    def test_dates_and_times(self) -> None:
        east = datetime.timezone(datetime.timedelta(hours=5, minutes=30))
        self.assertEqual(self.tagged(1004, "2026-11-01"), datetime.date(2026, 11, 1))
        self.assertEqual(self.tagged(0x627567, "12:30:00.25"), datetime.time(12, 30, 0, 250_000))
        self.assertEqual(self.tagged(0x627567, "12:30:00+05:30"), datetime.time(12, 30, tzinfo=east))
        self.assertEqual(self.tagged(0x627566, "2026-11-01T06:00:00"), datetime.datetime(2026, 11, 1, 6))
        self.assertEqual(self.tagged(0, "2026-11-01T06:00:00Z"), datetime.datetime(2026, 11, 1, 6, tzinfo=UTC))
        west = datetime.timezone(-datetime.timedelta(hours=3, seconds=30))
        exact = datetime.datetime(2026, 11, 1, 6, 0, 1, 123456, tzinfo=west)
        self.assertEqual(self.tagged(0, exact.isoformat()), exact)

    def test_what_python_cannot_represent_is_an_error(self) -> None:
        dates = [(1004, "0000-01-01"), (1004, "12026-01-01"), (0, "2026-11-01T06:00:60Z"), (0, "2026-02-30T06:00:00Z")]
        dates += [(0x627567, "12:30:00.123456789"), (0x627566, "infinity"), (0x627567, "25:00:00"), (0, "")]
        for tag, text in dates:
            with self.subTest(text=text), self.assertRaises(bue.UnsupportedValue):
                self.tagged(tag, text)
        for hexadecimal in ["a2 01 01 f5 02", "a1 8101 01", "d90102 81 8101", "c4 82 1b 7fffffffffffffff 01"]:
            with self.subTest(hexadecimal=hexadecimal), self.assertRaises(bue.UnsupportedValue):
                decoded(hexadecimal)

    def test_damaged_bytes_are_an_error(self) -> None:
        damaged = ["", "18", "62c3", "61ff", "8201", "9f01", "a101", "0001", "1c", "ff", "f7f7", "c2 01", "d825 4100"]
        damaged += ["9b 7fffffffffffffff", "5b 7fffffffffffffff", "7f 41 61 ff", "c4 8101", "f8 63", "81" * 300 + "00"]
        for hexadecimal in damaged:
            with self.subTest(hexadecimal=hexadecimal), self.assertRaises(bue.CorruptValue):
                decoded(hexadecimal)

    def test_any_bytes_end_in_a_value_or_an_error(self) -> None:
        source = random.Random(1)
        for _ in range(20_000):
            data = bytes(source.randrange(256) for _ in range(source.randrange(24)))
            try:
                _values.decode(data)
            except (bue.CorruptValue, bue.UnsupportedValue):
                pass


class ViewTest(unittest.TestCase):
    def test_a_field_that_is_missing_or_of_another_type_is_an_error(self) -> None:
        counts = {"running": 1, "completed": 2, "failed": 3, "cancelled": 4}
        self.assertEqual(from_json(RunCounts, {**counts, "new": "x"}), RunCounts(1, 2, 3, 4))
        wrongs: Any = [None, [], {"running": 1}, {**counts, "failed": "3"}, {**counts, "failed": True}]
        for wrong in wrongs:
            with self.subTest(wrong=wrong), self.assertRaises(ViewError):
                from_json(RunCounts, wrong)


class PageTest(unittest.TestCase):
    def test_a_page_of_another_form_is_an_error(self) -> None:
        call = {"line": 1, "name": None, "used": False, "first_round": 0, "value": {"cbor": "AQ=="}}
        page = {"results": [call], "failed": [], "next": None}
        self.assertEqual(_pages.read_page(page).calls[0].value, _pages.Inline(b"\x01"))
        values: Any = [None, 1, {}, {"cbor": "é"}, {"cbor": 1}, {"none": "lost"}, {"rounds": [1]}, {"blob": {"hash": "x"}}]
        values += [{"pieces": [{"count": -1, "value": {"cbor": ""}}]}, {"pieces": [{"count": 1, "value": {"pieces": []}}]}]
        for value in values:
            with self.subTest(value=value), self.assertRaises(ViewError):
                _pages.read_page({**page, "results": [{**call, "value": value}]})
        for name in [*call, *page]:
            with self.subTest(name=name), self.assertRaises(ViewError):
                wrong = {**page, "results": [{**call, name: ()}]} if name in call else {**page, name: ()}
                _pages.read_page(wrong)


class SettingsTest(unittest.TestCase):
    def load(self, url: Any = None, token: Any = None, **variables: str) -> _settings.Settings:
        return _settings.load(url, token, None, None, None, None, variables)

    def test_arguments_come_before_the_environment(self) -> None:
        self.assertEqual([hub.url for hub in self.load("a:1", BUE_HUB="b:2").hubs], ["http://a:1"])
        self.assertEqual(self.load(token="x", BUE_TOKEN="y").token, "x")
        self.assertEqual(self.load(token="", BUE_TOKEN="y").token, None)

    def test_the_variables_of_the_program_are_read(self) -> None:
        hubs = self.load(BUE_HUB="https://a:1, [::1]:2").hubs
        self.assertEqual([(hub.host, hub.port, hub.tls) for hub in hubs], [("a", 1, True), ("::1", 2, False)])
        self.assertEqual(self.load(PIPE_WORKER_HOST="h").hubs[0].url, "http://h:65432")
        self.assertEqual(self.load(PIPE_WORKER_PORT="7").hubs[0].url, "http://127.0.0.1:7")
        settings = self.load(BUE_TOKEN="", BUE_HUB="")
        self.assertEqual((settings.hubs[0].url, settings.token, settings.is_default), ("http://127.0.0.1:65432", None, True))
        self.assertEqual(self.load(BUCKET_CLIENT_HOST="b").bucket, _settings.Address("b", 61535, False))

    def test_invalid_settings_are_errors_that_say_what_to_write(self) -> None:
        for url in [
            "",
            "localhost",
            "a:b:1",
            "a:0",
            "a:99999",
            "ftp://a:1",
            "a b:1",
            "http://a:1/x",
            "u@a:1",
            "[::1:2",
            "a:１",
        ]:
            if url:
                with self.subTest(url=url), self.assertRaisesRegex(bue.InvalidSetting, "host:port"):
                    self.load(url)
        with self.assertRaises(bue.InvalidSetting):
            self.load(token="two words")
        with self.assertRaisesRegex(bue.InvalidSetting, "BUE_TOKEN_FILE"):
            self.load(BUE_TOKEN_FILE="/nowhere/token")
        with self.assertRaisesRegex(bue.InvalidSetting, "client_key"):
            self.load(BUE_CLIENT_CERT="c.pem")

    def test_the_token_is_never_shown(self) -> None:
        self.assertNotIn("secret-token", repr(self.load("a:1", "secret-token")))


if __name__ == "__main__":
    unittest.main()
