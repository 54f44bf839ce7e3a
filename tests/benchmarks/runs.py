"""Rounds of measurements, each in a fresh process, interleaved; and what came out, as medians.

Rule: nothing is called fast that did not arrive. A run that loses an event, or makes two of one, ends the benchmark.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from scenarios import Scenario
from sink import Sink, ask

Result = dict[str, Any]
TIMEOUT = 1800  # seconds; most that one measurement may take


class LostError(Exception):
    """Not all that was logged has arrived, or more than that."""


def run(scenario: Scenario, python: str = sys.executable) -> Result:
    """One measurement."""
    with Sink(scenario.delay) as sink:
        given = {"scenario": scenario.as_dict(), "port": sink.port, "control": sink.control}
        command = [python, str(Path(__file__).with_name("child.py")), json.dumps(given)]
        child = subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT, check=False)
        if child.returncode:
            raise RuntimeError(f"{scenario.name}: {child.stderr.strip()}")
        result: Result = json.loads(child.stdout.splitlines()[-1])
        report = ask(sink.control, "report")
    if scenario.intake == "up" and scenario.handler != "null":
        if report["events"] != result["events"]:
            raise LostError(f"{scenario.name}: {result['events']} logged, {report['events']} arrived; {result['books']}")
        result["rate"] = result["events"] / (report["last"] - result["started"])
        result["requests"] = report["requests"]
        result["sent_per_event"] = report["sent"] / result["events"]
    else:
        result["rate"] = result["events"] / result["logged"]
    return with_ratios(result)


def with_ratios(result: Result) -> Result:
    for name in ("p50", "p99", "p999", "cpu", "rate"):
        result[f"{name}_ratio"] = result[name] / result[f"floor_{name}"]
    return result


def rounds(scenarios: Sequence[Scenario], count: int, told: Callable[[str], None]) -> dict[str, Result]:
    """Each scenario once a round, in turn, so that the machine's drift meets all of them alike."""
    results: dict[str, list[Result]] = {scenario.name: [] for scenario in scenarios}
    for number in range(count):
        for scenario in scenarios:
            told(f"round {number + 1} of {count}: {scenario.name}")
            results[scenario.name].append(run(scenario))
    return {name: medians(each) for name, each in results.items()}


def medians(results: Sequence[Result]) -> Result:
    numbers = [name for name, value in results[0].items() if isinstance(value, int | float)]
    return {name: statistics.median(result[name] for result in results) for name in numbers}
