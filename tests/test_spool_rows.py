"""A row of a spool file holds many events; what is read of it and what leaves is exact to the event all the same."""

from __future__ import annotations

import random
import sqlite3
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from cases import each
from spools import bodies, rows

from loghttp._batch import Run, count, gathered
from loghttp._spool_file import SpoolFile
from loghttp._spool_rows import restored, taken_out, weight

ROOM = 1_000_000


def runs(first: int, last: int) -> list[Run]:
    """The events number `first` to `last`, in runs of 64 at most; each says its number and its time."""
    numbers = range(first, last + 1)
    return [*gathered([b"event %d" % n for n in numbers], [1e9 + n for n in numbers], 0.0)]


def numbers(found: Sequence[Run]) -> list[int]:
    """Of their events; fails where one is not that of its number, or has another's time."""
    expected = [number for run in found for number in range(run.row, run.last + 1)]
    assert [(b"event %d" % n, 1e9 + n) for n in expected] == [
        pair for run in found for pair in zip(run.events, run.created, strict=True)
    ]
    return expected


def numbered(first: int, last: int) -> Run:
    """A run of which only the numbers count."""
    return Run(b"", (0.0,) * (last + 1 - first), 0.0, first)


def stored(file: SpoolFile) -> list[int]:
    return [int(body.split()[1]) for body in bodies(file.path)]


@pytest.fixture
def file(tmp_path: Path) -> Iterator[SpoolFile]:
    file = SpoolFile.make(tmp_path, "destination", fsync=False, url="")
    yield file
    file.close()


def test_a_row_holds_many_events(file: SpoolFile) -> None:
    """There is a row for 128 events, not for each: that is what makes the spool quick."""
    file.append(runs(1, 300))
    assert [(1, 128), (129, 256), (257, 300)] == rows(file.path, "SELECT id, last FROM events ORDER BY id")
    assert (300, 1, 300) == (file.count, file.first, file.last)


@pytest.mark.parametrize("remember", [0, ROOM])
def test_a_batch_ends_where_it_must(file: SpoolFile, remember: int) -> None:
    """At most so many events, about so many bytes, at least one: a row may be read in parts, from disk or memory."""
    file.append(runs(1, 100), remember)
    for most, size, expected in [(70, ROOM, 70), (ROOM, 40, 5), (ROOM, 1, 1), (1, ROOM, 1), (ROOM, ROOM, 23)]:
        first = file.first
        found = file.read(most, size)
        assert list(range(first, first + expected)) == numbers(found)
        file.delete(found)
    assert (0, 0, 101, []) == (file.count, file.bytes, file.first, stored(file))


@pytest.mark.parametrize(
    ("first", "last"),
    [(1, 1), (1, 64), (1, 70), (30, 30), (30, 40), (30, 64), (30, 100), (64, 65), (65, 128), (128, 128), (1, 128)],
)
def test_a_part_of_a_row_leaves(file: SpoolFile, first: int, last: int) -> None:
    """The rest of the row stays, with its own numbers and times, and the books of the file are right."""
    file.append(runs(1, 128))
    leaving, staying = taken_out(file.read(ROOM, ROOM), [numbered(first, last)])
    file.delete(leaving)
    left = [n for n in range(1, 129) if not first <= n <= last]
    assert (left, left, list(range(first, last + 1))) == (stored(file), numbers(staying), numbers(leaving))
    assert (len(left), min(left, default=129), weight(staying)) == (file.count, file.first, file.bytes)
    assert [(1e9 + n,) for n in left[:1]] == rows(file.path, "SELECT created FROM events ORDER BY id LIMIT 1")


