"""The page that `loghttp demo` shows in a terminal.

Rule: that of `_output`; and plain ASCII but for the lines of tables, which rich draws as the terminal can.
"""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from typing import Any, Final

from rich.console import Console
from rich.table import Table
from rich.text import Text

from loghttp import DEFAULT_ATTRIBUTES
from loghttp.cli._demo_received import Event, Received, as_text, fold
from loghttp.cli._output import count, plain_table

WIDE: Final = 120
"""Columns of the terminal from which on every field of an event has room beside its text."""
_WIDEST: Final = 160  # beyond that, eyes lose the line
_GAP: Final = 2  # between two columns of a table
_BOOKS: Final = ": accepted = delivered + pending + dropped, at any moment"
_BOOKS_WIDTH: Final = 76  # with numbers of four digits
_HOST_WIDTH: Final = 24  # host names can be long; here they only have to be known again
_LEVELS: Final = {"INFO": "green", "WARNING": "yellow", "ERROR": "bold red"}


def show(everything: Sequence[Received], your_turn: str, next_steps: str) -> None:
    """Print the page to standard output."""
    console = Console(highlight=False)
    width = min(console.width, _WIDEST)
    records = max(received.stats.accepted for received in everything)
    console.print(
        f"A little shop logged {records} records; an intake on this machine received them.\n", style="dim", width=width
    )
    for received in everything:
        console.print(_title(received), width=width)
        console.print(_events(received, width), width=width)
        console.print(_on_each(received, width), width=width)
        console.print()
    console.print(Text("The books", style="bold").append(_BOOKS, style="not bold"), width=width)
    console.print(_books(everything, width), width=width)
    console.print()
    first, comma, rest = your_turn.partition(",")
    console.print(Text.assemble((first, "bold"), f"{comma}{rest}:\n"), width=width)
    # Lines to copy: not even a narrow terminal may break them, but for folding them itself.
    console.print(Text(textwrap.indent(next_steps, "    "), style="cyan"), soft_wrap=True)


def _title(received: Received) -> Text:
    came = f" received {count(len(received.events), 'event')} in {count(received.stats.requests, 'request')}"
    return Text.assemble((received.title, "bold"), came)


def _events(received: Received, width: int) -> Table:
    """One row an event; where the terminal is narrow, its fields stand below its text."""
    table, events = plain_table(), received.events
    if not events:
        return table
    names = _leading(received, width)
    left = width
    for name in names:
        needed = min(max(len(name), *(len(_cell(event, name)) for event in events)), _HOST_WIDTH)
        table.add_column(name, no_wrap=True, width=needed)
        left -= needed + _GAP
    texts = [_text(event) for event in events]
    others = "fields" if received.key == "humio" else "members"
    wide = width >= WIDE
    if wide:
        needed = min(max(line.cell_len for text in texts for line in text.split()), left * 9 // 20)
        table.add_column(events[0].text_name, width=needed, overflow="fold")
        left -= needed + _GAP
        table.add_column(others, overflow="fold")
    else:
        table.add_column(f"{events[0].text_name}, {others}", overflow="fold")
    for event, text in zip(events, texts, strict=True):
        cells = [Text(_cell(event, name), style=_style(name, _cell(event, name))) for name in names]
        fields = _fields(event, left)
        table.add_row(*cells, *((text, fields) if wide else [Text("\n").join([text, fields])]))
    return table


def _text(event: Event) -> Text:
    text = Text(event.columns[event.text_name], style="bold")
    if event.traceback and event.traceback_in == event.text_name:
        text = Text("\n").join([text, _folded(event)])
    return text


def _fields(event: Event, width: int) -> Text:
    fields = _pairs(event.extras, width)
    if event.traceback and event.traceback_in != event.text_name:
        traceback = Text.assemble((f"{event.traceback_in}=", "cyan"), _folded(event))
        fields = Text("\n").join([fields, traceback])
    return fields


def _folded(event: Event) -> Text:
    first, between, last = fold(event.traceback)
    return Text.assemble(f"{first}\n", (f"{between}\n", "dim"), (last, "red"))


def _leading(received: Received, width: int) -> list[str]:
    """The columns before the text; a narrow terminal has room for those that differ."""
    if not received.events:
        return []
    *names, _ = received.events[0].columns
    same = received.same_on_all()
    return names if width >= WIDE else [name for name in names if name not in same]


def _cell(event: Event, name: str) -> str:
    value = event.columns[name]
    return value[11:23] + "Z" if name == "@timestamp" else value  # the time of day, in UTC


def _style(name: str, value: str) -> str:
    if name == "@timestamp":
        return "dim"
    return _LEVELS.get(value, "") if name.endswith("level") else ""


def _pairs(values: Mapping[str, Any], width: int) -> Text:
    """`name=value name=value`, broken between pairs and not within."""
    text, column = Text(), 0
    for name, value in values.items():
        pair = Text.assemble((f"{name}=", "cyan"), (as_text(value), "bold magenta" if value == "[redacted]" else ""))
        if column and column + 2 + len(pair) > width:
            text.append("\n")
            column = 0
        elif column:
            text.append("  ")
            column += 2
        text.append_text(pair)
        column += len(pair)
    return text


def _on_each(received: Received, width: int) -> Text:
    """What is not in the table: what is the same on each event, and the attributes that one reads later."""
    shown = _leading(received, width)
    same = {name: value for name, value in received.same_on_all().items() if name not in shown}
    names = [name for name in (received.events[0].members if received.events else ()) if name in DEFAULT_ATTRIBUTES]
    own = ", ".join(name for name in names if name not in same)
    return Text.assemble(f"also on each: {own}\n", _pairs(same, width), style="dim")


def _books(everything: Sequence[Received], width: int) -> Table:
    """One row an intake; where the terminal is narrow, one column."""
    names = ("", "accepted", "delivered", "pending", "dropped", "requests", "bytes", "gzipped")
    lines = [[Text(name) for name in names], *map(_numbers, everything)]
    table = plain_table()
    head, *rows = lines if width >= _BOOKS_WIDTH else zip(*lines, strict=True)
    for number, name in enumerate(head):
        table.add_column(name, justify="right" if number else "left")
    for row in rows:
        table.add_row(*row)
    return table


def _numbers(received: Received) -> list[Text]:
    stats = received.stats
    lost = sum(stats.dropped.values())
    return [
        Text(received.title),
        Text(f"{stats.accepted:,}"),
        Text(f"{stats.delivered:,}", style="green" if stats.delivered == stats.accepted else ""),
        Text(f"{stats.pending:,}"),
        Text(f"{lost:,}", style="bold red" if lost else ""),
        Text(f"{stats.requests:,}"),
        Text(f"{received.raw_bytes:,}"),
        Text(f"{stats.bytes_sent:,}"),
    ]
