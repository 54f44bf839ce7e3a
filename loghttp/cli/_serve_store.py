"""What `loghttp serve` keeps for its page: the latest events and requests, bounded by number and by bytes.

Rule: all that threads share is behind one condition, `_changed`. Numbers only rise, so a page that says how far it has
read is given what came since, and sees by `first` what is kept no longer.
"""

from __future__ import annotations

import json
import secrets
import threading
from collections import deque
from collections.abc import Iterable
from itertools import islice
from typing import Any, Final

MOST_BYTES: Final = 32 * 1024 * 1024  # of events, as JSON; a browser takes some five times as much for them
MOST_REQUESTS: Final = 500
_ANSWER_EVENTS: Final = 5_000
_ANSWER_BYTES: Final = 2 * 1024 * 1024  # parsed by a browser in some 20 ms


class Store:
    """The latest `most_events` events, and fewer where they are large; with the latest requests."""

    def __init__(self, most_events: int, most_bytes: int = MOST_BYTES) -> None:
        self.most_events = most_events
        self._most_bytes = most_bytes
        self._boot = secrets.token_hex(4)  # a page that sees another one starts afresh
        # Everything below is read and written with this held; it is notified after each change.
        self._changed = threading.Condition()
        self._events: deque[bytes] = deque()
        self._bytes = 0
        self._last_event = 0  # number of the latest event; the first is 1
        self._requests: dict[int, tuple[int, dict[str, Any]]] = {}  # number: change, request
        self._last_request = 0
        self._refused = 0
        self._change = 0  # rises with every change of a request or of the mode
        self._mode = "healthy"
        self._closed = False

    def next_numbers(self) -> tuple[int, int]:
        """The numbers that the next event and the next request get. For the one thread that puts."""
        with self._changed:
            return self._last_event + 1, self._last_request + 1

    def put(self, request: dict[str, Any], events: Iterable[dict[str, Any]]) -> None:
        """Keep a request, in the place of an earlier one of its number, and the events that it brought."""
        lines = [json.dumps(event, separators=(",", ":")).encode() for event in events]
        with self._changed:
            self._change += 1
            self._requests[request["n"]] = (self._change, request)
            self._last_request = max(self._last_request, request["n"])
            self._refused += bool(request["refusal"]) and request["state"] == "done"
            while len(self._requests) > MOST_REQUESTS:
                del self._requests[min(self._requests)]
            self._events.extend(lines)
            self._last_event += len(lines)
            self._bytes += sum(map(len, lines))
            while len(self._events) > self.most_events or (self._bytes > self._most_bytes and len(self._events) > 1):
                self._bytes -= len(self._events.popleft())
            self._changed.notify_all()

    def cut_held(self) -> None:
        """Note that the requests whose answers were held back were cut off instead."""
        with self._changed:
            for number, (_, request) in list(self._requests.items()):
                if request["state"] == "held":
                    self._change += 1
                    self._requests[number] = (self._change, {**request, "state": "cut"})
            self._changed.notify_all()

    def set_mode(self, mode: str) -> None:
        """Note what the intake does to requests now."""
        with self._changed:
            self._mode = mode
            self._change += 1
            self._changed.notify_all()

    @property
    def totals(self) -> dict[str, int]:
        """How many events and requests came since the start, and how many of these a strict server refuses."""
        with self._changed:
            return {"events": self._last_event, "requests": self._last_request, "refused": self._refused}

    def clear(self) -> None:
        """Forget events and requests; the numbers go on."""
        with self._changed:
            self._events.clear()
            self._bytes = 0
            self._requests.clear()
            self._change += 1
            self._changed.notify_all()

    def close(self) -> None:
        """Let everybody who waits go."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def poll(self, after_event: int, after_change: int, timeout: float, boot: str | None = None) -> bytes:
        """What came after these, as JSON; waits at most `timeout` seconds until there is something.

        The oldest come first, and only so many that a browser is not kept busy: `last` says whether there are more.
        The numbers of another `boot`, of a server that was here before, mean nothing to this one.
        """
        if boot not in {None, self._boot}:
            after_event, after_change = 0, -1
        with self._changed:
            self._changed.wait_for(
                lambda: self._closed or after_event != self._last_event or after_change != self._change, timeout
            )
            first = self._last_event - len(self._events) + 1
            start = max(after_event + 1 - first, 0)
            lines: list[bytes] = []
            size = 0
            for line in islice(self._events, start, start + _ANSWER_EVENTS):
                size += len(line)
                if lines and size > _ANSWER_BYTES:
                    break
                lines.append(line)
            head = {
                "boot": self._boot,
                "mode": self._mode,
                "first": first,
                "last": self._last_event,
                "change": self._change,
                "totals": self.totals,
                "oldest_request": min(self._requests, default=self._last_request + 1),
                "requests": [request for change, request in self._requests.values() if change > after_change],
            }
        return json.dumps(head, separators=(",", ":")).encode()[:-1] + b',"events":[' + b",".join(lines) + b"]}"
