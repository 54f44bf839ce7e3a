"""One measurement, in a process that does nothing else: `python child.py '{"scenario": ..., "port": ...}'`.

Order: the handler is made and warmed up; the floor (the same calls with `logging.NullHandler`) is measured; then the
flood, until its end has been flushed; then the floor once more, since the speed of a machine drifts within seconds.
Where a scenario asks for it, short floods and floors then take turns, since it drifts within fractions of one as well.
"""

from __future__ import annotations

import gc
import json
import logging
import os
import random
import re
import statistics
import sys
import tempfile
import threading
import time
from array import array
from pathlib import Path
from typing import Any

import peers
import sink
import subjects

FAST = ("orjson", "isal")
FLOOR_EVENTS = 20_000
TURN_EVENTS = 10_000
WARM_EVENTS = 500
PATIENCE = 15.0  # seconds; longer than any subject's flush interval


class Flood:
    """The calls to measure: `logger.info("msg %s %d", "x", 1, extra={...})`, by one thread or by many."""

    def __init__(self, scenario: dict[str, Any], mark: str = "msg") -> None:
        self._call = f"{mark} %s %d"
        self._threads: int = scenario["threads"]
        self._interval = scenario["threads"] / scenario["rate"] if scenario["rate"] else 0.0
        self._text = ("x " + words(scenario["message"])) if scenario["message"] else "x"
        self._distinct: bool = scenario["distinct"]
        values = (7, "/checkout/basket", True, 12.75, "visa")
        self._extra = {f"extra_{n}": values[n % len(values)] for n in range(scenario["extras"])}

    def run(self, log: logging.Logger, times: list[array[int]]) -> None:
        """Log as many records as there is room in `times` for what each call took, in ns."""
        if len(times) == 1:
            self._produce(log, times[0])
            return
        start = threading.Barrier(len(times))
        producers = [threading.Thread(target=self._produce, args=(log, took, start)) for took in times]
        for producer in producers:
            producer.start()
        for producer in producers:
            producer.join()

    def times(self, events: int) -> list[array[int]]:
        """Made before memory is looked at, so that it counts for nobody."""
        return [array("q", bytes(8 * (events // self._threads))) for _ in range(self._threads)]

    def _produce(self, log: logging.Logger, took: array[int], start: threading.Barrier | None = None) -> None:
        info, clock, call, text, extra = log.info, time.perf_counter_ns, self._call, self._text, self._extra
        interval, distinct = self._interval, self._distinct
        if start is not None:
            start.wait()
        due = time.perf_counter()
        for n in range(len(took)):
            if interval:
                due += interval
                time.sleep(max(0.0, due - time.perf_counter()))
            if distinct:
                text = f"{self._text} {n}"
            before = clock()
            info(call, text, 1, extra=extra)
            took[n] = clock() - before


def words(size: int) -> str:
    """Text that compresses about as well as logs do."""
    source = random.Random(7)  # noqa: S311  # the same text in each run
    stock = ["".join(source.choices("abcdefghijklmnopqrstuvwxyz", k=source.randint(2, 9))) for _ in range(500)]
    text = " ".join(source.choices(stock, k=size // 4 + 1))
    return text[:size]


def memory(what: str) -> int:
    """Bytes of memory that this process occupies (`VmRSS`), or the most that it did (`VmHWM`): the kernel's count."""
    found = re.search(rf"^{what}:\s+(\d+) kB$", Path("/proc/self/status").read_text(), re.MULTILINE)
    assert found is not None
    return int(found[1]) * 1024


def wakeups() -> int:
    """How often threads of this process have gone to sleep of their own will, and so were woken."""
    statuses = (path.read_text() for path in Path("/proc/self/task").glob("*/status"))
    return sum(int(status.rpartition("\nvoluntary_ctxt_switches:")[2].split()[0]) for status in statuses)


def summary(times: list[array[int]]) -> dict[str, float]:
    took = sorted(ns / 1000 for each in times for ns in each)
    last = len(took) - 1
    return {
        "p50": took[last // 2],
        "p99": took[int(last * 0.99)],
        "p999": took[int(last * 0.999)],
        "max": took[last],
    }


def floor(log: logging.Logger, flood: Flood, times: list[array[int]]) -> dict[str, float]:
    """The same calls with `logging.NullHandler`, in this process."""
    handlers, log.handlers = log.handlers, [logging.NullHandler()]
    cpu, wall = time.process_time(), time.perf_counter()
    flood.run(log, times)
    cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
    log.handlers = handlers
    events = sum(map(len, times))
    return {**summary(times), "cpu": cpu / events * 1e6, "rate": events / wall}


def in_turns(log: logging.Logger, subject: subjects.Subject, scenario: dict[str, Any]) -> dict[str, float]:
    """Ratios of short floods to the floors just before and after them: medians over all turns."""
    if not scenario["turns"]:
        return {}
    flood = Flood(scenario, "warm")
    times = flood.times(TURN_EVENTS)
    floors = [floor(log, flood, times)]
    ratios: dict[str, list[float]] = {"p50": [], "cpu": []}
    for _ in range(scenario["turns"]):
        cpu = time.process_time()
        flood.run(log, times)
        subject.flush()
        taken = {"cpu": (time.process_time() - cpu) / TURN_EVENTS * 1e6, "p50": summary(times)["p50"]}
        floors.append(floor(log, flood, times))
        for name, each in ratios.items():
            each.append(taken[name] / statistics.mean(near[name] for near in floors[-2:]))
    return {f"{name}_ratio": statistics.median(each) for name, each in ratios.items()}


def flush(subject: subjects.Subject, control: int, what: str, expected: int) -> None:
    """Not every peer's `flush` waits. Gives up when nothing has come for a while: then some are lost."""
    subject.flush()
    arrived, deadline = -1, 0.0
    while not subject.flush_waits and arrived < expected:
        count = sink.ask(control, "report")[what]
        if count > arrived:
            arrived, deadline = count, time.monotonic() + PATIENCE
        elif time.monotonic() > deadline:
            return
        if arrived < expected:
            time.sleep(0.1)


def watch_idle(seconds: float) -> dict[str, float]:
    time.sleep(2)  # what has just been flushed comes to rest
    woken, cpu = wakeups(), time.process_time()
    time.sleep(seconds)
    cpu, woken = time.process_time() - cpu, wakeups() - woken - 1  # this thread's own sleep
    return {"idle_wakeups": woken / seconds, "idle_cpu": cpu / seconds * 1e3}


def measure(scenario: dict[str, Any], port: int, control: int, folder: str) -> dict[str, Any]:
    subject = make(scenario, f"http://127.0.0.1:{port}", folder)
    log = logging.getLogger("benchmark")
    log.setLevel(logging.INFO)
    log.propagate = False
    log.addHandler(subject.handler)
    flood = Flood(scenario)
    events = scenario["events"] // scenario["threads"] * scenario["threads"]
    times = flood.times(events)
    floor_times = flood.times(min(events, scenario["rate"] or FLOOR_EVENTS))

    warm = min(WARM_EVENTS, events // 10)
    for _ in range(warm):
        log.info("warm %s %d", "x", 1, extra={"extra_0": 7})
    flush(subject, control, "warm", warm * scenario["marks"])
    if scenario["intake"] != "up":
        sink.ask(control, scenario["intake"])
    before = floor(log, flood, floor_times)
    gc.collect()
    Path("/proc/self/clear_refs").write_text("5")  # `VmHWM` starts anew
    idle = memory("VmRSS")

    started, cpu = time.monotonic(), time.process_time()
    flood.run(log, times)
    logged = time.monotonic() - started
    if scenario["intake"] == "up":
        flush(subject, control, "events", events * scenario["marks"])
    cpu = time.process_time() - cpu
    peak = memory("VmHWM")

    after = floor(log, flood, floor_times)
    result = {**summary(times), "cpu": cpu / events * 1e6, "events": events, "started": started, "logged": logged}
    result |= {"memory": peak - idle, "books": subject.books()}
    result |= {"turns": in_turns(log, subject, scenario), "warm": warm + scenario["turns"] * TURN_EVENTS}
    result |= {f"floor_{name}": (value + after[name]) / 2 for name, value in before.items()}
    if scenario["idle"]:
        result |= watch_idle(scenario["idle"])
    return result


def make(scenario: dict[str, Any], url: str, folder: str) -> subjects.Subject:
    if not scenario["fast"]:
        for name in FAST:
            sys.modules[name] = None  # type: ignore[assignment]  # an import of it now fails: as in a plain install
    options = dict(scenario["options"])
    if scenario["durable"]:
        options["spool_dir"] = folder
    if scenario["handler"] == "null":
        return subjects.null()
    if scenario["handler"] in peers.PEERS:
        return peers.PEERS[scenario["handler"]].open(url)
    return subjects.ours(scenario["handler"], url, options)


def main(argument: str) -> None:
    given = json.loads(argument)
    with tempfile.TemporaryDirectory() as folder:
        result = measure(given["scenario"], given["port"], given["control"], folder)
    print(json.dumps(result), flush=True)
    os._exit(0)  # what waits for an intake that is down is not waited for


if __name__ == "__main__":
    main(sys.argv[1])
