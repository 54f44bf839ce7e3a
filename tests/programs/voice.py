"""A program that configures no more than our handler, and has trouble with its intake: `python voice.py`."""

from __future__ import annotations

import logging
import os

import loghttp

handler = loghttp.HumioHECHandler(
    buffer_events=10, retry_wait_max=0.01, timeout=0.5, close_timeout=float(os.environ["CLOSE_TIMEOUT"])
)
log = logging.getLogger("shop")
log.addHandler(handler)
log.setLevel(logging.INFO)
for n in range(100):
    log.info("record %d", n)
handler.flush(10.0)
print(sum(handler.stats().dropped.values()))
