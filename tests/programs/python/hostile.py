"""Values that misbehave while they are encoded."""

import sys
import uuid


class Thief(uuid.UUID):
    @property
    def int(self):
        LIST.clear()
        return 5


LIST = []


# fails: bad_result: result changed while it was read
def a_list_that_shrinks_while_it_is_read():
    LIST.extend([Thief.__new__(Thief), 1, 2])
    return LIST


class Feeder(uuid.UUID):
    @property
    def int(self):
        MAP[len(MAP)] = 1
        return 5


MAP = {}


# fails: bad_result: result changed while it was read
def a_map_that_grows_while_it_is_read():
    MAP["a"] = Feeder.__new__(Feeder)
    return MAP


class Liar(uuid.UUID):
    @property
    def int(self):
        return "five"


# fails: bad_result: result[0] is an instance of hostile.Liar, which cannot travel between steps; …
def a_uuid_that_is_none():
    return [Liar.__new__(Liar)]


class Thrower(uuid.UUID):
    @property
    def int(self):
        raise ValueError("not today")


# fails: raised: ValueError: not today
def a_uuid_that_raises():
    return [Thrower.__new__(Thrower)]


class Mask:
    def __repr__(self):
        raise ValueError("no repr")

    def __getattr__(self, name):
        raise RuntimeError(name)

    __class__ = property(lambda self: int)


# fails: bad_result: result[0] is an instance of hostile.Mask, which cannot travel between steps; …
def a_value_that_lies_about_itself():
    return [Mask()]


# fails: bad_result: …
def a_key_that_cannot_be_shown():
    return {Mask(): 1}


class Key:
    def __hash__(self):
        return 1

    def __eq__(self, other):
        raise ValueError("no comparing")


# gives: 1
def keys_that_cannot_be_compared():
    return len({Key(): 1})


# gives: 1
def closing_the_streams():
    sys.stdout.close()
    sys.stderr.close()
    return 1


class Stream:
    def __getattr__(self, name):
        raise SystemExit(name)


# gives: 2
def replacing_the_streams():
    sys.stdout = sys.stderr = Stream()
    return 2


# gives: 3
def deleting_the_streams():
    del sys.stdout, sys.stderr
    return 3


# fails: raised: ValueError: reported anyway
def breaking_the_traceback_module():
    import linecache
    import traceback

    traceback.StackSummary = linecache.getline = None
    raise ValueError("reported anyway")


# gives: 4
def emptying_sys_modules():
    sys.modules.clear()
    return 4


# fails: raised: ValueError: alone…
def raising_without_modules():
    sys.modules.clear()
    raise ValueError("alone")
