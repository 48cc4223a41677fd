# Bytecode that no compiler generates, executed a few thousand times in different forms. The interpreter refuses it or traps, and
# nothing else is affected.
# fails: …
import types


def evil(canary):
    code = evil.__code__
    for seed in range(1, 3000):
        bytecode = bytes((seed * 31 + place * 7 + place * place * seed) % 256 for place in range(64))
        try:
            types.FunctionType(code.replace(co_code=bytecode), {})(canary)
        except Exception:
            pass
    raise ValueError("nothing happened")
