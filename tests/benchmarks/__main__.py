"""The benchmark: `python tests/benchmarks --help`."""

from __future__ import annotations

import json
from fnmatch import fnmatch
from pathlib import Path

import click
from rich.console import Console

import runs
import scenarios
import tables


@click.command()
@click.option("--quick", is_flag=True, help="Under a minute: few scenarios, few records, three rounds.")
@click.option("--rounds", "count", type=int, help="How often each scenario is measured (default 5; --quick: 3).")
@click.option("--only", multiple=True, metavar="NAME", help="Scenarios to run; `hec-*-durable` works, too.")
@click.option("--events", type=int, help="Records of one flood.")
@click.option("--json", "output", type=click.Path(path_type=Path), help="Write the medians to this file.")
def main(quick: bool, count: int | None, only: tuple[str, ...], events: int | None, output: Path | None) -> None:
    """Measure what logging over HTTP costs, as ratios to logging.NullHandler."""
    console = Console()
    chosen = scenarios.QUICK if quick and not only else scenarios.FULL
    if only:
        chosen = tuple(each for each in chosen if any(fnmatch(each.name, pattern) for pattern in only))
    if not chosen:
        raise click.UsageError("no scenario has such a name: " + ", ".join(each.name for each in scenarios.FULL))
    if events:
        chosen = tuple(scenarios.replace(each, events=events) for each in chosen)
    with console.status("starting") as status:
        results = runs.rounds(chosen, count or (3 if quick else 5), status.update)
    console.print(tables.results_table(results))
    if output:
        output.write_text(json.dumps(results, indent=1))


if __name__ == "__main__":
    main()
