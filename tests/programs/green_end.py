"""Monkey-patched by gevent, and its first request leaves while the interpreter goes down.

Then CPython 3.12 starts no thread any more, and gevent needs one to look up a name. Here it is so with every Python.
"""

from __future__ import annotations

from gevent import monkey

monkey.patch_all()

import atexit  # noqa: E402  after the patching, as in such programs
import logging  # noqa: E402

import gevent.threadpool  # noqa: E402

import loghttp  # noqa: E402


@atexit.register  # after loghttp's own callback, so it runs before that
def as_in_3_12() -> None:
    def start_new_thread(*_: object) -> None:
        raise RuntimeError("can't create new thread at interpreter shutdown")

    gevent.threadpool.start_new_thread = start_new_thread


log = logging.getLogger("shop")
log.addHandler(loghttp.HumioHECHandler(flush_interval=60))
for n in range(3):
    log.warning("late %d", n)
