"""What the courier wants was mostly written a moment ago: then it is not read back from disk."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from loghttp._batch import Event
from loghttp._recent import Recent
from loghttp._spool_file import SpoolFile

ROOM = 1_000_000


def events(first: int, last: int, size: int = 10) -> list[Event]:
    """Those of rows `first` to `last`, before they have a row."""
    return [Event(str(n).encode().ljust(size), 1e9 + n, 0.0) for n in range(first, last + 1)]


def rows(found: Sequence[Event] | None) -> list[int]:
    """Their rows; fails where an event is not that of its row."""
    assert found is not None
    assert [int(event.body) for event in found] == [event.row for event in found]
    return [event.row for event in found]


@pytest.fixture
def queries(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What a file's database was asked since it was opened, as far as it concerns bodies."""
    return []


@pytest.fixture
def file(tmp_path: Path, queries: list[str]) -> Iterator[SpoolFile]:
    file = SpoolFile.make(tmp_path, "destination", fsync=False, url="")
    file._db.set_trace_callback(lambda query: queries.append(query) if query.startswith("SELECT id") else None)
    yield file
    file.close()


def test_rows_are_taken_in_order_by_number_and_by_bytes() -> None:
    """A batch is as many as asked for, or as many bytes, but at least one event."""
    recent = Recent()
    recent.put(events(1, 8), 80, 1, ROOM)
    assert [1, 2, 3] == rows(recent.take(1, 3, 1_000))
    assert [4, 5] == rows(recent.take(4, 100, 25))
    assert [6] == rows(recent.take(6, 100, 1))
    assert [7, 8] == rows(recent.take(7, 100, 1_000))
    assert None is recent.take(9, 100, 1_000)


def test_a_row_that_is_not_held_is_not_skipped() -> None:
    """Where an older row is wanted, nothing is given out of turn; what is older than that is let go."""
    recent = Recent()
    recent.put(events(5, 8), 40, 5, ROOM)
    assert None is recent.take(4, 100, 1_000)
    assert [7, 8] == rows(recent.take(7, 100, 1_000))


def test_what_is_held_is_bounded_in_bytes() -> None:
    """What does not fit is not held, and taking makes room again."""
    recent = Recent()
    most = 4 * (10 + 250)
    recent.put(events(1, 3), 30, 1, most)
    recent.put(events(4, 5), 20, 4, most)
    assert 3 == recent.last
    assert [1, 2, 3] == rows(recent.take(1, 100, 1_000))
    recent.put(events(6, 9), 40, 6, most)
    assert [6, 7, 8, 9] == rows(recent.take(6, 100, 1_000))


def test_what_was_just_written_is_not_read_back(file: SpoolFile, queries: list[str]) -> None:
    """In the normal case the disk is only written to."""
    for first in (1, 101, 201):
        file.append(events(first, first + 99), ROOM)
        taken = file.read(60, ROOM)
        file.delete(taken)
    assert list(range(181, 301)) == rows(file.read(1_000, ROOM))
    assert [] == queries


def test_a_backlog_is_read_from_disk_and_then_no_more(file: SpoolFile, queries: list[str]) -> None:
    """When more waits than is remembered, all comes in order, once; caught up with, memory is enough again."""
    file.append(events(1, 10), 20 * 260)
    file.append(events(11, 100), 20 * 260)
    file.append(events(101, 110), 20 * 260)
    seen: list[int] = []
    while batch := file.read(8, ROOM):
        seen += rows(batch)
        file.delete(batch)
    assert list(range(1, 111)) == seen
    asked = len(queries)
    assert asked > 1
    file.append(events(111, 120), 20 * 260)
    assert list(range(111, 121)) == rows(file.read(100, ROOM))
    assert asked == len(queries)


def test_rows_that_gave_way_are_not_given_out(file: SpoolFile) -> None:
    """What is dropped from behind a batch in hand is gone from memory, too."""
    file.append(events(1, 20), ROOM)
    hand = file.read(5, ROOM)
    victims = file.read(5, ROOM, after=hand[-1].row)
    file.delete(victims)
    file.delete(hand)
    file.append(events(21, 30), ROOM)
    assert list(range(11, 31)) == rows(file.read(100, ROOM))
