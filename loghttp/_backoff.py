"""How long to wait before the next attempt.

Rule: pure but for its count of failures; it reads no clock and never sleeps. One per destination, used by
its courier's thread alone.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Final

FIRST: Final = 0.5
"""Seconds: the upper bound of the first wait. It doubles with each failure, up to `retry_wait_max`."""


class Backoff:
    """Exponential back-off with full jitter: a whole fleet must not come back in the same second.

    The wait after the n-th failure in a row is drawn evenly from 0 to `min(maximum, FIRST * 2**(n-1))`
    seconds (the "full jitter" of the AWS Architecture Blog, "Exponential Backoff And Jitter", 2015).
    """

    def __init__(self, maximum: float, draw: Callable[[float, float], float] = random.uniform) -> None:
        self._maximum = maximum
        self._draw = draw
        self.failures = 0
        """Failures since the last success."""

    def succeeded(self) -> None:
        self.failures = 0

    def failed(self, after: float | None = None) -> float:
        """Count a failure; return the seconds to wait: the larger of our own and the intake's wish."""
        self.failures += 1
        # The exponent is capped because 2**n overflows a float after 1,023 failures in a row.
        bound = min(self._maximum, FIRST * 2 ** min(self.failures - 1, 60))
        return max(self._draw(0.0, bound), after or 0.0)

    def slow(self) -> float:
        """Count a failure that time alone will not heal; return the longest wait."""
        self.failures += 1
        return self._maximum
