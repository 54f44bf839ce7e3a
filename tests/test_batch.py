"""Runs and batches are values: what becomes smaller becomes new ones, and no event is lost or doubled on the way."""

from __future__ import annotations

import tracemalloc
from collections.abc import Sequence
from dataclasses import FrozenInstanceError

import pytest
from cases import each
from hypothesis import given, settings
from hypothesis import strategies as st

from loghttp._batch import EVENT_COST, LARGE, Batch, Run, cost, count, fitting, gathered, parted, span


def batch_of(texts: str, attempts: int = 0) -> Batch:
    """One event for each letter."""
    return Batch(tuple(Run(letter.encode(), (0.0,), 0.0) for letter in texts), attempts)


def texts_of(batches: list[Batch]) -> list[str]:
    return [b"".join(batch.bodies).decode() for batch in batches]


@each(
    ("texts", "parts"),
    [("ab", ["a", "b"]), ("abc", ["a", "bc"]), ("abcd", ["ab", "cd"]), ("abcdefg", ["abc", "defg"])],
)
def test_a_batch_is_halved_in_order(texts: str, parts: list[str]) -> None:
    """Without a hint a batch becomes its two halves, oldest first."""
    assert parts == texts_of(batch_of(texts).split())


@each(
    ("hint", "parts"),
    [(0, ["a", "bcd"]), (1, ["a", "b", "cd"]), (2, ["ab", "c", "d"]), (3, ["abc", "d"])],
)
def test_a_hint_sets_the_bad_event_alone(hint: int, parts: list[str]) -> None:
    """The event that the intake named stands alone, and what was around it stays together."""
    assert parts == texts_of(batch_of("abcd").split(hint))


@pytest.mark.parametrize("hint", [4, 5, 10**9])
def test_a_hint_beyond_the_batch_is_no_hint(hint: int) -> None:
    """An intake that counts otherwise than we do does no harm."""
    assert ["ab", "cd"] == texts_of(batch_of("abcd").split(hint))


@given(st.integers(2, 40), st.none() | st.integers(0, 60))
@settings(deadline=None, max_examples=100)
def test_no_split_loses_or_doubles_an_event(number: int, hint: int | None) -> None:
    """The parts together are the whole, in order; none is empty, and each is smaller than the whole."""
    whole = batch_of("".join(chr(97 + index) for index in range(number)))
    parts = whole.split(hint)
    assert [*whole.bodies] == [body for part in parts for body in part.bodies]
    assert all(0 < len(part) < number for part in parts)


def test_the_parts_remember_the_attempts() -> None:
    """A part of a batch that was sent three times has been sent three times."""
    assert [3, 3] == [part.attempts for part in batch_of("ab", attempts=3).split()]


def test_a_batch_never_changes() -> None:
    """A batch is a frozen value, and so are its events."""
    batch = batch_of("ab")
    with pytest.raises(FrozenInstanceError):
        batch.attempts = 1  # type: ignore[misc]
    with pytest.raises(AttributeError):
        batch.runs[0].body = b""  # type: ignore[misc]


def test_an_event_costs_more_than_its_body() -> None:
    """Memory is counted in what an event really occupies, so a million empty ones are not free."""
    assert EVENT_COST + 5 == Run(b"12345", (0.0,), 0.0).cost
    assert 0 < EVENT_COST


def test_a_batch_has_a_length_and_bodies() -> None:
    """`len` is the number of events; `bodies` is what the intake's `request` takes."""
    batch = batch_of("abc")
    assert 3 == len(batch)
    assert [b"a", b"b", b"c"] == [*batch.bodies]


# ---- runs

bodies = st.lists(
    st.binary(max_size=6) | st.sampled_from([b"a\nb", b"\n", b"", b"x" * (LARGE - 1), b"y" * LARGE]), max_size=200
)


def runs_of(events: list[bytes]) -> list[Run]:
    """In runs, each event's time being its number, and its row one more."""
    found = gathered(events, [float(number) for number in range(len(events))], 7.0)
    return [run._replace(row=int(run.created[0]) + 1) for run in found]


def events_of(runs: Sequence[Run]) -> list[tuple[bytes, float, int]]:
    """(body, time, row) of each event."""
    return [
        (event, created, run.row + at)
        for run in runs
        for at, (event, created) in enumerate(zip(run.events, run.created, strict=True))
    ]


@given(bodies, st.data())
@settings(deadline=None)
def test_runs_are_their_events_wherever_they_are_parted(events: list[bytes], data: st.DataObject) -> None:
    """Events come out of runs, and of parts of runs, as they went in, with their times and rows."""
    whole = runs_of(events)
    assert [(event, float(n), n + 1) for n, event in enumerate(events)] == events_of(whole)
    assert (len(events), {7.0}) == (count(whole), {run.born for run in whole} or {7.0})
    number = data.draw(st.integers(0, len(events)))
    before, rest = parted(whole, number)
    assert events_of(whole) == events_of(before) + events_of(rest)
    assert number == count(before)
    assert cost(whole) == cost(before) + cost(rest)
    if events:
        assert (0.0, len(events) - 1.0) == span(whole)


@given(bodies, st.integers(1, 150), st.integers(1, 20_000))
@settings(deadline=None)
def test_a_request_carries_as_many_events_as_fit(events: list[bytes], most: int, most_bytes: int) -> None:
    """Not one more, not one fewer, but one in any case."""
    number = fitting(runs_of(events), most, most_bytes)
    fits = [n for n in range(1, len(events) + 1) if n == 1 or (n <= most and len(b"".join(events[:n])) <= most_bytes)]
    assert max(fits, default=0) == number


def test_runs_are_few_and_not_long() -> None:
    """200 small events are two runs; what is large, or not one line, is alone."""
    assert [128, 72] == [run.number for run in runs_of([b"{}"] * 200)]
    assert [1, 1] == [run.number for run in runs_of([b"{}", b"x" * LARGE])]
    assert [1, 1] == [run.number for run in runs_of([b"{}", b"{\n}"])]


def test_large_events_are_not_joined_to_be_looked_at() -> None:
    """Each becomes a run by itself, and meanwhile there is one more of it, not one more of all."""
    events = [b"x" * 1_000_000] * 100
    tracemalloc.start()
    try:
        assert 100 == sum(run.number for run in gathered(events, [1.0] * 100, 7.0))
        assert 5_000_000 > tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_what_waits_keeps_no_buffer_alive() -> None:
    """A writer's result may keep ten times its length alive: an event that is alone is a copy, too."""
    event = bytes(bytearray(b"{}" * 100))
    (run,) = runs_of([event])
    assert event == run.body
    assert event is not run.body
