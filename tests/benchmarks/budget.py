"""The budget: what loghttp is allowed to cost, and what it was measured to cost."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from peers import PEERS
from runs import Result
from scenarios import BUFFER_BYTES

Results = Mapping[str, Result]

ROUNDS: Final = 5
"""Of so many the medians are held against it."""


@dataclass(frozen=True, slots=True)
class Line:
    """One promise. `measure` takes the results and `hec-plain` or `hec-fast`; a KeyError: it was not measured."""

    what: str
    plain: float
    fast: float
    measure: Callable[[Results, str], float]
    unit: str = "x"
    at_least: bool = False

    def limit(self, base: str) -> float:
        return self.fast if base == "hec-fast" else self.plain

    def judge(self, results: Results, base: str) -> str:
        """What was measured, and whether that is within the budget."""
        try:
            value = self.measure(results, base)
        except KeyError:
            return "not measured"
        limit = self.limit(base)
        met = value >= limit if self.at_least else value <= limit
        return f"{value:.2f}{self.unit} {'met' if met else 'NOT MET'}"

    def allowed(self, base: str) -> str:
        return f"{'≥' if self.at_least else '≤'} {self.limit(base):g}{self.unit}"


def _against_best_peer(results: Results, base: str) -> float:
    rates: list[float] = [results[name]["rate"] for name in PEERS if name in results]
    if not rates:
        raise KeyError("no peer was measured")
    own: float = results[base]["rate"]
    return own / max(rates)


def _down_against_up(results: Results, base: str) -> float:
    worst: float = max(results[f"{base}-{intake}"]["p999"] for intake in ("down", "hang"))
    up: float = results[base]["p999"]
    return worst / up


def _memory(results: Results, base: str) -> float:
    above: float = max(results[f"{base}-memory-{size}"]["memory"] for size in ("100-bytes", "1-megabyte"))
    return above / BUFFER_BYTES


# "As with it up": two runs of the same thing differ by this much in their p99.9 on a busy machine.
_NOISE = 1.25

BUDGET = (
    Line("logger.info p50, flat out", 1.35, 1.35, lambda r, base: r[base]["p50_ratio"]),
    Line(
        "logger.info p50, 4 producer threads against 1",
        1.3,
        1.3,
        lambda r, base: r[f"{base}-4-threads"]["p50"] / r[base]["p50"],
    ),
    Line("logger.info p99.9, flat out", 0.5, 0.5, lambda r, base: r[base]["p999"] / 1000, " ms"),
    Line("logger.info p99.9, 2,000 records/s", 0.2, 0.2, lambda r, base: r[f"{base}-paced"]["p999"] / 1000, " ms"),
    Line("CPU an event, whole process", 2.6, 1.8, lambda r, base: r[base]["cpu_ratio"]),
    Line("CPU an event, durable", 3.1, 2.2, lambda r, base: r[f"{base}-durable"]["cpu_ratio"]),
    Line("events/s against the best peer", 1.5, 2.5, _against_best_peer, at_least=True),
    Line(
        "events/s, intake 50 ms away against 0 ms",
        0.9,
        0.9,
        lambda r, base: r[f"{base}-50ms"]["rate"] / r[base]["rate"],
        at_least=True,
    ),
    Line("logger.info p99.9, intake down or mute against up", _NOISE, _NOISE, _down_against_up),
    Line("memory above idle, intake down, in buffer_bytes", 1.5, 1.5, _memory),
    Line("idle: wake-ups a second", 0.5, 0.5, lambda r, base: r[f"{base}-idle"]["idle_wakeups"], ""),
    Line("idle: CPU, ms a second", 0.1, 0.1, lambda r, base: r[f"{base}-idle"]["idle_cpu"], " ms"),
)