@each("seed", range(20))
def test_whatever_leaves_in_whatever_order(seed: int, tmp_path: Path) -> None:
    """Events are appended, read, delivered, refused and dropped at random, and the file now and then adopted."""
    chance = random.Random(seed)  # noqa: S311  the same each time
    file = SpoolFile.make(tmp_path, "destination", fsync=False, url="")
    left: list[int] = []
    refused: list[int] = []
    hand: list[Run] = []
    for _ in range(100):
        match chance.choice(("append", "read", "deliver", "deliver", "refuse", "drop", "adopt")):
            case "append":
                some = runs(file.last + 1, file.last + chance.choice((1, 10, 64, 200)))
                file.append(some, chance.choice((0, 30_000)))
                left += range(file.last + 1 - count(some), file.last + 1)
            case "read" if not hand and left:
                hand = file.read(chance.choice((1, 40, 64, 150)), chance.choice((300, 3_000, ROOM)))
                assert left[: count(hand)] == numbers(hand)
            case ("deliver" | "refuse") as what if hand:
                held = numbers(hand)
                first, last = sorted(chance.choices(held, k=2))
                leaving, hand = taken_out(hand, [numbered(first, last)])
                file.delete(leaving) if what == "deliver" else file.bury(leaving, "no")
                gone = numbers(leaving)
                assert [n for n in held if first <= n <= last] == gone
                left = [n for n in left if n not in gone]
                refused += gone if what == "refuse" else []
            case "drop":
                after = hand[-1].last if hand else 0
                if victims := file.read(chance.choice((1, 70)), ROOM, after=after):
                    assert [n for n in left if n > after][: count(victims)] == numbers(victims)
                    file.delete(victims)
                    left = [n for n in left if n not in numbers(victims)]
            case "adopt" if left:
                hand = []
                file.close()
                file = SpoolFile.adopt(file.path, fsync=False)
        assert left == stored(file)
        assert (len(left), min(left, default=file.last + 1)) == (file.count, file.first)
        assert weight(runs(1, 1)) * file.count <= file.bytes < weight(runs(10_000, 10_000)) * file.count or not left
    assert [(1e9 + n, b"event %d" % n) for n in refused] == [(at, body) for at, _, _, body in file.dead_letters()]
    file.close()


def test_what_could_not_be_deleted_is_not_read_again(file: SpoolFile) -> None:
    """Where the disk does not let events be deleted, they go with the next that are, in the middle of a row too."""
    file.append(runs(1, 100))
    hand = file.read(30, ROOM)
    file.done(hand)
    assert (70, 31, 100) == (file.count, file.first, len(stored(file)))
    hand = file.read(10, ROOM)
    assert list(range(31, 41)) == numbers(hand)
    file.delete(hand)
    assert (60, 41, list(range(41, 101))) == (file.count, file.first, stored(file))


def test_what_could_not_be_deleted_takes_nothing_along(file: SpoolFile) -> None:
    """Events before those, which are still under way, stay on the disk until they leave themselves."""
    file.append(runs(1, 20))
    (hand,) = file.read(20, ROOM)
    file.done([hand.part(10)])
    assert (10, 1) == (file.count, file.first)
    file.delete([hand.part(0, 5)])
    assert (5, 6, list(range(6, 11))) == (file.count, file.first, stored(file))


def test_a_file_is_kept_for_what_left_is_no_more_than_a_part(tmp_path: Path) -> None:
    """At the end, too: the next process finds what this one gave up, though later events had left."""
    file = SpoolFile.make(tmp_path, "destination", fsync=False, url="")
    file.append(runs(1, 20))
    (hand,) = file.read(20, ROOM)
    file.done([hand.part(10)])
    file.close()
    assert set(range(1, 11)) <= set(stored(file))
    file = SpoolFile.adopt(file.path, fsync=False)
    file.done(file.read(20, ROOM))
    file.close()
    assert not file.path.exists()


def test_an_event_with_a_newline_is_a_row(file: SpoolFile) -> None:
    """It comes back as it was, between its neighbours."""
    events = [b"one", b"two\nlines", b"three"]
    file.append([*gathered(events, [1.0, 2.0, 3.0], 0.0)])
    found = file.read(ROOM, ROOM)
    assert events == [event for run in found for event in run.events]
    assert [1, 2, 3] == [run.row for run in found]


def test_a_damaged_row_is_told(file: SpoolFile) -> None:
    """Where bits have turned on the disk, no event is taken for another: the file cannot be read."""
    good = (1, 2, 0.0, bytes(16), b"one\ntwo")
    assert [b"one", b"two"] == restored(*good).events
    for bad in [(1, 3, *good[2:]), (*good[:3], bytes(15), good[4]), (*good[:4], b"one two"), (2, 1, *good[2:])]:
        with pytest.raises(sqlite3.DatabaseError):
            restored(*bad)
