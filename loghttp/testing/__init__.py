"""Test your own logging: a real HTTP log intake on loopback that is strict and fails when it is told to.

    import logging
    import loghttp
    from loghttp.testing import LocalIntake

    def test_orders_are_logged():
        with LocalIntake() as intake:
            handler = loghttp.HumioHECHandler(intake.url, intake.token)
            logging.getLogger("shop").addHandler(handler)
            try:
                logging.getLogger("shop").warning("order %d is late", 7)
                [event] = intake.wait_for(1)
            finally:
                logging.getLogger("shop").removeHandler(handler)
                handler.close()
        assert event.message == "order 7 is late"

With pytest, the fixture `local_intake` is there as soon as loghttp is installed:

    def test_an_outage_loses_nothing(local_intake):
        local_intake.fail_next(3, status=503)
        ...
        assert [event.message for event in local_intake.wait_for(1)] == ["order 7 is late"]

`LocalIntake.fail_next` and `LocalIntake.fail_when` make it answer errors, answer late or half, cut or reset
connections, take only some events, or lose its answer; `Fault` tells how. SEKOIA.IO's dialect is spoken at
the same URL, with `intake_key`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from loghttp.testing._faults import Fault
    from loghttp.testing._intake import LocalIntake
    from loghttp.testing._received import ReceivedEvent, ReceivedRequest

__all__ = ["Fault", "LocalIntake", "ReceivedEvent", "ReceivedRequest"]


# pytest imports this package, for its plugin, in every test run of everyone who has loghttp installed, and
# few use it: the server is imported with the first name that is asked for. Type checkers see those above.
if not TYPE_CHECKING:

    def __getattr__(name):
        if name not in __all__:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        from loghttp.testing import _intake  # noqa: PLC0415 - see above

        return getattr(_intake, name)
