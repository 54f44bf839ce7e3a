"""A thread of ours: a daemon, so that it never keeps the program from ending.

Rule: it starts once and ends by itself when its work is done; `stop` only waits for that, until a deadline.
"""

from __future__ import annotations

import threading
from typing import Final

FAULTS_MAX: Final = 10
"""Faults of our own, one after the other, after which the end does not wait for better."""


class Worker:
    """What the listener and the courier have in common."""

    thread_name = "loghttp"
    thread: threading.Thread | None = None

    def run(self) -> None:
        """The thread's whole work; it may also be done on the calling thread, where none can be started."""
        raise NotImplementedError

    def start(self) -> None:
        """Raises RuntimeError where no thread can be started: at the system's limit, or at exit (3.12+)."""
        if self.thread is None:
            thread = threading.Thread(target=self.run, name=self.thread_name, daemon=True)
            thread.start()
            self.thread = thread

    def stop(self, timeout: float = 0.0) -> None:
        """Wait until the work is done, for `timeout` seconds."""
        if self.thread is not None:
            self.thread.join(max(0.0, timeout))
