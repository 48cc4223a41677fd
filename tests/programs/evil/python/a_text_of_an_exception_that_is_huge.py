# An exception whose text fills the memory.
# with: memory_bytes=134217728
# fails: raised: Huge: <its __str__ raised MemoryError>
class Huge(Exception):
    def __str__(self):
        return "x" * (1 << 30)


def evil(canary):
    raise Huge
