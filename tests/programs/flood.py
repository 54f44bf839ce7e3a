"""A program that logs far more than its buffer takes: `python flood.py OPTIONS`, a JSON object.

`size` is that of a message in characters, `total` how many are logged, `threads` by how many threads; the rest
are options of the handler. It prints what its memory was, idle and at its peak, and what the books say.
"""

from __future__ import annotations

import gc
import json
import logging
import os
import re
import sys
import threading
from pathlib import Path

import loghttp

log = logging.getLogger("shop")


def memory(what: str) -> int:
    """Bytes of memory that this process occupies (`VmRSS`), or the most that it did (`VmHWM`): the kernel's count."""
    status = Path("/proc/self/status").read_text()
    return int(re.search(rf"^{what}:\s+(\d+) kB$", status, re.MULTILINE)[1]) * 1024


def flood(label: str, total: int, noise: str) -> None:
    for n in range(total):
        log.info("".join((label, " ", str(n), " ", noise)))  # distinct: no two share memory


def main(size: int, total: int, threads: int, **options: object) -> None:
    handler = loghttp.HumioHECHandler(flush_interval=0.05, close_timeout=float(os.environ["CLOSE_TIMEOUT"]), **options)
    log.addHandler(handler)
    log.setLevel(logging.INFO)
    noises = [os.urandom((size - 20) // 2).hex() for _ in range(threads)]  # as hard to compress as text can be
    gc.collect()
    Path("/proc/self/clear_refs").write_text("5")  # `VmHWM` starts anew
    idle = memory("VmRSS")

    producers = [
        threading.Thread(target=flood, args=(f"thread-{t}", total // threads, noise)) for t, noise in enumerate(noises)
    ]
    for producer in producers:
        producer.start()
    for producer in producers:
        producer.join()

    stats = handler.stats()
    books = {"accepted": stats.accepted, "pending": stats.pending, "dropped": dict(stats.dropped)}
    print(json.dumps({"idle": idle, "peak": memory("VmHWM"), "books": books}))


if __name__ == "__main__":
    main(**json.loads(sys.argv[1]))
