"""Batches are values: what becomes smaller becomes new batches, and no event is lost or doubled on the way."""

from __future__ import annotations

from dataclasses import FrozenInstanceError

import pytest
from cases import each
from hypothesis import given, settings
from hypothesis import strategies as st

from loghttp._batch import EVENT_COST, Batch, Event


def batch_of(texts: str, attempts: int = 0) -> Batch:
    """One event for each letter."""
    return Batch(tuple(Event(letter.encode(), 0.0, 0.0) for letter in texts), attempts)


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
    assert whole.events == tuple(event for part in parts for event in part.events)
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
        batch.events[0].body = b""  # type: ignore[misc]


def test_an_event_costs_more_than_its_body() -> None:
    """Memory is counted in what an event really occupies, so a million empty ones are not free."""
    assert EVENT_COST + 5 == Event(b"12345", 0.0, 0.0).cost
    assert 0 < EVENT_COST


def test_a_batch_has_a_length_and_bodies() -> None:
    """`len` is the number of events; `bodies` is what the intake's `request` takes."""
    batch = batch_of("abc")
    assert 3 == len(batch)
    assert [b"a", b"b", b"c"] == batch.bodies
