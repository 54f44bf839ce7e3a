"""At home under Celery, whose prefork workers end by `os._exit`, without anything that Python does at exit.

Rule: where Celery is not loaded, nothing happens here; where it is, its own signal says that such a worker ends.
"""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any


def call_when_worker_ends(close: Callable[[], None]) -> None:
    """Called when a line starts, in Celery's main process or in a worker, which inherits what is connected."""
    signals: Any = sys.modules.get("celery.signals")
    if signals is None:
        return

    def ends(**_: object) -> None:
        with _deaf_to_sigterm():
            close()

    # Only the first one with this id is connected.
    signals.worker_process_shutdown.connect(ends, weak=False, dispatch_uid="loghttp")


@contextmanager
def _deaf_to_sigterm() -> Iterator[None]:
    """Celery's main process tells its workers to end, and when it ends itself it terminates those that still do."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
