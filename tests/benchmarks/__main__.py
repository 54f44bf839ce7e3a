"""The benchmark: what logging over HTTP costs. `python tests/benchmarks --help`."""

from __future__ import annotations

import json
import signal
import sys
from dataclasses import asdict, replace
from fnmatch import fnmatch
from pathlib import Path

import click
from rich.console import Console

import plots
import runs
import scenarios
import tables
from budget import ROUNDS
from scenarios import Scenario

_FILE = click.Path(path_type=Path, dir_okay=False)


@click.command()
@click.option("--quick", is_flag=True, help="Under a minute: few scenarios, few records, three rounds.")
@click.option("--peers", is_flag=True, help="Other libraries, too, each in a virtual environment of its own.")
@click.option("--cliffs", is_flag=True, help="Cost an event over orders of magnitude, too.")
@click.option("--long", is_flag=True, help="With --cliffs or --only: up to 10,000,000 records (4 GB of memory).")
@click.option(
    "--only",
    multiple=True,
    metavar="NAME",
    help="Scenarios to run ('hec-*-durable'); a wrong one lists all.",
)
@click.option(
    "--rounds", "count", type=click.IntRange(1), help="How often each scenario is measured (default 5; --quick: 3)."
)
@click.option("--events", type=int, help="Most records of one flood.")
@click.option("--json", "output", type=_FILE, help="Write what was measured to this file, after each round.")
@click.option("--from", "source", type=_FILE, help="Show such a file instead of measuring.")
@click.option("--plot", type=_FILE, default="build/benchmark.png", show_default=True, help="Where the picture goes.")
@click.option("--markdown", type=_FILE, help="Write the tables to this file.")
def main(
    quick: bool,
    peers: bool,
    cliffs: bool,
    long: bool,
    only: tuple[str, ...],
    count: int | None,
    events: int | None,
    output: Path | None,
    source: Path | None,
    plot: Path,
    markdown: Path | None,
) -> None:
    """Measure what logging over HTTP costs, as ratios to logging.NullHandler."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # the processes it started end with it
    console = Console(width=max(Console().width, 150))  # the tables are wide; a narrow terminal wraps them
    if source:
        report = runs.Report(**json.loads(source.read_text()))
    else:
        chosen = _chosen(quick, peers, cliffs, long, only, events)
        with console.status("import times") as status:
            imports = {} if only else runs.import_times(3 if quick else 9)
            try:
                for report in runs.measure(chosen, count or (3 if quick else ROUNDS), status.update):
                    report.imports = imports
                    if output:
                        output.write_text(json.dumps(asdict(report), indent=1))
            except runs.MeasurementError as error:
                raise click.ClickException(str(error)) from error
    sheets = list(tables.sheets(report))
    for sheet in sheets:
        console.print(sheet.rich())
    console.print(f"Python {report.python}; " + ", ".join(f"{name} {each}" for name, each in report.versions.items()))
    console.print(f"Others had {runs.most_stolen(report):.1%} of the processors' time at the most (medians).")
    if markdown:
        markdown.write_text("\n".join(sheet.markdown() for sheet in sheets))
    plots.comparison(report.medians(), plot)
    plots.cliffs(report.medians(), plot.with_stem(f"{plot.stem}-cliffs"))


def _chosen(
    quick: bool, peers: bool, cliffs: bool, long: bool, only: tuple[str, ...], events: int | None
) -> list[Scenario]:
    every = [*scenarios.MAIN, *scenarios.PEER, *scenarios.CLIFFS, *(scenarios.LONG if long else ())]
    if only:
        chosen = [each for each in every if any(fnmatch(each.name, pattern) for pattern in only)]
        if not chosen:
            raise click.UsageError("no scenario has such a name: " + ", ".join(each.name for each in every))
    else:
        chosen = [*(scenarios.QUICK if quick else scenarios.MAIN)]
        chosen += scenarios.PEER if peers else ()
        chosen += scenarios.CLIFFS if cliffs else ()
        chosen += scenarios.LONG if cliffs and long else ()
    return [replace(each, events=min(each.events, events)) for each in chosen] if events else chosen


if __name__ == "__main__":
    main()
