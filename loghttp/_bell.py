"""Where one of our threads waits for something to do.

Rule: `ring` is re-entrant, lock-free and cheap, for the program's threads call it, and a `__del__` that logs
may come in its middle: it rests on `SimpleQueue.put`, whose documentation promises that. It does nothing when
nobody waits, so a busy line costs no wake-ups, and an idle one has none.
"""

from __future__ import annotations

from contextlib import suppress
from queue import Empty, SimpleQueue


class Bell:
    """One thread waits; any may ring."""

    def __init__(self) -> None:
        self._queue: SimpleQueue[None] = SimpleQueue()
        self.awaited = False
        """Set by who is going to wait, under the lock under which it saw that there is nothing to do."""

    def wait(self, timeout: float | None = None) -> None:
        """Return when it was rung, or after `timeout` seconds."""
        with suppress(Empty):
            self._queue.get(timeout=timeout)

    def ring(self) -> None:
        """Wake who waits; called under that same lock."""
        if self.awaited:
            self.awaited = False
            self._queue.put(None)
