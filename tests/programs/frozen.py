"""A function in the cloud, whose process is frozen between two invocations: `python frozen.py`.

Each line on stdin is an invocation; it prints what the flush at its end returned.
"""

from __future__ import annotations

import logging
import sys

import loghttp

handler = loghttp.HumioHECHandler(flush_interval=60, retry_wait_max=0.1, timeout=(1.0, 1.0))
log = logging.getLogger("shop")
log.addHandler(handler)
log.setLevel(logging.INFO)


def function(event: str) -> None:
    for n in range(3):
        log.info("%s %d", event, n)


for line in sys.stdin:
    try:
        function(line.strip())
    finally:
        print(handler.flush(timeout=2.0), flush=True)
