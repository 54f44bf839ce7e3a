"""Waiting for our threads without holding `logging`'s module lock.

Rule: nobody waits in loghttp while the lock is theirs. `dictConfig` holds it while it closes the old handlers,
and urllib3, on our courier's thread, needs it for its own debug lines: each would wait for the other until
`close_timeout` is over, and what was pending would be lost (cpython#91555, logtail-python#42,
opentelemetry-python#3193).
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


@contextmanager
def logging_lock_released() -> Iterator[None]:
    """Give logging's lock away, if this thread holds it, and take it back afterwards.

    This is what `threading.Condition.wait` does with a re-entrant lock, by the same methods. Others may log
    and configure meanwhile, as they may before and after: `dictConfig` has nothing half done at this point.
    """
    lock: Any = getattr(logging, "_lock", None)
    if lock is None or not lock._is_owned():
        yield
        return
    state = lock._release_save()
    try:
        yield
    finally:
        lock._acquire_restore(state)
