# An endless list, encoded as JSON.
# with: memory_bytes=134217728
# fails: limit: The step went over its memory limit of 128 MiB; give rows piece by piece (`yield`), or run it on a worker with a higher limit…
import json


def evil(canary):
    return len(json.dumps(["x" * 1000] * 1_000_000))
