"""The judge of speed is honest: what did not arrive is not called fast."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest


@pytest.mark.parametrize(("options", "arrives"), [({}, True), ({"buffer_events": 1}, False)])
def test_a_run_counts_only_when_everything_arrived(
    monkeypatch: pytest.MonkeyPatch, options: dict[str, int], arrives: bool
) -> None:
    """A flood that arrives whole is measured; one that lost records on the way is an error that says how many."""
    monkeypatch.syspath_prepend(Path(__file__).with_name("benchmarks"))
    import runs
    import scenarios

    flood = scenarios.Scenario(name="flood", handler="hec", events=2_000, options=options, turns=int(arrives))
    if arrives:
        result = runs.run(flood, sys.executable)
        assert (2_000, True) == (result["events"], result["cpu_ratio"] > 1)
        assert 0 <= result["stolen"] < 1
    else:
        with pytest.raises(runs.MeasurementError, match=r"flood: 2,000 logged, [1-9][\d,]* arrived"):
            runs.run(flood, sys.executable)


@pytest.mark.parametrize(
    ("stolen", "taken", "left"),
    [([0.0], 0.0, 0), ([0.3, 0.01, 0.0], 0.01, 1), ([0.3, 0.02, 0.05, 0.04, 0.0], 0.02, 1)],
    ids=["calm", "calm at last", "never calm"],
)
def test_a_run_that_neighbours_disturbed_is_run_again(
    stolen: list[float], taken: float, left: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What decides is how much of its time others took, and not what it measured; nor does it go on for ever."""
    monkeypatch.syspath_prepend(Path(__file__).with_name("benchmarks"))
    import runs

    results = [{"stolen": each, "rate": 1 + number} for number, each in enumerate(stolen)]
    waiting = iter(results)
    assert taken == runs.calmest(waiting.__next__)["stolen"]
    assert left == len([*waiting])
