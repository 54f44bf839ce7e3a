"""Results as tables: in the terminal, and as Markdown for the README."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from rich.markup import escape
from rich.table import Table

from budget import BUDGET, ROUNDS
from peers import PEERS
from runs import Report, Result

_COLUMNS = ("p50", "p99", "p99.9", "max", "CPU an event", "events/s", "peak memory")


@dataclass(frozen=True, slots=True)
class Sheet:
    """Rows of text; the first column is the name of the row."""

    title: str
    headings: Sequence[str]
    rows: Sequence[Sequence[str]]
    words: bool = False
    """Whether its cells are words, not numbers."""

    def rich(self) -> Table:
        table = Table(title=escape(self.title), title_justify="left")
        for number, heading in enumerate(self.headings):
            right = number > 0 and not self.words
            table.add_column(
                escape(heading), justify="right" if right else "left", overflow="fold", no_wrap=not self.words
            )
        for row in self.rows:
            table.add_row(*map(escape, row))
        return table

    def markdown(self) -> str:
        lines = (self.headings, ["---"] * len(self.headings), *self.rows)
        return f"{self.title}\n\n" + "".join(f"| {' | '.join(line)} |\n" for line in lines)


def sheets(report: Report) -> Iterable[Sheet]:
    results = report.medians()
    own = {name: result for name, result in results.items() if _peer_of(name) is None}
    yield Sheet(
        "µs; in brackets the ratio to logging.NullHandler in the same process (events/s: share of its pace); medians",
        ("scenario", *_COLUMNS),
        [(name, *_cells(result)) for name, result in own.items()],
    )
    peers = [name for name in report.rounds if _peer_of(name)]
    if peers:
        yield Sheet("The peers, likewise", ("peer", *_COLUMNS), [_peer_row(name, report, results) for name in peers])
        yield Sheet(
            "Their settings",
            ("peer", "version", "settings", "why"),
            [
                (name, report.versions.get(name, "?"), peer.settings, peer.reason)
                for name, peer in PEERS.items()
                if name in peers
            ],
            words=True,
        )
    if report.imports:
        yield Sheet(
            "Import time, ms",
            ("import", "ms", "against requests"),
            [(name, f"{ms:.0f}", f"{ms / report.imports['requests']:.2f}x") for name, ms in report.imports.items()],
        )
    yield _budget_sheet(results, max(map(len, report.rounds.values()), default=0))


def _budget_sheet(results: Mapping[str, Result], rounds: int) -> Sheet:
    bases = ("hec-plain", "hec-fast")
    rows = [
        (line.what, *(cell for base in bases for cell in (line.allowed(base), line.judge(results, base))))
        for line in BUDGET
    ]
    headings = ("what", "plain install", "measured", "loghttp[fast]", "measured")
    rough = "" if rounds >= ROUNDS else f"; {rounds} of the {ROUNDS} rounds it is meant for: a rough idea"
    return Sheet(f"The budget (x: ratios to logging.NullHandler, or as the line says){rough}", headings, rows)


def _peer_of(name: str) -> str | None:
    return next((peer for peer in PEERS if name in (peer, f"{peer}-50ms")), None)


def _peer_row(name: str, report: Report, results: Mapping[str, Result]) -> Sequence[str]:
    if name in results:
        return (name, *_cells(results[name]))
    return (name, f"not measured: {report.failures.get(name, '')}", *[""] * (len(_COLUMNS) - 1))


def _cells(result: Result) -> Sequence[str]:
    return (
        f"{result['p50']:.1f} ({result['p50_ratio']:.2f}x)",
        f"{result['p99']:,.0f}",
        f"{result['p999']:,.0f}",
        f"{result['max']:,.0f}",
        f"{result['cpu']:.1f} ({result['cpu_ratio']:.2f}x)",
        f"{result['rate']:,.0f} ({result['rate_ratio']:.0%})",
        f"{result['memory'] / 2**20:.1f} MiB",
    )
