"""Results as tables in the terminal."""

from __future__ import annotations

from collections.abc import Mapping

from rich.table import Table

from runs import Result


def results_table(results: Mapping[str, Result]) -> Table:
    table = Table(title="µs and, in brackets, ratios to logging.NullHandler in the same process; medians")
    table.add_column("scenario", no_wrap=True)
    for heading in ("p50", "p99", "p99.9", "max", "CPU an event", "events/s", "peak memory"):
        table.add_column(heading, justify="right")
    for name, result in results.items():
        table.add_row(
            name,
            with_ratio(result, "p50"),
            f"{result['p99']:.0f}",
            f"{result['p999']:.0f}",
            f"{result['max']:,.0f}",
            with_ratio(result, "cpu"),
            f"{result['rate']:,.0f} ({result['rate_ratio']:.0%})",
            f"{result['memory'] / 2**20:.1f} MiB",
        )
    return table


def with_ratio(result: Result, name: str) -> str:
    return f"{result[name]:.1f} ({result[f'{name}_ratio']:.2f}x)"
