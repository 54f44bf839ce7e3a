"""Monkey-patched by gevent or eventlet before all else: `python greened.py gevent|eventlet`.

Twenty green threads log in turns, into an intake that is slow; then one flushes while another counts. What it
prints: whether the flush came back true, and whether the others ran on while it waited.
"""

from __future__ import annotations

import json
import sys
import warnings

warnings.simplefilter("ignore")  # eventlet says that it is deprecated
if sys.argv[1] == "gevent":
    import gevent
    from gevent import monkey, sleep, spawn

    monkey.patch_all()
else:
    import eventlet
    from eventlet import sleep, spawn

    eventlet.monkey_patch()

import logging  # noqa: E402  after the patching, as in such programs
import os  # noqa: E402

import loghttp  # noqa: E402

handler = loghttp.HumioHECHandler(flush_interval=0.05, close_timeout=float(os.environ["CLOSE_TIMEOUT"]))
log = logging.getLogger("shop")
log.addHandler(handler)
log.setLevel(logging.INFO)
turns = 0


def work(label: int) -> None:
    for n in range(20):
        log.info("green-%d %d", label, n)
        sleep(0)


def count() -> None:
    global turns  # noqa: PLW0603  one number, for two green threads
    while True:
        turns += 1
        sleep(0.001)


def wait_for(green: object) -> None:
    green.join() if sys.argv[1] == "gevent" else green.wait()  # type: ignore[attr-defined]


for green in [spawn(work, label) for label in range(20)]:
    wait_for(green)
spawn(count)
sleep(0)
before = turns
flushed = handler.flush(timeout=10)
print(json.dumps({"flushed": flushed, "others ran on": turns > before, "pending": handler.stats().pending}))
if sys.argv[1] == "gevent":  # what runs in the hub cannot switch to other green threads

    def log_in_hub() -> None:
        for n in range(200):
            log.info("hub %d", n)

    gevent.get_hub().loop.run_callback(log_in_hub)
    sleep(0.01)
log.info("at the end")
