# Requests more random bytes than one host call returns: they arrive, and they are random.
# gives: 300000
import os
import random
import secrets


def evil(canary):
    drawn = os.urandom(100_000) + secrets.token_bytes(100_000) + random.SystemRandom().randbytes(100_000)
    assert len(set(drawn[start : start + 64] for start in range(0, len(drawn), 64))) == len(drawn) // 64 + bool(len(drawn) % 64)
    return len(drawn)
