"""Twenty asyncio tasks log while the intake does not answer: `python looping.py`.

The loop's own pulse is taken meanwhile, and once more without a handler; what is printed, in milliseconds, is the
longest and the median time between two beats of both, and how many records were taken in.
"""

from __future__ import annotations

import asyncio
import json
import logging
import statistics
import time

import loghttp

RECORDS = 250
log = logging.getLogger("shop")
log.setLevel(logging.INFO)
log.propagate = False


async def work(label: int) -> None:
    for n in range(RECORDS):
        log.info("task-%d %d", label, n, extra={"user": {"id": n}})
        await asyncio.sleep(0)


async def pulse(beats: list[float]) -> None:
    while True:
        began = time.perf_counter()
        await asyncio.sleep(0.001)
        beats.append((time.perf_counter() - began) * 1_000)


async def main() -> dict[str, float]:
    beats: list[float] = []
    taking = asyncio.create_task(pulse(beats))
    await asyncio.gather(*(work(label) for label in range(20)))
    await asyncio.sleep(0.05)
    taking.cancel()
    return {"longest": max(beats), "median": statistics.median(beats)}


if __name__ == "__main__":
    log.addHandler(logging.NullHandler())
    without = asyncio.run(main())
    handler = loghttp.HumioHECHandler(flush_interval=0.01, close_timeout=0.5)
    log.addHandler(handler)
    result = asyncio.run(main())
    stats = handler.stats()
    print(json.dumps({"without": without, "with": result, "accepted": stats.accepted, "pending": stats.pending}))
