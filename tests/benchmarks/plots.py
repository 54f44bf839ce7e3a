"""Results as pictures: what logging costs beside the peers, and that the cost has no cliffs."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from peers import PEERS
from runs import Result

_OURS, _PEERS, _FAR, _GRID = "#0b6e4f", "#9aa5b1", "#1f2933", "#e4e7eb"
_NAMES = {"hec-fast": "loghttp[fast]", "hec-plain": "loghttp", "hec-fast-durable": "loghttp[fast], durable"}
_CLIFFS = (
    ("records", "records in one flood", "CPU, µs a record"),
    ("threads", "producer threads", "CPU, µs a record"),
    ("bytes", "bytes of a message", "CPU, ns a byte"),
    ("extras", "extras of a record", "CPU, µs a record"),
)


def comparison(results: Mapping[str, Result], path: Path) -> None:
    """Three bars for each handler: the caller's time, the process's CPU, the throughput at 0 and 50 ms."""
    names = [name for name in (*_NAMES, *PEERS) if name in results]
    names.sort(key=lambda name: float(results[name]["cpu_ratio"]), reverse=True)
    if not names:
        return
    labels = [_NAMES.get(name, name) for name in names]
    colours = [_OURS if name in _NAMES else _PEERS for name in names]
    figure = Figure(figsize=(12, 1.2 + 0.42 * len(names)))
    left, middle, right = figure.subplots(1, 3, sharey=True)
    _bars(left, labels, [results[name]["p50_ratio"] for name in names], colours, "{:.1f}x")
    _bars(middle, labels, [results[name]["cpu_ratio"] for name in names], colours, "{:.1f}x")
    near, far = (
        [results.get(f"{name}{suffix}", {"rate": 0})["rate"] / 1000 for name in names] for suffix in ("", "-50ms")
    )
    right.barh(labels, far, height=0.15, color=_FAR, zorder=2)
    _bars(right, labels, near, colours, "{:.1f}", ends=[max(pair) for pair in zip(near, far, strict=True)])
    middle.set_xscale("log")
    left.set_title("logger.info, median\n(NullHandler = 1)")
    middle.set_title("CPU an event, whole process\n(NullHandler = 1; log scale)")
    right.set_title("thousand events/s until all have arrived\n(dark: intake 50 ms away)")
    _save(figure, path)


def cliffs(results: Mapping[str, Result], path: Path) -> None:
    """What one more costs, over orders of magnitude."""
    figure, drawn = Figure(figsize=(10, 6.5)), False
    for panel, (kind, along, up) in zip(figure.subplots(2, 2).flat, _CLIFFS, strict=True):
        if not any(f"-{kind}-" in name for name in results):
            panel.set_visible(False)
            continue
        for fast, colour in (("fast", _OURS), ("plain", _PEERS)):
            prefix = f"{fast}-{kind}-"
            sizes = sorted(int(name.removeprefix(prefix)) for name in results if name.startswith(prefix))
            costs = [float(results[f"{prefix}{size}"]["cpu"]) for size in sizes]
            if kind == "bytes":
                costs = [cost * 1000 / size for cost, size in zip(costs, sizes, strict=True)]
            panel.plot(sizes, costs, "o-", color=colour, label="loghttp[fast]" if fast == "fast" else "loghttp")
            drawn = drawn or bool(sizes)
        if kind != "extras":
            panel.set_xscale("log", base=2 if kind == "threads" else 10)
        if kind == "bytes":  # a fixed cost shared by ever more bytes: it falls, and then stays level
            panel.set_yscale("log")
        else:
            panel.set_ylim(bottom=0)
        panel.set(xlabel=along, ylabel=up)
        panel.grid(color=_GRID)
        panel.legend()
    if drawn:
        _save(figure, path)


def _bars(
    axes: Any, labels: list[str], values: list[float], colours: list[str], form: str, ends: list[float] | None = None
) -> None:
    """One bar for each value, and beyond its end, or that of a longer one beside it, the value."""
    axes.barh(labels, values, color=colours)
    unseen = axes.barh(labels, ends or values, alpha=0)
    axes.bar_label(unseen, labels=[form.format(value) for value in values], padding=3, fontsize=8)
    axes.margins(x=0.18)
    axes.grid(axis="x", color=_GRID)
    axes.set_axisbelow(True)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)


def _save(figure: Figure, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.tight_layout()
    figure.savefig(path, dpi=120)
