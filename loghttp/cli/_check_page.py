"""How `loghttp check` looks: the same lines in a pipe, plain, and in a terminal, in colours and folded to its width.

Rule: that of `_output`.
"""

from __future__ import annotations

import sys
from typing import Any, Final

import click

from loghttp.cli._check_step import Step

_MARKS: Final = {"ok": "ok", "note": "note", "failed": "FAIL"}
_STYLES: Final = {"ok": "green", "note": "yellow", "failed": "bold red"}
_WIDEST: Final = 120  # beyond that, eyes lose the line
_TIME: Final = 9  # columns, at the right


class Page:
    """Prints to standard output as things become known."""

    def __init__(self) -> None:
        self._console: Any = None
        if sys.stdout.isatty():
            from rich.console import Console  # noqa: PLC0415 - it takes its time, which a pipe needs not wait for

            self._console = Console(highlight=False)

    def title(self, text: str, more: str) -> None:
        self._line([(text, "bold"), (f"  {more}", "")])

    def step(self, step: Step) -> None:
        took = "" if step.seconds is None else took_text(step.seconds)
        self._row(_MARKS[step.outcome], _STYLES[step.outcome], step.name, step.text, step.advice, took)

    def finding(self, outcome: str, what: str, text: str, advice: str) -> None:
        self._row(_MARKS[outcome], _STYLES[outcome], what, text, advice, "")

    def verdict(self, text: str, fine: bool) -> None:
        self._line([(text, "bold green" if fine else "bold red")])

    def blank(self) -> None:
        self._line([])

    def _line(self, parts: list[tuple[str, str]]) -> None:
        if self._console is None:
            click.echo("".join(text for text, _ in parts))
            return
        from rich.text import Text  # noqa: PLC0415 - see above

        self._console.print(Text.assemble(*parts), width=self._width)

    def _row(self, mark: str, style: str, name: str, text: str, advice: str, took: str) -> None:
        if self._console is None:
            click.echo(f"  {mark:<4}  {name:<12}  {text}{f'  ({took})' if took else ''}")
            if advice:
                click.echo(f"  {'':<4}  {'':<12}  -> {advice}")
            return
        from rich.table import Table  # noqa: PLC0415 - see above
        from rich.text import Text  # noqa: PLC0415 - see above

        row = Table.grid(padding=(0, 2, 0, 0))
        row.add_column(width=4)
        row.add_column(width=12)
        row.add_column(width=self._width - 2 - 6 - 14 - 2 - _TIME, overflow="fold")
        row.add_column(width=_TIME - 2, justify="right", style="dim", no_wrap=True)
        said = Text(text)
        if advice:
            said.append(f"\n{advice}", style="bold" if mark == "FAIL" else "")
        row.add_row(Text(mark, style=style), Text(name), said, Text(took))
        from rich.padding import Padding  # noqa: PLC0415 - see above

        self._console.print(Padding(row, (0, 0, 0, 2), expand=False), width=self._width)

    @property
    def _width(self) -> int:
        return min(int(self._console.width), _WIDEST)


def took_text(seconds: float) -> str:
    return f"{seconds:.1f} s" if seconds >= 0.9995 else f"{seconds * 1000:.0f} ms"
