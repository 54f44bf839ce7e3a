"""How `loghttp spool` looks in a terminal: a table for each destination, and a bar for what takes its time.

Rule: that of `_output`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from itertools import groupby
from typing import Final

from rich.console import Console, Group
from rich.padding import Padding
from rich.progress import BarColumn, Progress, ProgressColumn, Task, TextColumn
from rich.table import Table
from rich.text import Text

from loghttp.cli import _spool_text as text
from loghttp.cli._output import WIDEST, age, plain_table, size
from loghttp.cli._spool_folder import File, Folder, Owner, Row

_FULL_NAMES: Final = 100
"""Columns of the terminal from which on a file's whole name fits; below, its destination's digest is above."""
_COLUMNS: Final = ("file", "owner", "events", "size", "oldest", "refused")
_OWNERS: Final[dict[Owner, str]] = {"alive": "green", "dead": "yellow", "none": "dim", "unknown": "red"}


def show(folder: Folder, now: float, hint: str) -> None:
    """Print the folder to standard output."""
    console, width = _console()
    console.print(Text(str(folder.path), style="bold"), width=width, soft_wrap=True)
    rows = {file.name: _cells(file, now, full=width >= _FULL_NAMES) for file in folder.files}
    widths = [max(len(cell) for cell in column) for column in zip(_COLUMNS, *rows.values(), strict=True)]
    for (url, digest), files in groupby(folder.files, key=lambda file: (file.url, file.digest)):
        console.print()
        console.print(Text.assemble((url or "destination unknown", "cyan"), (f"  {digest}-...", "dim")), width=width)
        console.print(_table([rows[file.name] for file in files], widths), width=width)
    console.print()
    notes = text.notes(folder)
    for note in notes:
        console.print(Text(note, style="yellow"), width=width)
    if notes:
        console.print()
    console.print(Text(text.total(folder, now), style="bold"), width=width)
    if hint:
        console.print(Text(hint, style="dim"), width=width, soft_wrap=True)


def show_refused(rows: Iterable[Row]) -> None:
    """Print refused events, each with the intake's words below it."""
    console, width = _console()
    for file, group in groupby(rows, key=lambda row: row.file):
        console.print(Text(file, style="cyan"), width=width, soft_wrap=True)
        for row in group:
            event = Text(text.event_text(row), style="bold")
            event.truncate(max(20, 3 * (width - 2)), overflow="ellipsis")
            times = Text(f"created {text.when(row.created)}, refused {text.when(row.refused)}", style="dim")
            words = Text(" ".join(row.words.split()), style="red")
            console.print(Padding(Group(event, words, times), (0, 0, 1, 2), expand=False), width=width)


@contextmanager
def bar(what: str, total: int) -> Iterator[tuple[Callable[[int, int], None], Callable[[str], None]]]:
    """A bar on stderr: how to say (done, of how many), and how to say something above it."""
    console = Console(stderr=True, highlight=False)
    columns = (TextColumn("{task.description}"), BarColumn(bar_width=None), _Left(), _Rate())
    with Progress(*columns, console=console, transient=True, expand=False) as progress:
        task = progress.add_task(what, total=total)

        def update(done: int, of: int) -> None:
            progress.update(task, completed=done, total=of)

        def say(line: str) -> None:
            console.print(Text(line, style="yellow"))

        yield update, say


def _console() -> tuple[Console, int]:
    console = Console(highlight=False)
    return console, min(console.width, WIDEST)


def _cells(file: File, now: float, *, full: bool) -> list[Text]:
    unread = file.state != "readable"
    return [
        Text(file.name if full else file.name.partition("-")[2] or file.name),
        Text.assemble(f"{text.pid(file)} ", (file.owner, _OWNERS[file.owner])),
        Text("?" if unread else f"{file.events:,}"),
        Text(size(file.disk_bytes if unread else file.bytes)),
        Text("?" if unread else age(file.oldest, now)),
        Text("?" if unread else f"{file.dead_letters:,}", style="bold red" if file.dead_letters else ""),
    ]


def _table(rows: list[list[Text]], widths: list[int]) -> Table:
    """Each destination has its own table, and all of them the same widths."""
    table = plain_table()
    for name, width in zip(_COLUMNS, widths, strict=True):
        on_the_left = name in {"file", "owner"}
        table.add_column(
            name,
            justify="left" if on_the_left else "right",
            overflow="fold" if on_the_left else "ellipsis",
            min_width=min(width, 40),
        )
    for row in rows:
        table.add_row(*row)
    return table


class _Left(ProgressColumn):
    def render(self, task: Task) -> Text:
        return Text(f"{max(0, task.remaining or 0):,.0f} left")


class _Rate(ProgressColumn):
    def render(self, task: Task) -> Text:
        return Text(f"{task.speed:,.0f}/s" if task.speed else "", style="dim")
