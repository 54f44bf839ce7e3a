"""`LocalIntake`, the face of this package: what came, waiting for it, and telling the server to fail.

All that is shared between the test's thread and those of the connections is behind one condition, `_changed`.
"""

from __future__ import annotations

import threading
import weakref
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import replace
from types import TracebackType
from typing import Literal

from loghttp.testing import _hec, _sekoia, _strict
from loghttp.testing._faults import Connection, Fault, outcome
from loghttp.testing._received import ReceivedEvent, ReceivedRequest
from loghttp.testing._replies import Answer, Refused
from loghttp.testing._server import IntakeServer, ReservedPort
from loghttp.testing._strict import Judgement, Rules

_Rule = Callable[[ReceivedRequest], bool]

#: How many of the last unsuccessful requests a TimeoutError tells of.
_TOLD = 3


class LocalIntake:
    """A real HTTP server on this machine that takes logs as Humio and SEKOIA.IO do, strictly, and keeps them.

    Args:
        token: the ingest token that Humio's endpoints want.
        intake_key: the intake key that SEKOIA.IO's endpoints want.
        host: the address (IPv4 or IPv6), or its name (IPv4), to listen on. What is not loopback, others can reach.
        port: TCP port; 0 takes a free one. Either is this intake's own until its ``with`` ends, stopped or not.
        repository: what an event's ``index`` must be if it has one; None: anything.
        keep_alive: whether connections stay open after an answer.
        max_body_bytes: most bytes of a request to Humio's endpoints, after decompression; 413 answers more.
        max_sekoia_body_bytes: the same of SEKOIA.IO's endpoints.

    Requests are answered from `start`, or ``with``, until `stop`; all but these are for any thread to call.
    """

    def __init__(
        self,
        token: str = "test-token",  # noqa: S107 - made up, and good for this server only
        intake_key: str = "test-key",
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        repository: str | None = None,
        keep_alive: bool = True,
        max_body_bytes: int = _hec.BODY_BYTES,
        max_sekoia_body_bytes: int = _sekoia.BODY_BYTES,
    ) -> None:
        self.token = token
        self.intake_key = intake_key
        self.host = host
        self.keep_alive = keep_alive
        self.rules = Rules(token, intake_key, repository, max_body_bytes, max_sekoia_body_bytes)
        self._port = port
        self._reserved: ReservedPort | None = None
        self._server: IntakeServer | None = None
        # Everything below is read and written with this held; it is notified after each change.
        self._changed = threading.Condition()
        self._requests: list[ReceivedRequest] = []
        self._events: list[ReceivedEvent] = []
        self._next_faults: deque[Fault] = deque()
        self._fault_rules: list[tuple[_Rule | None, Fault]] = []
        self._heals = 0
        self._stopping = False

    def __repr__(self) -> str:
        where = f"{self.host}:{self._port}" if self._server else "stopped"
        return f"<LocalIntake {where}, {len(self._events)} events in {len(self._requests)} requests>"

    def __enter__(self) -> LocalIntake:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
        if self._reserved is not None:
            self._reserved.release()
            self._reserved = None

    @property
    def url(self) -> str:
        """``http://127.0.0.1:PORT`` (or `host`), the base URL for a handler; it stays the same after `stop`.

        Raises:
            RuntimeError: before the first `start`, if the port is not chosen yet.
        """
        if not self._port:
            raise RuntimeError("LocalIntake has no URL before it is started: use `with` or start()")
        return f"http://[{self.host}]:{self._port}" if ":" in self.host else f"http://{self.host}:{self._port}"

    def start(self) -> None:
        """Listen. Does nothing if it does already; after a `stop`, on the same port as before.

        Raises:
            OSError: when the port is taken.
        """
        if self._server is None:
            self._stopping = False
            if self._reserved is None:
                self._reserved = ReservedPort(self._port, self.host)
                self._port = self._reserved.number
                weakref.finalize(self, self._reserved.release)  # who does without `with` has no last word to say
            self._server = IntakeServer(self._port, self)

    def stop(self) -> None:
        """Stop listening and cut every connection. What came is kept: an outage is `stop`, then `start`."""
        if self._server is not None:
            with self._changed:
                self._stopping = True
                self._changed.notify_all()
            self._server.stop()
            self._server = None

    def close_idle(self) -> int:
        """Close all idle keep-alive connections from this side, and say how many they were.

        The client learns of it when it next uses one: what a stale connection is.
        """
        return self._server.close_idle() if self._server else 0

    @property
    def events(self) -> list[ReceivedEvent]:
        """The events taken so far, in order of arrival; a copy."""
        with self._changed:
            return list(self._events)

    @property
    def requests(self) -> list[ReceivedRequest]:
        """The requests seen so far, refused and failed ones too, in order of arrival; a copy."""
        with self._changed:
            return list(self._requests)

    def clear(self) -> None:
        """Forget the events and the requests."""
        with self._changed:
            self._events.clear()
            self._requests.clear()
            self._changed.notify_all()

    def wait_for(self, n: int, timeout: float = 10.0) -> list[ReceivedEvent]:
        """Wait until `n` events are there, at most `timeout` seconds; return all that are, `n` or more.

        Raises:
            TimeoutError: with how many came, and how the last requests without success ended.
        """
        with self._changed:
            if not self._changed.wait_for(lambda: len(self._events) >= n, timeout):
                raise TimeoutError(f"{n} events did not come within {timeout} s: {self._situation()}")
            return list(self._events)

    def wait_until(self, predicate: Callable[[LocalIntake], bool], timeout: float = 10.0) -> None:
        """Wait until `predicate` of this intake is true, at most `timeout` seconds.

        It is asked again after every change, with the intake's lock held, so it should be quick.

        Raises:
            TimeoutError: as of `wait_for`.
        """
        with self._changed:
            if not self._changed.wait_for(lambda: predicate(self), timeout):
                raise TimeoutError(f"it did not become so within {timeout} s: {self._situation()}")

    def _situation(self) -> str:
        told = f"{len(self._events)} events came in {len(self._requests)} requests"
        ends = [
            f"{'no answer' if request.status is None else request.status} ({request.refusal or 'a fault'})"
            for request in self._requests
            if request.refusal or request.status is None or request.status >= 300
        ]
        return f"{told}, the last without success: {'; '.join(ends[-_TOLD:])}" if ends else told

    def fail_next(
        self,
        times: int = 1,
        *,
        status: int | None = None,
        headers: Mapping[str, str] | None = None,
        body: str | bytes = b"",
        delay: float = 0.0,
        connection: Connection = "keep",
        event_ids: int | None = None,
        take: bool = False,
    ) -> None:
        """Fail the next `times` requests, after those of earlier calls; the keywords are `Fault`'s.

        Raises:
            ValueError: for a fault that does nothing, or that contradicts itself.
        """
        if times < 1:
            raise ValueError(f"times must be 1 or more, not {times!r}")
        fault = Fault(status, headers or {}, body, delay, connection, event_ids, take)
        with self._changed:
            self._next_faults.extend([fault] * times)

    def fail_when(
        self,
        rule: Callable[[ReceivedRequest], bool] | None = None,
        *,
        status: int | None = None,
        headers: Mapping[str, str] | None = None,
        body: str | bytes = b"",
        delay: float = 0.0,
        connection: Connection = "keep",
        event_ids: int | None = None,
        take: bool = False,
    ) -> None:
        """Fail every request of which `rule` is true, until `heal`; the keywords are `Fault`'s.

        The rule sees the request before it is answered: its `status` is None, its `events` are those that it
        brings. None means every request. Faults of `fail_next` go first, then the latest rule.

        Raises:
            ValueError: as of `fail_next`.
        """
        fault = Fault(status, headers or {}, body, delay, connection, event_ids, take)
        with self._changed:
            self._fault_rules.insert(0, (rule, fault))

    def heal(self) -> None:
        """Forget all faults. Requests that a `delay` holds back are handled now, as by a healthy intake."""
        with self._changed:
            self._next_faults.clear()
            self._fault_rules.clear()
            self._heals += 1
            self._changed.notify_all()

    def settle(self, request: ReceivedRequest, judgement: Judgement) -> tuple[Answer | None, Connection]:
        """For the server: what becomes of a request, which is kept before it is answered."""
        with self._changed:
            heals = self._heals
        try:
            fault = self._fault_for(request)
        except Exception as error:  # noqa: BLE001 - a rule is the test's own code; its failure must reach the test
            wrong = Refused(500, f"the rule given to fail_when raised {error!r}")
            fault, judgement = None, _strict.refused(request.path, wrong, request.body)
        answer, taken = outcome(fault, judgement)
        held = None
        if fault is not None and fault.delay:
            held = replace(request, events=taken if fault.take else ())
            self._keep(held)
            ended = self._wait_out(fault.delay, heals)
            if ended == "stopped":
                return None, "close"
            if ended == "healed":
                fault = None
                answer, taken = outcome(None, judgement)
        status = None if answer is None else answer.status
        self._keep(replace(request, status=status, refusal=judgement.refusal, events=taken), held)
        return answer, "keep" if fault is None else fault.connection

    def _fault_for(self, request: ReceivedRequest) -> Fault | None:
        with self._changed:
            if self._next_faults:
                return self._next_faults.popleft()
            rules = list(self._fault_rules)
        # Not under the lock: a rule may take its time.
        return next((fault for rule, fault in rules if rule is None or rule(request)), None)

    def _wait_out(self, delay: float, heals: int) -> Literal["over", "healed", "stopped"]:
        """Wait `delay` seconds, or until there was one more `heal` than `heals`, or until `stop`."""
        with self._changed:
            self._changed.wait_for(lambda: self._stopping or self._heals != heals, delay)
            if self._stopping:
                return "stopped"
            return "over" if self._heals == heals else "healed"

    def _keep(self, request: ReceivedRequest, held: ReceivedRequest | None = None) -> None:
        """Keep a request and its events, in the place of `held`: the same request while it was held back."""
        with self._changed:
            # By identity, and not found when the test has called `clear` meanwhile.
            places = [at for at, kept in enumerate(self._requests) if kept is held] if held else []
            if places:
                self._requests[places[0]] = request
            else:
                self._requests.append(request)
            self._events.extend(request.events[len(held.events) if held else 0 :])
            self._changed.notify_all()
