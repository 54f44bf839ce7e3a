"""The intake behind `loghttp serve`: a `LocalIntake`, emptied into a `Store` as it fills, and told how to fail.

Rule: what is taken is never kept twice. It is moved with the intake's lock held, so a client that sends faster than it
can be shown waits for its answers, and memory stays bounded.
"""

from __future__ import annotations

import contextlib
import threading
from typing import Any, Final

from loghttp.cli._serve_event import shown_event, shown_request
from loghttp.cli._serve_store import Store
from loghttp.testing import LocalIntake, ReceivedRequest

#: What the switch on the page does to every request from then on: the arguments of `LocalIntake.fail_when`.
FAULTS: Final[dict[str, dict[str, Any]]] = {
    "healthy": {},
    "503": {"status": 503, "body": "Service Unavailable"},
    "429": {"status": 429, "headers": {"Retry-After": "5"}, "body": "Too Many Requests"},
    "slow": {"delay": 5.0},  # seconds
    "down": {},  # nobody listens at all
}
_LOOK_AGAIN: Final = 3600.0  # seconds; it is woken by every change, so this is only the longest wait that is asked for


class ServedIntake:
    """A strict intake on `host` and `port` whose events and requests go to `store`. For one thread at a time."""

    def __init__(self, host: str, port: int, token: str, store: Store) -> None:
        self.intake = LocalIntake(token, token, host=host, port=port)
        self._store = store
        self._listening = contextlib.ExitStack()
        self._switching = threading.Lock()  # held while the mode changes, which browsers may ask for at once
        self._ended = False
        # For whoever has the intake's lock: requests whose answers are held back, by the identity of their
        # headers, which stays the same.
        self._held: dict[int, tuple[ReceivedRequest, int]] = {}
        self._mover = threading.Thread(target=self._move, name="loghttp serve", daemon=True)

    def start(self) -> None:
        """Listen.

        Raises:
            OSError: when the port is taken.
        """
        self._listening.enter_context(self.intake)
        self._mover.start()

    def stop(self) -> None:
        """Stop listening, and put the last that came into the store."""
        with self._switching:
            self.intake.stop()
            self._ended = True
            self.intake.heal()  # which wakes the mover
        self._mover.join()
        self._listening.close()  # which lets others have the port

    def switch(self, mode: str) -> None:
        """Treat requests as `mode` says from now on.

        Raises:
            KeyError: for a mode that there is not.
            OSError: when the port was taken by somebody else while the intake was down.
        """
        faults = FAULTS[mode]
        with self._switching:
            if self._ended:
                return
            self.intake.heal()
            if faults:
                self.intake.fail_when(**faults)
            if mode == "down":
                self.intake.stop()
                self.intake.wait_until(self._cut)
            else:
                self.intake.start()
            self._store.set_mode(mode)

    def _move(self) -> None:
        while not self._ended:
            with contextlib.suppress(TimeoutError):
                self.intake.wait_until(self._take, _LOOK_AGAIN)

    def _take(self, intake: LocalIntake) -> bool:
        """Called by the intake after each change, with its lock held."""
        requests = intake.requests
        if requests:
            intake.clear()
        for request in requests:
            self._put(request)
        return self._ended

    def _cut(self, intake: LocalIntake) -> bool:
        """As `_take`, when every connection has been cut: nobody waits for an answer any more."""
        self._take(intake)
        self._held.clear()
        self._store.cut_held()
        return True

    def _put(self, request: ReceivedRequest) -> None:
        next_event, next_request = self._store.next_numbers()
        _, number = self._held.pop(id(request.headers), (request, next_request))
        # No fault of ours leaves a request without an answer for good, so this one waits for its own.
        held = request.status is None
        if held:
            self._held[id(request.headers)] = (request, number)
        events = (
            shown_event(event, at, number, request.received_at) for at, event in enumerate(request.events, next_event)
        )
        self._store.put(shown_request(request, number, "held" if held else "done"), events)
