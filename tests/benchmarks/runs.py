"""Rounds of measurements, each in a fresh process, interleaved.

Rule: nothing is called fast that did not arrive. A run of ours that loses an event, or makes two of one, ends the
benchmark; a peer that does so, or cannot be made to work, is named with the reason. On a machine that others use, too,
whether a run is measured again is decided by what they took of its time, never by its figures.
"""

from __future__ import annotations

import json
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

from peers import PEERS
from scenarios import Scenario
from sink import Sink, ask

Result = dict[str, Any]
TIMEOUT = 1800  # seconds; most that one measurement may take
STOLEN_MOST = 0.01  # of the time that a run asked for; if a hypervisor gave more than that to others, it is run again
TRIES = 4
LONG = 20.0  # seconds; what takes longer is not run again


class MeasurementError(Exception):
    """The run says nothing: the child failed, or not all that was logged has arrived, or more than that."""


@dataclass(slots=True)
class Report:
    """All that was measured, as it is written to a file."""

    python: str
    versions: dict[str, str]
    rounds: dict[str, list[Result]]
    failures: dict[str, str] = field(default_factory=dict)
    imports: dict[str, float] = field(default_factory=dict)
    """Milliseconds that an import takes."""

    def medians(self) -> dict[str, Result]:
        return {name: _medians(results) for name, results in self.rounds.items() if results}


def measure(scenarios: Sequence[Scenario], count: int, tell: Callable[[str], None]) -> Iterator[Report]:
    """Each scenario once a round, in turn, so that the machine's drift meets all of them alike.

    Yields the report after each round: who has waited for an hour does not lose it to the last minute.
    """
    versions = {package: version(package) for package in ("loghttp", "orjson", "isal")}
    report = Report(platform.python_version(), versions, {scenario.name: [] for scenario in scenarios})
    for number in range(count):
        for scenario in scenarios:
            tell(f"round {number + 1} of {count}: {scenario.name}")
            if scenario.handler in PEERS:
                _measure_peer(scenario, report)
            else:
                report.rounds[scenario.name].append(calmest(partial(run, scenario)))
        yield report


def _measure_peer(scenario: Scenario, report: Report) -> None:
    if scenario.name in report.failures:
        return
    peer = PEERS[scenario.handler]
    try:
        if peer.name not in report.versions:
            report.versions[peer.name] = peer.version()
        report.rounds[scenario.name].append(calmest(partial(run, scenario, peer.environment())))
    except (MeasurementError, subprocess.SubprocessError) as error:
        report.rounds[scenario.name] = []
        report.failures[scenario.name] = str(error)


def calmest(measured: Callable[[], Result]) -> Result:
    """The first of a few runs of which others took hardly any time, or else the one of which they took least."""
    results: list[Result] = []
    while len(results) < TRIES:
        began = time.monotonic()
        results.append(measured())
        if results[-1]["stolen"] <= STOLEN_MOST or time.monotonic() - began > LONG:
            break
    return min(results, key=lambda result: result["stolen"])


def processor_time() -> tuple[int, int]:
    """Ticks that all processors have worked, and those in which they wanted to and others had them (proc_stat(5))."""
    try:
        user, nice, system, _, _, irq, softirq, steal = Path("/proc/stat").read_text().split()[1:9]
    except OSError:
        return 0, 0  # not Linux
    return sum(map(int, (user, nice, system, irq, softirq))), int(steal)


def run(scenario: Scenario, python: str = sys.executable) -> Result:
    """One measurement."""
    worked, stolen = processor_time()
    with Sink(scenario.delay) as sink:
        given = {"scenario": scenario.as_dict(), "port": sink.port, "control": sink.control}
        command = [python, str(Path(__file__).with_name("child.py")), json.dumps(given)]
        child = subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT, check=False)
        if child.returncode:
            raise MeasurementError(f"{scenario.name}: {child.stderr.strip()}")
        result: Result = json.loads(child.stdout.splitlines()[-1])
        report = ask(sink.control, "report")
    books, turns = result.pop("books"), result.pop("turns")
    if books and books["accepted"] != books["accounted"]:
        raise MeasurementError(f"{scenario.name}: the books do not balance: {books}")
    if scenario.intake == "up" and scenario.handler != "null":
        arrived = report["events"] / scenario.marks
        if arrived != result["events"]:
            raise MeasurementError(f"{scenario.name}: {result['events']:,} logged, {arrived:,.0f} arrived")
        if scenario.turns and report["warm"] != result["warm"]:
            raise MeasurementError(f"{scenario.name}: {result['warm']:,} logged in turns, {report['warm']:,} arrived")
        result["rate"] = result["events"] / (report["last"] - result["started"])
        result["requests"] = report["requests"]
        result["sent"] = report["sent"] / result["events"]
    else:
        result["rate"] = result["events"] / result["logged"]
    worked, stolen = (now - before for now, before in zip(processor_time(), (worked, stolen), strict=True))
    result["stolen"] = stolen / max(1, worked + stolen)
    for name in ("p50", "p99", "p999", "cpu", "rate"):
        result[f"{name}_ratio"] = result[name] / result[f"floor_{name}"]
    return {**result, **turns}


def most_stolen(report: Report) -> float:
    """The share of its time that others took of a usual run, in the scenario in which that was most."""
    return max((result.get("stolen", 0.0) for result in report.medians().values()), default=0.0)


def _medians(results: Sequence[Result]) -> Result:
    numbers = [name for name, value in results[0].items() if isinstance(value, int | float)]
    return {name: statistics.median(result[name] for result in results) for name in numbers}


def import_times(count: int) -> dict[str, float]:
    """Milliseconds that `import loghttp` takes, and `import requests`, which it cannot do without."""
    times: dict[str, list[float]] = {"loghttp": [], "requests": []}
    for _ in range(count + 1):
        for module, each in times.items():
            command = [sys.executable, "-X", "importtime", "-c", f"import {module}"]
            told = subprocess.run(command, capture_output=True, text=True, check=True).stderr
            each.append(int(told.splitlines()[-1].split("|")[1]) / 1000)
    return {module: statistics.median(each[1:]) for module, each in times.items()}  # the first reads the disk
