"""What the courier wants was mostly written a moment ago: then it is not read back from disk."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from loghttp._batch import Run
from loghttp._recent import Recent
from loghttp._spool_file import SpoolFile
from loghttp._spool_rows import numbered

ROOM = 1_000_000


def runs(first: int, last: int) -> list[Run]:
    """The events number `first` to `last`, ten bytes each, three to a run, before they have a number."""
    found = []
    for start in range(first, last + 1, 3):
        numbers = range(start, min(start + 3, last + 1))
        body = b"\n".join(str(n).encode().ljust(10) for n in numbers)
        found.append(Run(body, tuple(1e9 + n for n in numbers), 0.0))
    return found


def hold(first: int, last: int, recent: Recent, most: int = ROOM) -> None:
    recent.put(numbered(runs(first, last), first), most)


def numbers(found: Sequence[Run] | None) -> list[int]:
    """Their events' numbers; fails where an event or its time is not that of its number."""
    assert found is not None
    expected = [number for run in found for number in range(run.row, run.last + 1)]
    assert expected == [int(event) for run in found for event in run.events]
    assert expected == [time - 1e9 for run in found for time in run.created]
    return expected


@pytest.fixture
def queries(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What a file's database was asked since it was opened, as far as it concerns bodies."""
    return []


@pytest.fixture
def file(tmp_path: Path, queries: list[str]) -> Iterator[SpoolFile]:
    file = SpoolFile.make(tmp_path, "destination", fsync=False, url="")
    file._db.set_trace_callback(lambda query: queries.append(query) if "ORDER BY id" in query else None)
    yield file
    file.close()


def test_events_are_taken_in_order_by_number_and_by_bytes() -> None:
    """A batch is as many as asked for, or as many bytes, but at least one event; a run may be cut for it."""
    recent = Recent()
    hold(1, 8, recent)
    assert [1, 2, 3, 4] == numbers(recent.take(1, 4, 1_000))
    assert [5, 6] == numbers(recent.take(5, 100, 25))
    assert [7] == numbers(recent.take(7, 100, 1))
    assert [8] == numbers(recent.take(8, 100, 1_000))
    assert None is recent.take(9, 100, 1_000)


def test_an_event_that_is_not_held_is_not_skipped() -> None:
    """Where an older event is wanted, nothing is given out of turn; what is older than that is let go."""
    recent = Recent()
    hold(5, 8, recent)
    assert None is recent.take(4, 100, 1_000)
    assert [7, 8] == numbers(recent.take(7, 100, 1_000))


def test_what_is_held_is_bounded_in_bytes() -> None:
    """What does not fit is not held, and taking makes room again."""
    recent = Recent()
    most = 4 * (10 + 250)
    hold(1, 3, recent, most)
    hold(4, 5, recent, most)
    assert 3 == recent.last
    assert [1, 2] == numbers(recent.take(1, 2, 1_000))
    assert [3] == numbers(recent.take(3, 2, 1_000))
    hold(6, 9, recent, most)
    assert [6, 7, 8, 9] == numbers(recent.take(6, 100, 1_000))


def test_what_was_just_written_is_not_read_back(file: SpoolFile, queries: list[str]) -> None:
    """In the normal case the disk is only written to."""
    for first in (1, 101, 201):
        file.append(runs(first, first + 99), ROOM)
        taken = file.read(60, ROOM)
        file.delete(taken)
    assert list(range(181, 301)) == numbers(file.read(1_000, ROOM))
    assert [] == queries


def test_a_backlog_is_read_from_disk_and_then_no_more(file: SpoolFile, queries: list[str]) -> None:
    """When more waits than is remembered, all comes in order, once; caught up with, memory is enough again."""
    file.append(runs(1, 10), 20 * 260)
    file.append(runs(11, 100), 20 * 260)
    file.append(runs(101, 110), 20 * 260)
    seen: list[int] = []
    while batch := file.read(8, ROOM):
        seen += numbers(batch)
        file.delete(batch)
    assert list(range(1, 111)) == seen
    asked = len(queries)
    assert asked > 1
    file.append(runs(111, 120), 20 * 260)
    assert list(range(111, 121)) == numbers(file.read(100, ROOM))
    assert asked == len(queries)


def test_events_that_gave_way_are_not_given_out(file: SpoolFile) -> None:
    """What is dropped from behind a batch in hand is gone from memory, too."""
    file.append(runs(1, 20), ROOM)
    hand = file.read(5, ROOM)
    victims = file.read(5, ROOM, after=hand[-1].last)
    file.delete(victims)
    file.delete(hand)
    file.append(runs(21, 30), ROOM)
    assert list(range(11, 31)) == numbers(file.read(100, ROOM))
