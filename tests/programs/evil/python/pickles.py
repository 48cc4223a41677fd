# Pickles that call arbitrary functions. These have no effect here.
# gives: []
import pickle

STREAMS = [
    b"cos\nsystem\n(S'id'\ntR.",
    b"cposix\nsystem\n(S'id'\ntR.",
    b"csubprocess\ncheck_output\n((S'id'\nltR.",
    b"c__builtin__\nopen\n(S'CANARY_PATH'\ntR.",
    b"\x80\x04\x8c\x08builtins\x8c\x04open\x93\x8c\x0b/etc/passwd\x85R.",
    b"\x80\x04\x96\xff\xff\xff\xff\xff\xff\xff\x7f.",
    b"\x80\x04T\xff\xff\xff\x7f.",
    b"(" * 100_000,
    b"\x80\x04" + b"]\x94" * 10 + b"h\xff.",
    b"r\xff\xff\xff\x7f.",
    b"I" + b"9" * 100_000 + b"\n.",
    b"\x80\xff.",
    b".",
    b"",
]


def evil(canary):
    return [f"{stream[:20]}: {given}" for stream in STREAMS if (given := loaded(stream)) is not None]


def loaded(stream):
    try:
        return str(pickle.loads(stream))
    except Exception:
        return None
