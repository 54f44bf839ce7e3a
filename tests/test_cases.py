"""`each` finds what a test for each case would: every case that fails, by its name."""

from __future__ import annotations

from typing import Any

import pytest
from cases import each


class Unprintable:
    def __repr__(self) -> str:
        raise ValueError("no text for you")


def test_all_cases_are_tried_and_those_that_fail_are_named() -> None:
    """A case that fails keeps no other from being tried; each failure says which case it is, and why."""
    tried: list[Any] = []

    @each("value", [1, 2, pytest.param(3, id="three"), Unprintable(), 5])
    @each(("low", "high"), [(0, 2), (3, 9)], ids=["small", "large"])
    def through(value: Any, low: int, high: int) -> None:
        tried.append((value, low, high))
        if value == 1:
            with pytest.raises(KeyError):
                ...
        if value != 2:
            raise ValueError(f"{low} to {high}")

    with pytest.raises(AssertionError) as caught:
        through()
    assert 10 == len(tried)
    told = str(caught.value)
    assert [] == [
        part
        for part in ("[0: 1]", "Failed: DID NOT RAISE", "[2: three]", "[3: <Unprintable instance", "[4: 5]")
        if part not in told
    ]
    assert "[1: 2]" not in told
    assert 4 == told.count("[1: large] ValueError: 3 to 9") + 1


@each(("number", "square"), [(1, 1), (2, 4)])
def test_a_case_gets_its_values_and_the_fixtures(number: int, square: int, request: pytest.FixtureRequest) -> None:
    """Fixtures and cases come together, and pytest asks for the fixtures alone."""
    assert square == number**2
    assert ["request"] == request.fixturenames[-1:]


def test_no_cases_are_a_mistake() -> None:
    """A table that has become empty would be a test that cannot fail."""
    with pytest.raises(AssertionError):
        each("value", [])
