"""Where one of our threads waits for something to do.

Rule: `ring` is re-entrant, lock-free and cheap, for the program's threads call it, and a `__del__` that logs
may come in its middle: it rests on `SimpleQueue.put`, whose documentation promises that. It does nothing when
nobody waits, so a busy line costs no wake-ups, and an idle one has none.
"""

from __future__ import annotations

import queue
import time
from contextlib import suppress
from functools import partial
from types import BuiltinFunctionType
from typing import Final


def _stay() -> None:
    """Where gevent or eventlet have made threads of one thread, to wait would run the program's other parts."""


offer_interpreter: Final = partial(time.sleep, 1e-6) if isinstance(time.sleep, BuiltinFunctionType) else _stay
"""Lets a thread run that was rung for: the shortest sleep that does, for 0 does not."""


class Bell:
    """One thread waits; any may ring."""

    def __init__(self) -> None:
        self._queue: queue.SimpleQueue[None] = queue.SimpleQueue()  # gevent's, where it has patched by now
        self.awaited = False
        """Set by who is going to wait, under the lock under which it saw that there is too little to do."""

    def wait(self, timeout: float | None = None) -> None:
        """Return when it was rung, or after `timeout` seconds."""
        with suppress(queue.Empty):
            self._queue.get(timeout=timeout)

    def ring(self) -> None:
        """Wake who waits; called under that same lock."""
        if self.awaited:
            self.awaited = False
            self._queue.put(None)
