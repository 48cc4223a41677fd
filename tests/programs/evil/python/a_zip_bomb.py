# A zip bomb: more zeros than memory, in some kilobytes.
# with: memory_bytes=67108864
# fails: limit: The step went over its memory limit of 64 MiB; give rows piece by piece (`yield`), or run it on a worker with a higher limit…
import zlib


def evil(canary):
    packer = zlib.compressobj(9)
    packed = b"".join(packer.compress(bytes(1 << 20)) for _ in range(64)) + packer.flush()
    return len(zlib.decompress(packed))
