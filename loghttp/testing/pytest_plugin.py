"""The pytest plugin that loghttp registers: the fixture `local_intake`, and nothing else.

A user's test:

    import logging
    import loghttp

    def test_orders_are_logged(local_intake):
        handler = loghttp.HumioHECHandler(local_intake.url, local_intake.token)
        logging.getLogger("shop").addHandler(handler)
        try:
            logging.getLogger("shop").warning("order %d is late", 7)
            [event] = local_intake.wait_for(1)
        finally:
            logging.getLogger("shop").removeHandler(handler)
            handler.close()
        assert event.message == "order 7 is late"

pytest loads this module in every run of everyone who has loghttp installed, so nothing else is imported until
a test asks for the fixture.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from loghttp.testing import LocalIntake


@pytest.fixture
def local_intake() -> Iterator[LocalIntake]:
    """A started `loghttp.testing.LocalIntake`, new for each test."""
    from loghttp.testing import LocalIntake  # noqa: PLC0415 - see the module's docstring

    with LocalIntake() as intake:
        yield intake
