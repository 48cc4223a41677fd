# Source with a hundred thousand nested brackets, operators, lambdas and statements.
# fails: limit: The step went over its stack limit of 3 MiB: it calls itself too deeply; use a loop
import ast


def evil(canary):
    sources = [
        "(" * 100_000, "[" * 5000 + "]" * 5000, "-" * 100_000 + "1", "1" + "+1" * 100_000, "lambda: " * 10_000 + "1",
        "x" + ".x" * 100_000, "not " * 50_000 + "1", "f'" + "{f'" * 200, "if 1:\n" + "".join(" " * n + "if 1:\n" for n in range(1, 200)),
        "a = " * 50_000 + "1", "x(" * 10_000, "{1:" * 10_000, "9" * 100_000, "1 if 1 else " * 20_000 + "1",
    ]
    return [source[:10] for source in sources if not is_refused(source)]


def is_refused(source):
    for read in (ast.literal_eval, lambda text: eval(compile(text, "x", "exec"))):
        try:
            read(source)
        except (SyntaxError, RecursionError, MemoryError, ValueError, OverflowError, NameError, AttributeError, TypeError):
            pass
    return True
