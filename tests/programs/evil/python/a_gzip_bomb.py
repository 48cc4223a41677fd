# A gzip bomb, read as a file.
# with: memory_bytes=67108864
# fails: limit: The step went over its memory limit of 64 MiB; give rows piece by piece (`yield`), or run it on a worker with a higher limit…
import gzip
import io


def evil(canary):
    buffer = io.BytesIO()
    with gzip.open(buffer, "wb") as file:
        for _ in range(64):
            file.write(bytes(1 << 20))
    return len(gzip.decompress(buffer.getvalue()))
