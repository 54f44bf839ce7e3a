"""Runs as rows of a spool file's database.

Rule: the events of a file are numbered, and a row holds those from its `id` to its `last`. What is read or leaves is
exact to the event: where only a part of a row leaves, the row is cut in two before.
"""

from __future__ import annotations

import sqlite3
import struct
import sys
from collections.abc import Iterator, Sequence
from contextlib import closing
from operator import attrgetter
from typing import Final

from loghttp._batch import Run, count, parted

TABLE: Final = """
CREATE TABLE events (id INTEGER PRIMARY KEY, last INTEGER NOT NULL, created REAL NOT NULL, born REAL NOT NULL,
                     times BLOB NOT NULL, body BLOB NOT NULL);
"""
"""`times` are those of the events, eight bytes each, and `created` is the earliest; `born` is by the wall clock."""
DISK_COST: Final = 40
"""Bytes that an event occupies on disk besides its body, if it is alone in its row; in a long row, half of that."""


def weight(runs: Sequence[Run]) -> int:
    """Bytes that they are taken to occupy on disk; that of their parts together is the same."""
    return DISK_COST * count(runs) + sum([run.size for run in runs])


def insert(db: sqlite3.Connection, runs: Sequence[Run], born: float) -> None:
    """A row for each, under the numbers that its events have."""
    rows = [
        (run.row, run.last, min(run.created), born, struct.pack(f"<{run.number}d", *run.created), run.body)
        for run in runs
    ]
    db.executemany("INSERT INTO events (id, last, created, born, times, body) VALUES (?, ?, ?, ?, ?, ?)", rows)


def restored(row: int, last: int, born: float, times: bytes, body: bytes) -> Run:
    """The run of a row. Raises `sqlite3.DatabaseError` for one that was damaged."""
    if not (type(row) is type(last) is int and type(born) is float and type(times) is type(body) is bytes):
        raise sqlite3.DatabaseError("a row of events is damaged")
    number = last - row + 1
    if number < 1 or len(times) != 8 * number or (number > 1 and body.count(b"\n") != number - 1):
        raise sqlite3.DatabaseError("a row of events is damaged")
    return Run(body, struct.unpack(f"<{number}d", times), born, row)


def select(db: sqlite3.Connection, start: int, events: int, size: int) -> list[Run]:
    """From the number `start` on: so many events, or so many bytes, and the rest of that row. `born` is as stored."""
    query = """
        SELECT id, last, born, times, body FROM events
        WHERE id >= coalesce((SELECT max(id) FROM events WHERE id <= ?), 0) AND last >= ? ORDER BY id
    """
    runs: list[Run] = []
    with closing(db.execute(query, (start, start))) as rows:
        for row in rows:
            run = restored(*row)
            runs.append(run if run.row >= start else run.part(start - run.row))
            events, size = events - runs[-1].number, size - runs[-1].size
            if events <= 0 or size <= 0:
                break
    return runs


def delete(db: sqlite3.Connection, first: int, last: int) -> None:
    """Remove the events with the numbers from `first` to `last`, as many as there are; within a transaction."""
    _cut(db, first)
    _cut(db, last + 1)
    db.execute("DELETE FROM events WHERE id BETWEEN ? AND ?", (first, last))


def _cut(db: sqlite3.Connection, number: int) -> None:
    """Have no row hold both this event and the one before it."""
    query = """
        SELECT id, last, born, times, body FROM events
        WHERE id = (SELECT max(id) FROM events WHERE id < ?) AND last >= ?
    """
    for row in db.execute(query, (number, number)).fetchall():
        run = restored(*row)
        db.execute("DELETE FROM events WHERE id = ?", (run.row,))
        before, rest = parted([run], number - run.row)
        insert(db, [*before, *rest], run.born)


def numbered(runs: Sequence[Run], first: int) -> list[Run]:
    """The same runs, the first event of which is number `first` of a file."""
    found = []
    for run in runs:
        found.append(run._replace(row=first))
        first += run.number
    return found


def extents(runs: Sequence[Run]) -> list[tuple[int, int]]:
    """The numbers of their events, in order: first and last of each stretch without a gap."""
    found: list[tuple[int, int]] = []
    for run in sorted(runs, key=attrgetter("row")):
        begins = run.row
        if found and found[-1][1] + 1 == begins:
            begins, _ = found.pop()
        found.append((begins, run.last))
    return found


def taken_out(runs: Sequence[Run], leaving: Sequence[Run]) -> tuple[list[Run], list[Run]]:
    """Of `runs`, the events with the numbers of those that are `leaving`, and the rest; both in order."""
    taken: list[Run] = []
    rest = [*runs]
    for first, last in extents(leaving):
        taken += _within(rest, first, last)
        rest = [*_within(rest, 0, first - 1), *_within(rest, last + 1, sys.maxsize)]
    return taken, rest


def _within(runs: Sequence[Run], first: int, last: int) -> Iterator[Run]:
    for run in runs:
        if first <= run.row and run.last <= last:
            yield run
        elif run.row <= last and first <= run.last:
            yield run.part(max(0, first - run.row), last + 1 - run.row)
