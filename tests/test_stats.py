"""The books: every record is entered once, and a snapshot reads at a glance."""

from __future__ import annotations

from dataclasses import FrozenInstanceError
from datetime import datetime, timezone
from typing import Any, get_args

import pytest
from cases import each
from hypothesis import given, settings
from hypothesis import strategies as st

import loghttp
from loghttp._stats import DROP_REASONS, Books, DropReason, Losses, iso


def stats_of(**changes: Any) -> loghttp.Stats:
    """A snapshot of a line on which nothing has happened but `changes`."""
    nothing = {
        **dict.fromkeys(("accepted", "delivered", "pending", "spooled", "requests", "retries", "splits"), 0),
        "bytes_sent": 0,
        "dropped": {},
        "last_error": None,
        "last_success": None,
    }
    return loghttp.Stats(**{**nothing, **changes})


# ---- the books

entries = st.lists(
    st.one_of(
        st.tuples(st.just("accept"), st.integers(1, 9)),
        st.tuples(st.just("deliver"), st.integers(1, 9)),
        st.tuples(st.sampled_from(sorted(get_args(DropReason))), st.integers(1, 9)),
    ),
    max_size=30,
)


@given(entries)
@settings(deadline=None, max_examples=100)
def test_the_sum_holds_after_every_entry(lines: list[tuple[Any, int]]) -> None:
    """`accepted == delivered + pending + sum(dropped.values())`, whatever is entered, after each line."""
    books = Books()
    for what, count in lines:
        if what == "accept":
            books.accepted += count
        elif what == "deliver":
            books.deliver(count)
        else:
            books.drop(what, count, 1.0, 2.0)
        stats = books.stats()
        assert stats.accepted == stats.delivered + stats.pending + sum(stats.dropped.values())


def test_losses_are_counted_by_reason() -> None:
    """Each reason has its own count, and reasons that did not occur are not there."""
    books = Books()
    books.accepted = 6
    books.drop("queue_full", 2, 1.0, 2.0)
    books.drop("queue_full", 1, 3.0, 3.0)
    books.drop("refused", 1, 4.0, 4.0)
    assert {"queue_full": 3, "refused": 1} == dict(books.stats().dropped)
    assert 2 == books.stats().pending


def test_a_record_that_never_got_in_is_accepted_and_lost() -> None:
    """A filter or formatter that raises costs the record, and that is in the books."""
    books = Books()
    books.never_left(5.0)
    stats = books.stats()
    assert (1, 0, {"encoding": 1}) == (stats.accepted, stats.pending, dict(stats.dropped))


def test_a_success_has_its_time() -> None:
    """`last_success` is aware, in UTC, and now."""
    books = Books()
    assert None is books.stats().last_success
    before = datetime.now(timezone.utc)
    books.deliver(1)
    success = books.stats().last_success
    assert success is not None
    assert timezone.utc == success.tzinfo
    assert 0 <= (success - before).total_seconds() < 60


def test_every_reason_is_explained() -> None:
    """Each reason for a loss says what it means, and where there is one, what to do."""
    assert set(get_args(DropReason)) == set(DROP_REASONS)
    assert all(DROP_REASONS.values())
    assert DROP_REASONS is loghttp.DROP_REASONS


# ---- a snapshot


def test_a_snapshot_does_not_change() -> None:
    """What a program holds in its hand is the state of one instant."""
    books = Books()
    books.drop("refused", 1, 1.0, 1.0)
    stats = books.stats()
    books.drop("refused", 1, 1.0, 1.0)
    assert {"refused": 1} == dict(stats.dropped)
    with pytest.raises(FrozenInstanceError):
        stats.accepted = 7  # type: ignore[misc]
    with pytest.raises(TypeError):
        stats.dropped["refused"] = 7  # type: ignore[index]


@each(
    ("stats", "shown"),
    [
        (stats_of(), "<Stats accepted 0 | delivered 0 | pending 0 | dropped 0 | requests 0 | sent 0 bytes>"),
        (
            stats_of(accepted=12_345, delivered=12_000, pending=345, requests=13, bytes_sent=1_048_576),
            "<Stats accepted 12,345 | delivered 12,000 | pending 345 | dropped 0 | requests 13 | sent 1,048,576 bytes>",
        ),
        (
            stats_of(accepted=9, pending=4, spooled=3, dropped={"queue_full": 3, "refused": 2}, retries=1, splits=2),
            "<Stats accepted 9 | delivered 0 | pending 4 (spooled 3) | dropped 3 queue_full, 2 refused | requests 0"
            " | retries 1 | splits 2 | sent 0 bytes>",
        ),
        (
            stats_of(last_error="HTTP 503: busy"),
            "<Stats accepted 0 | delivered 0 | pending 0 | dropped 0 | requests 0 | sent 0 bytes"
            " | last error: HTTP 503: busy>",
        ),
    ],
    ids=["nothing", "healthy", "losses", "error"],
)
def test_a_snapshot_reads_at_a_glance(stats: loghttp.Stats, shown: str) -> None:
    """The repr is a debugging surface: numbers with their names, trouble only where there is some."""
    assert shown == repr(stats)


# ---- losses that somebody must be told of


def test_losses_are_taken_once_by_each_listener() -> None:
    """The logger and the intake are each told of every loss once."""
    books = Books()
    books.drop("expired", 2, 10.0, 20.0)
    log = books.take_untold_log()
    books.drop("queue_full", 1, 5.0, 5.0)
    assert {"expired": 2} == log.counts
    assert {"queue_full": 1} == books.take_untold_log().counts
    assert {"expired": 2, "queue_full": 1} == books.take_untold_intake().counts
    assert 0 == books.take_untold_log().total + books.take_untold_intake().total


def test_losses_span_from_the_first_to_the_last() -> None:
    """The times are those of the records, not of the loss; what is merged is the sum of both."""
    losses, more = Losses(), Losses()
    losses.add("expired", 2, 100.0, 200.0)
    more.add("expired", 1, 50.0, 60.0)
    more.add("refused", 1, 250.0, 250.0)
    losses.merge(more)
    assert ({"expired": 3, "refused": 1}, 4, 50.0, 250.0) == (losses.counts, losses.total, losses.first, losses.last)


@pytest.mark.parametrize(
    ("counts", "words"),
    [
        ({"expired": 1}, "1 record lost (1 expired)"),
        ({"queue_full": 3, "expired": 2}, "5 records lost (3 queue_full, 2 expired)"),
    ],
)
def test_losses_are_told_in_one_line(counts: dict[DropReason, int], words: str) -> None:
    """How many, why, and between which times."""
    losses = Losses()
    for reason, count in counts.items():
        losses.add(reason, count, 1_537_537_729.0, 1_537_537_729.5)
    times = "logged between 2018-09-21T13:48:49.000000+00:00 and 2018-09-21T13:48:49.500000+00:00"
    assert f"{words}, {times}" == str(losses)


@pytest.mark.parametrize(
    ("created", "text"),
    [
        (0.0, "1970-01-01T00:00:00.000000+00:00"),
        (1_537_537_729.25, "2018-09-21T13:48:49.250000+00:00"),
        (253_402_300_799.0, "9999-12-31T23:59:59.000000+00:00"),
    ],
)
def test_times_are_rfc_3339(created: float, text: str) -> None:
    """UTC, with microseconds, always of the same length, so that they sort as text."""
    assert text == iso(created)
