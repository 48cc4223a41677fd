"""Runs modules of CPython's own tests in a step, and prints a line when a test begins and one when it has ended.

    @@ begins NAME
    @@ passed NAME, @@ failed NAME: WHY, @@ skipped NAME: WHY

A step that breaks off in the middle has said how far it came, and another one goes on behind that test.
"""

import asyncio
import builtins
import contextlib
import functools
import gc
import hashlib
import os
import sys
import types
import unittest
import warnings

_MOST_WHY = 300
# Of the tests of asyncio those are run that need no socket and no file, which the package itself does not tell apart.
_ASYNCIO = "test.test_asyncio"
_SQLITE3 = "test.test_sqlite3"


def run(modules, done):
    """Runs what these modules hold, but for the tests that are done."""
    from test import support
    from test.support import import_helper

    # the standard library of the guest is frozen, all of it
    import_helper.frozen_modules = lambda enabled=True: contextlib.nullcontext()
    # the modules of a package are named one by one: there is no folder to look into
    support.load_package_tests = lambda folder, loader, tests, pattern: tests
    os.listdir = lambda folder=".": []
    if modules[0].startswith(_ASYNCIO):
        support.has_socket_support = True
        os.path.isfile = lambda path: True
        asyncio.DefaultEventLoopPolicy.get_child_watcher = without_watcher
    if modules[0].startswith(_SQLITE3):
        import sqlite3

        # removed in 3.14; the package of the tests prints it
        sqlite3.version = "2.6.0"
        # limits of C, which the tests ask CPython for
        sys.modules["_testcapi"] = types.SimpleNamespace(INT_MAX=2**31 - 1, ULLONG_MAX=2**64 - 1)
    # there is one implementation of each hash, and it is not asked for by the name of its module
    setattr(hashlib, "__get_builtin_constructor", functools.partial(getattr, hashlib))
    # modules had one in 3.11
    builtins.__annotations__ = {}
    import_helper.import_fresh_module = functools.partial(fresh, load=import_helper.import_fresh_module)
    warnings.simplefilter("ignore")
    result = Told(sys.stdout, frozenset(done))
    for module in modules:
        try:
            result.run(unittest.TestLoader().loadTestsFromName(module))
        except unittest.SkipTest as reason:
            result.say("skipped", module, reason)
        gc.collect()


def fresh(name, fresh=(), blocked=(), load=None, **options):
    """Without `_typing` there is no `typing` here, so that it is not taken away."""
    return load(name, fresh, [other for other in blocked if other != "_typing"], **options)


def without_watcher(policy):
    raise NotImplementedError


class Told(unittest.TestResult):
    """Prints what becomes of each test: the worst, if it has parts."""

    def __init__(self, stream, done):
        super().__init__()
        self._stream = stream
        self._done = done
        self._worst = None

    def run(self, suite):
        without(suite, self._done)
        suite.run(self)

    def startTest(self, test):
        super().startTest(test)
        self._worst = None
        self._stream.write(f"\n@@ begins {test.id()}\n")

    def stopTest(self, test):
        super().stopTest(test)
        if isinstance(sys.exception(), KeyboardInterrupt):
            # it ends the step, and another one goes on
            self._worst = ("failed", test.id(), "KeyboardInterrupt")
        self.say(*(self._worst or ("passed", test.id())))

    def addFailure(self, test, error):
        self._fail(test, error)

    def addError(self, test, error):
        self._fail(test, error)
        if not isinstance(test, unittest.TestCase):
            # a class or module that could not be set up: nothing of it begins
            self.say(*self._worst)

    def addSubTest(self, test, subtest, error):
        if error is not None:
            self._fail(test, error)

    def addSkip(self, test, reason):
        if isinstance(test, unittest.TestCase):
            self._worst = self._worst or ("skipped", test.id(), reason)
        else:
            self.say("skipped", test.id(), reason)

    def addExpectedFailure(self, test, error):
        pass

    def addUnexpectedSuccess(self, test):
        self._worst = ("failed", test.id(), "it passes, and CPython expects it to fail")

    def _fail(self, test, error):
        if self._worst is None or self._worst[0] != "failed":
            self._worst = ("failed", test.id(), f"{error[0].__name__}: {text(error[1])}")

    def say(self, word, name, why=None):
        # the end of an error says more than its beginning
        why = "" if why is None else ": " + " ".join(str(why).split())[-_MOST_WHY:]
        self._stream.write(f"\n@@ {word} {name}{why}\n")


def text(error):
    try:
        return str(error)
    except Exception:
        return "<no text>"


def without(suite, done):
    """Takes tests out of a suite."""
    for index, test in enumerate(suite._tests):
        if isinstance(test, unittest.TestSuite):
            without(test, done)
        elif test is not None and test.id() in done:
            suite._tests[index] = unittest.TestSuite()
