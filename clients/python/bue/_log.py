"""What steps print while they run: the events of the hub."""

from __future__ import annotations

import json
from typing import Any, Dict, Iterator, Optional, Tuple

from ._errors import TooLarge
from ._transport import Stream
from ._views import LogLines, ViewError

# The size in bytes of the largest event.
_MAX_EVENT = 1024 * 1024
# Seconds without a sign of life: the hub sends a comment every 15 s.
_SILENCE = 60.0
# The jobs whose positions are remembered.
_MAX_JOBS = 1_000_000


class LogPositions:
    """How much of each job's log has arrived. A stream that is opened again begins at the beginning of each log."""

    def __init__(self) -> None:
        self._seen: Dict[int, Tuple[int, int]] = {}

    def new_lines(self, event: Dict[str, Any]) -> Optional[LogLines]:
        """Return what is new in an event; None if nothing is."""
        try:
            job, attempt, position = int(event["job"]), int(event["attempt"]), int(event["position"])
            step, data = str(event["step"]), str(event["lines"]).encode("utf-8")
        except (KeyError, TypeError, ValueError) as error:
            raise ViewError(f"an event of the log has no valid {error}") from None
        seen_attempt, seen = self._seen.get(job, (-1, 0))
        if attempt < seen_attempt:
            return None
        if attempt > seen_attempt:
            # sent to an earlier reader; a new one gets the log from its beginning
            if position > 0:
                return None
            seen = 0
        if position + len(data) <= seen:
            return None
        if len(self._seen) >= _MAX_JOBS:
            self._seen.clear()
        self._seen[job] = (attempt, position + len(data))
        new = data[max(seen - position, 0) :].decode("utf-8", "replace")
        return LogLines(job, step, new, max(position - seen, 0))


def read_events(stream: Stream) -> Iterator[Tuple[str, Dict[str, Any]]]:
    """Return the name and the data of each event until the hub ends the stream."""
    received = b""
    while True:
        text, separator, rest = received.partition(b"\n\n")
        if separator:
            received = rest
            event = _event(text.decode("utf-8", "replace"))
            if event is not None:
                yield event
            continue
        if len(received) > _MAX_EVENT:
            raise TooLarge(f"an event of the hub has more than {_MAX_EVENT} bytes")
        piece = stream.read_some(timeout=_SILENCE)
        if not piece:
            return
        received += piece


def _event(text: str) -> Optional[Tuple[str, Dict[str, Any]]]:
    fields = dict(line.split(": ", 1) for line in text.split("\n") if ": " in line and not line.startswith(":"))
    if "event" not in fields:
        return None
    try:
        data = json.loads(fields.get("data", "{}"))
    except (ValueError, RecursionError) as error:
        raise ViewError(f"an event of the log is not JSON: {error}") from None
    if not isinstance(data, dict):
        raise ViewError("an event of the log is not an object")
    return fields["event"], data
