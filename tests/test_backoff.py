"""How long to wait: the machine with its dice loaded, so each wait is known."""

from __future__ import annotations

from cases import each

from loghttp._backoff import FIRST, Backoff


def longest(low: float, high: float) -> float:
    """The unluckiest draw."""
    assert 0.0 == low
    return high


def shortest(low: float, high: float) -> float:
    """The luckiest draw."""
    return low


def test_the_wait_doubles_up_to_its_cap() -> None:
    """Each failure in a row doubles the longest wait, until `retry_wait_max`."""
    backoff = Backoff(30.0, longest)
    assert [0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 30.0, 30.0] == [backoff.failed() for _ in range(8)]


def test_a_cap_below_the_first_wait_holds() -> None:
    """`retry_wait_max` is the most, also of the first wait."""
    assert 0.1 == Backoff(0.1, longest).failed()


def test_full_jitter_begins_at_nothing() -> None:
    """The wait is drawn evenly from nothing to the bound, so that a fleet does not come back as one."""
    backoff = Backoff(30.0, shortest)
    assert [0.0, 0.0, 0.0] == [backoff.failed() for _ in range(3)]


def test_success_begins_anew() -> None:
    """After a success the next failure waits as the first one did, and the count of failures is nought."""
    backoff = Backoff(30.0, longest)
    for _ in range(5):
        backoff.failed()
    assert 5 == backoff.failures
    backoff.succeeded()
    assert 0 == backoff.failures
    assert FIRST == backoff.failed()


@each(("after", "wait"), [(None, 0.5), (0.0, 0.5), (0.2, 0.5), (7.0, 7.0), (300.0, 300.0)])
def test_the_larger_wish_wins(after: float | None, wait: float) -> None:
    """The intake's Retry-After counts where it is longer than our own wait, even beyond our cap."""
    assert wait == Backoff(30.0, longest).failed(after)


def test_what_time_does_not_heal_is_tried_at_the_cap() -> None:
    """A wrong token is tried at the slowest pace from the start, and counts as a failure."""
    backoff = Backoff(30.0, shortest)
    assert [30.0, 30.0] == [backoff.slow(), backoff.slow()]
    assert 2 == backoff.failures


def test_an_outage_of_months_does_not_overflow() -> None:
    """2**n leaves the floats after 1,023 failures; the wait stays at its cap."""
    backoff = Backoff(30.0, longest)
    assert {30.0} == {backoff.failed() for _ in range(3_000)} - {0.5, 1.0, 2.0, 4.0, 8.0, 16.0}


def test_the_real_dice_stay_within_bounds() -> None:
    """With the draw that is used in earnest, no wait leaves its bounds, and they are not all the same."""
    waits = []
    for _ in range(200):
        backoff = Backoff(30.0)
        backoff.failed()
        waits.append(backoff.failed())
    assert all(0.0 <= wait <= 1.0 for wait in waits)
    assert 1 < len(set(waits))
