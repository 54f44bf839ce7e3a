"""What becomes of a batch: each row of the verdict table, against a sender that answers what it is told to.

The courier, its buffer and its books are the real ones, on the test's own thread. The intake at the other end
is a function; a pause passes at once, and is written down.
"""

from __future__ import annotations

import json
import logging
import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pytest
from cases import each

from loghttp._backoff import Backoff
from loghttp._batch import Run
from loghttp._capture import capture
from loghttp._courier import Courier
from loghttp._options import Delivery, Limits
from loghttp._queue import Buffer
from loghttp._selflog import SelfLog
from loghttp._stats import Books, iso
from loghttp._verdict import Delivered, Failure, Reply, Verdict, judge_status
from loghttp.intakes import Entry, Request

Outcome = Reply | Failure
Answer = Callable[[list[bytes]], Outcome]

NOTICE = b"loghttp"  # so begin the events of loghttp's own
REFUSED_CONNECTION = Failure("connection", "[Errno 111] Connection refused")

# ---- helpers


def reply(status: int, body: Any = b"", **headers: str) -> Reply:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    return Reply(status, {name.replace("_", "-"): value for name, value in headers.items()}, content, 0.0)


OK = reply(200)


class Lines:
    """The simplest dialect: one event a line."""

    url = "https://logs.example.com/"
    secrets = ("token",)
    limits = Limits(batch_events=100, batch_bytes=1_000_000, event_bytes=1_000_000)

    def shape(self, entry: Entry) -> bytes:
        return entry.message.encode()

    def cut(self, event: bytes, limit: int) -> bytes | None:
        return event[: limit - 5] + b"[cut]" if limit > 5 else None

    def request(self, events: Sequence[bytes]) -> Request:
        return Request(self.url, b"\n".join(events), {})

    def judge(self, reply: Reply) -> Verdict:
        ids = reply.json()
        return Delivered(len(ids)) if reply.status == 200 and isinstance(ids, list) else judge_status(reply)


class FakeSender:
    """Answers as it is told to, and keeps what was asked."""

    def __init__(self, answer: Answer, clock: Clock) -> None:
        self.answer = answer
        self.clock = clock
        self.bytes_sent = 0
        self.sent: list[list[bytes]] = []
        self.within: list[float | None] = []
        self.takes = 0.0  # seconds that each request takes
        self.closed = False

    def send(self, request: Request, within: float | None = None) -> Outcome:
        events = request.body.split(b"\n")
        self.bytes_sent = len(request.body)
        self.sent.append(events)
        self.within.append(within)
        self.clock.now += self.takes
        return self.answer(events)

    def reset(self) -> None:
        self.closed = True


class Clock:
    """Monotonic seconds that pass when they are told to."""

    def __init__(self) -> None:
        self.now = 1_000.0

    def __call__(self) -> float:
        return self.now


class FakeBuffer(Buffer):
    """A real buffer whose pauses pass at once; when nothing is left to do it closes, so that `run` returns."""

    def __init__(self, books: Books, options: Delivery, clock: Clock) -> None:
        super().__init__(books, options, clock)
        self.clock = clock
        self.pauses: list[tuple[float, float]] = []
        self.at_pause: Callable[[int], None] = lambda number: None
        self._courier_bell = self  # type: ignore[assignment]
        self._listener_bell.wait = lambda timeout=None: None  # type: ignore[method-assign]  # nothing comes meanwhile

    def pause(self, seconds: float, *, at_least: float = 0.0) -> None:
        self.pauses.append((seconds, at_least))
        self.clock.now += max(seconds, at_least)
        assert 1_000 > len(self.pauses), "it goes on for ever"
        self.at_pause(len(self.pauses))

    awaited = False

    def ring(self) -> None:
        """Nobody waits."""

    def wait(self, timeout: float | None = None) -> None:
        """The courier waits for work: for a batch to be due, or, when there is none, for the end."""
        if timeout is not None:
            self.clock.now += timeout
        else:
            self.end()

    def end(self) -> None:
        self.close()
        while self.take_records() is not None:
            pass


class Scene:
    """A courier between a full buffer and an intake that is a function."""

    def __init__(self, answer: Answer, **options: Any) -> None:
        self.clock = Clock()
        self.books = Books()
        options = {"batch_events": 5_000, "batch_bytes": 100_000_000, "flush_interval": 0.0, **options}
        delivery = Delivery(**options)
        self.buffer = FakeBuffer(self.books, delivery, self.clock)
        self.sender = FakeSender(answer, self.clock)
        self.courier = Courier(
            self.buffer,
            Lines(),
            self.sender,  # type: ignore[arg-type]
            Backoff(delivery.retry_wait_max, lambda low, high: high),
            options=delivery,
            books=self.books,
            selflog=SelfLog("test", self.books, self.clock),
            notice=lambda text: Run(text.encode(), (0.0,), self.clock.now),
            clock=self.clock,
        )

    def put(self, *bodies: bytes, created: float = 1_537_537_729.0) -> None:
        """These events wait to be sent."""
        for body in bodies:
            captured = capture(logging.makeLogRecord({"msg": "", "created": created}))
            self.buffer.put(captured)
            self.buffer.take_records()
            self.clock.now += 2**-20  # events are born one after the other
            self.buffer.put_runs([Run(body, (created,), self.clock.now)], captured.size)

    def run(self) -> None:
        """Let the courier work until nothing is left; then the books must balance, with nothing held."""
        self.courier.run()
        stats = self.books.stats()
        assert 0 == stats.pending, stats
        assert stats.accepted == stats.delivered + sum(stats.dropped.values())
        assert (0, 0) == (self.buffer._held, self.buffer._held_bytes)
        assert self.sender.closed

    @property
    def dropped(self) -> dict[str, int]:
        return dict(self.books.stats().dropped)

    @property
    def requests(self) -> list[list[bytes]]:
        """What was sent, without loghttp's own events."""
        return [events for events in self.sender.sent if not events[0].startswith(NOTICE)]

    @property
    def notices(self) -> list[str]:
        return [events[0].decode() for events in self.sender.sent if events[0].startswith(NOTICE)]

    @property
    def waits(self) -> list[float]:
        return [max(pause) for pause in self.buffer.pauses]


def numbered(count: int, bad: Sequence[int] = ()) -> list[bytes]:
    return [b"%s %d" % (b"bad" if number in bad else b"good", number) for number in range(count)]


def script(*outcomes: Outcome) -> Answer:
    """These outcomes, in order; then success."""
    left: Iterator[Outcome] = iter(outcomes)
    return lambda events: next(left, OK)


class Choosy:
    """An intake that refuses a whole request for one bad event, and keeps what it takes."""

    def __init__(self, *, hint: bool = False, status: int = 400) -> None:
        self.hint = hint
        self.status = status
        self.kept: list[bytes] = []

    def __call__(self, events: list[bytes]) -> Outcome:
        bad = [number for number, event in enumerate(events) if event.startswith(b"bad")]
        if bad:
            return reply(self.status, {"invalid-event-number": bad[0]} if self.hint else b"no")
        self.kept += [event for event in events if not event.startswith(NOTICE)]
        return OK


# ---- delivered


def test_success_delivers_the_batch_once() -> None:
    """One request, no pause, no second attempt."""
    scene = Scene(script())
    scene.put(*numbered(3))
    scene.run()
    assert [numbered(3)] == scene.sender.sent
    stats = scene.books.stats()
    assert (3, {}, 1, 0, 0) == (stats.delivered, dict(stats.dropped), stats.requests, stats.retries, stats.splits)
    assert ([], None) == (scene.waits, stats.last_error)
    assert len(b"\n".join(numbered(3))) == stats.bytes_sent
    assert stats.last_success is not None


def test_batches_leave_in_order() -> None:
    """What was logged first is sent first, also after a failure."""
    scene = Scene(script(REFUSED_CONNECTION, OK, reply(503)), batch_events=2)
    scene.put(*numbered(5))
    scene.run()
    a, b, c = numbered(5)[:2], numbered(5)[2:4], numbered(5)[4:]
    assert [a, a, b, b, c] == scene.sender.sent


@each(("taken", "lost"), [(3, 0), (2, 1), (0, 3), (7, 0)])
def test_what_the_intake_did_not_take_is_counted_and_not_sent_again(taken: int, lost: int) -> None:
    """Fewer `event_ids` than were sent: the rest is dropped as `intake_rejected`, and told."""
    scene = Scene(script(reply(200, ["id"] * taken)))
    scene.put(*numbered(3))
    scene.run()
    assert [numbered(3)] == scene.requests
    assert ({"intake_rejected": lost} if lost else {}) == scene.dropped
    assert 3 - lost == scene.books.stats().delivered
    assert lost == 0 or f"{taken} of 3" in (scene.books.stats().last_error or "")


# ---- try later


@each(
    "outcome",
    [
        *[Failure(kind, "words") for kind in ("connection", "timeout", "tls", "proxy", "request")],
        *[reply(status) for status in (408, 425, 429, 500, 502, 503, 504)],
    ],
    ids=lambda outcome: str(getattr(outcome, "kind", getattr(outcome, "status", ""))),
)
def test_what_may_heal_is_sent_again_whole(outcome: Outcome) -> None:
    """The batch is kept as it is, the wait grows, and success makes the back-off small again."""
    scene = Scene(script(outcome, outcome, outcome, OK, outcome), batch_events=3)
    scene.put(*numbered(6))
    scene.run()
    first, second = numbered(6)[:3], numbered(6)[3:]
    assert [first] * 4 + [second] * 2 == scene.sender.sent
    assert [0.5, 1.0, 2.0, 0.5] == scene.waits
    stats = scene.books.stats()
    assert (6, {}, 6, 4, 0) == (stats.delivered, dict(stats.dropped), stats.requests, stats.retries, stats.splits)


def test_an_outage_of_a_day_loses_nothing() -> None:
    """Without `retry_for` the courier never gives up."""
    scene = Scene(lambda events: OK if scene.clock.now > 1_000.0 + 86_400 / 4 else REFUSED_CONNECTION)
    scene.put(*numbered(3))
    scene.run()
    assert (3, {}) == (scene.books.stats().delivered, scene.dropped)
    assert 30.0 == max(scene.waits)


@each(("after", "wait"), [("0", 0.5), ("7", 7.0), ("300", 300.0), ("86400", 300.0)])
def test_retry_after_is_obeyed(after: str, wait: float) -> None:
    """The wait is the larger of the intake's wish and ours; a flush does not shorten the wish."""
    scene = Scene(script(reply(429, retry_after=after)))
    scene.put(b"event")
    scene.run()
    assert [wait] == scene.waits
    assert [min(float(after), 300.0)] == [at_least for _, at_least in scene.buffer.pauses]


def test_a_stale_connection_is_no_failure() -> None:
    """A kept-alive connection that the server had closed meanwhile: nothing was received, so no wait is due."""
    scene = Scene(script(Failure("stale", "RemoteDisconnected")))
    scene.put(b"event")
    scene.run()
    assert ([[b"event"]] * 2, []) == (scene.sender.sent, scene.waits)
    assert 1 == scene.books.stats().retries


def test_stale_twice_is_an_outage() -> None:
    """A fresh connection that is cut as well is a failure like any other: no request storm."""
    scene = Scene(script(*[Failure("stale", "RemoteDisconnected")] * 4))
    scene.put(b"event")
    scene.run()
    assert ([[b"event"]] * 5, [0.5, 1.0]) == (scene.sender.sent, scene.waits)


@pytest.mark.parametrize("fault", ["request", "judge"])
def test_a_fault_in_a_dialect_s_code_holds_the_batch_back(fault: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A third party's dialect that raises loses nothing and does not end the thread."""
    scene = Scene(script())
    original = getattr(Lines, fault)
    calls = iter([True])

    def raises_once(*args: Any) -> Any:
        if next(calls, False):
            raise RuntimeError("no")
        return original(*args)

    monkeypatch.setattr(Lines, fault, raises_once)
    scene.put(b"event")
    scene.run()
    assert (1, {}, [0.5]) == (scene.books.stats().delivered, scene.dropped, scene.waits)


def test_a_dialect_that_judges_nothing_holds_the_batch_back(monkeypatch: pytest.MonkeyPatch) -> None:
    """`judge` forgot to return: no verdict is no success."""
    scene = Scene(script())
    verdicts = iter([None, Delivered()])
    monkeypatch.setattr(Lines, "judge", lambda *_: next(verdicts))
    scene.put(b"event")
    scene.run()
    assert (1, {}, [0.5]) == (scene.books.stats().delivered, scene.dropped, scene.waits)


@pytest.mark.parametrize("cut", [lambda *_: _Raise()(), lambda *_: "a text"], ids=["raises", "no bytes"])
def test_a_fault_in_cutting_costs_one_event(cut: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """The event that is too large is lost, and none of the others in its batch."""
    monkeypatch.setattr(Lines, "cut", cut)
    scene = Scene(lambda events: reply(413) if any(len(event) > 1_000 for event in events) else OK)
    scene.put(b"one", b"x" * 5_000, b"two", b"three")
    scene.run()
    assert (3, {"too_large": 1}) == (scene.books.stats().delivered, scene.dropped)


def test_a_dialect_that_cannot_shape_a_notice_loses_nothing() -> None:
    """It counts on an attribute that loghttp's own events have not: then these do not leave, and all else does."""
    intake = Choosy()
    scene = Scene(intake)

    def raises(_: str) -> Run:
        raise KeyError("sequence")

    scene.courier._notice = raises
    scene.put(b"bad", *numbered(9))
    scene.run()
    assert (9, {"refused": 1}) == (scene.books.stats().delivered, scene.dropped)
    assert scene.books.untold_intake.counts == {"refused": 1}


def test_a_fault_of_our_own_costs_one_batch() -> None:
    """Where even the courier meets a fault, its thread lives, and the batch is counted."""
    scene = Scene(script(), batch_events=2)
    scene.buffer.delivered = iter([_Raise(), scene.buffer.delivered]).__next__()  # type: ignore[method-assign]
    scene.put(*numbered(2))
    scene.courier.run()
    assert {"encoding": 2} == scene.dropped
    assert 0 == scene.books.stats().pending


class _Raise:
    def __call__(self, *_: object) -> None:
        raise RuntimeError("no")


# ---- expired


def test_an_undeliverable_batch_expires() -> None:
    """Past `retry_for` events are dropped as `expired`, and not before."""
    scene = Scene(lambda events: REFUSED_CONNECTION, retry_for=60.0)
    scene.put(*numbered(3))
    scene.run()
    assert {"expired": 3} == scene.dropped
    assert 60.0 < sum(scene.waits)
    assert 60.0 >= sum(scene.waits[:-1])


def test_only_what_is_old_enough_expires() -> None:
    """An event counts its own age, not that of its batch."""
    scene = Scene(
        lambda events: REFUSED_CONNECTION if scene.clock.now < 1_061.5 else OK, retry_for=60.0, retry_wait_max=1.0
    )
    scene.put(b"old")
    scene.clock.now += 30.0
    scene.put(b"young")
    scene.run()
    assert {"expired": 1} == scene.dropped
    assert [b"young"] == scene.requests[-1]


def test_expiry_waits_for_an_attempt() -> None:
    """What has waited long before its first attempt is sent: the intake may be well."""
    scene = Scene(script(), retry_for=60.0)
    scene.put(b"old")
    scene.clock.now += 3_600.0
    scene.run()
    assert (1, {}) == (scene.books.stats().delivered, scene.dropped)


# ---- misconfigured


@pytest.mark.parametrize("status", [401, 403, 404, 405, 407, 301, 302, 307, 308])
def test_a_wrong_setting_loses_nothing(status: int, caplog: pytest.LogCaptureFixture) -> None:
    """The batch is kept and tried slowly, and what to check is told, once a minute at most, until it is right."""
    with caplog.at_level(logging.INFO, "loghttp"):
        scene = Scene(script(*[reply(status, b"no")] * 10))
        scene.put(*numbered(3))
        scene.run()
    assert [30.0] * 10 == scene.waits
    assert (3, {}) == (scene.books.stats().delivered, scene.dropped)
    warnings = [record for record in caplog.records if record.levelno == logging.WARNING]
    assert 5 == len(warnings), "five minutes, one line each"
    assert f"HTTP {status}: no" in warnings[0].getMessage()
    assert "check" in warnings[0].getMessage()
    assert "delivery is back" in caplog.records[-1].getMessage()


# ---- refused


@each("number", [1, 2, 7, 100, 1_000, 5_000])
@each("bad", [(0,), (-1,), (0, 1), (0, -1), (10, 20, 30, 40), tuple(range(5)), tuple(range(40, 60))])
@each("hint", [False, True], ids=["no hint", "hint"])
def test_a_bad_event_never_takes_a_good_one_with_it(number: int, bad: tuple[int, ...], hint: bool) -> None:
    """k bad events among n are found in O(k log n) requests; each is counted, all others are delivered, in order."""
    wrong = {index % number for index in bad}
    intake = Choosy(hint=hint)
    scene = Scene(intake)
    events = numbered(number, sorted(wrong))
    scene.put(*events)
    scene.run()
    assert [event for event in events if event.startswith(b"good")] == intake.kept
    assert {"refused": len(wrong)} == scene.dropped
    assert len(scene.sender.sent) <= 3 + len(wrong) * (2 * math.ceil(math.log2(number + 1)) + 3)
    assert [] == scene.waits


def test_a_hint_saves_the_search() -> None:
    """The intake names the bad event: three parts, and no halving."""
    intake = Choosy(hint=True)
    scene = Scene(intake)
    scene.put(*numbered(1_000, [700]))
    scene.run()
    assert [1_000, 700, 1, 299] == [len(events) for events in scene.requests]


def test_a_wrong_hint_costs_nothing_but_requests() -> None:
    """An intake that counts from one, or beyond the end: the bad event is found all the same."""
    for shift in (1, 500):
        kept: list[bytes] = []

        def answer(events: list[bytes], shift: int = shift, kept: list[bytes] = kept) -> Outcome:
            bad = [number for number, event in enumerate(events) if event.startswith(b"bad")]
            if bad:
                return reply(400, {"invalid-event-number": bad[0] + shift})
            kept += [event for event in events if event.startswith(b"good")]
            return OK

        scene = Scene(answer)
        scene.put(*numbered(100, [40]))
        scene.run()
        assert {"refused": 1} == scene.dropped
        assert 99 == len(kept)


@each("status", [400, 415, 422, 409])
def test_the_intake_s_words_are_kept(status: int) -> None:
    """`last_error` says why the event was refused."""
    scene = Scene(Choosy(status=status))
    scene.put(*numbered(3, [1]))
    scene.run()
    assert f"HTTP {status}: no" == scene.books.stats().last_error


@each("number", [1, 2, 100, 5_000])
def test_an_intake_that_refuses_everything_loses_nothing(number: int) -> None:
    """A wrong index or endpoint may look like bad events: nothing is dropped, and requests stay few."""
    scene = Scene(lambda events: reply(400, b"incorrect index"))
    seen: list[tuple[dict[str, int], int]] = []

    def look(pauses: int) -> None:
        seen.append((scene.dropped, len(scene.sender.sent)))
        if pauses == 20:
            scene.buffer.end()

    scene.buffer.at_pause = look
    scene.put(*numbered(number))
    scene.run()
    assert [{}] * 20 == [dropped for dropped, _ in seen]
    assert 20 * (3 * math.ceil(math.log2(number + 1)) + 8) >= seen[-1][1]
    assert [30.0] * 20 == scene.waits[:20]
    assert {"shutdown": number} == scene.dropped


def test_an_intake_that_refused_everything_and_is_set_right_gets_everything() -> None:
    """Once somebody has corrected the index, all that waited is delivered, in order, each event once."""
    kept: list[bytes] = []

    def answer(events: list[bytes]) -> Outcome:
        if scene.clock.now < 1_100.0:
            return reply(400, b"incorrect index")
        kept.extend(event for event in events if not event.startswith(NOTICE))
        return OK

    scene = Scene(answer, batch_events=50)
    scene.put(*numbered(120))
    scene.run()
    assert numbered(120) == kept
    assert {} == scene.dropped


def test_what_was_refused_while_it_was_set_right_is_sent_again_in_order() -> None:
    """Two events stand alone refused; then the intake takes ours, and the two as they were logged."""
    refused = reply(400, b"no")
    scene = Scene(script(refused, refused, refused))
    scene.put(*numbered(2))
    scene.run()
    a, b = ([event] for event in numbered(2))
    assert [a + b, a, b, a, b] == scene.requests
    assert (1, {}) == (len(scene.notices), scene.dropped)


def test_bad_events_after_it_was_set_right_are_found() -> None:
    """An intake that refused everything, and then takes all but the bad ones: the bad ones alone are dropped."""
    choosy = Choosy()
    scene = Scene(lambda events: choosy(events) if scene.clock.now > 1_100.0 else reply(400, b"incorrect index"))
    scene.put(*numbered(100, [3, 50]))
    scene.run()
    assert {"refused": 2} == scene.dropped
    assert [event for event in numbered(100, [3, 50]) if event.startswith(b"good")] == choosy.kept


def test_a_batch_of_nothing_but_bad_events_does_not_stop_the_rest() -> None:
    """Fifty bad events in a row are fifty bad events, as long as the intake takes anything at all."""
    intake = Choosy()
    scene = Scene(intake, batch_events=50)
    scene.put(*numbered(150, range(50, 100)))
    scene.run()
    assert {"refused": 50} == scene.dropped
    assert 100 == len(intake.kept)
    assert [] == scene.waits


def test_an_outage_in_the_middle_of_the_search() -> None:
    """A time-out between two halves delays the search, and changes nothing of its result."""
    intake, count = Choosy(), iter(range(10_000))
    scene = Scene(lambda events: reply(503) if next(count) % 3 == 1 else intake(events))
    scene.put(*numbered(100, [3, 97]))
    scene.run()
    assert {"refused": 2} == scene.dropped
    assert [event for event in numbered(100, [3, 97]) if event.startswith(b"good")] == intake.kept


# ---- too large


def limited(limit: int, kept: list[bytes]) -> Answer:
    """An intake that takes so many bytes and no more."""

    def answer(events: list[bytes]) -> Outcome:
        if len(b"\n".join(events)) > limit:
            return reply(413)
        kept.extend(event for event in events if not event.startswith(NOTICE))
        return OK

    return answer


def test_413_halves() -> None:
    """A batch that is too large is halved until it fits; all of it arrives, in order."""
    kept: list[bytes] = []
    scene = Scene(limited(200, kept))
    scene.put(*numbered(100))
    scene.run()
    assert numbered(100) == kept
    assert {} == scene.dropped
    assert 0 < scene.books.stats().splits
    assert [] == scene.waits


def test_one_event_that_is_too_large_is_cut_and_marked() -> None:
    """An intake with a limit that nobody documented gets the event's beginning; the others whole."""
    kept: list[bytes] = []
    scene = Scene(limited(5_000, kept))
    scene.put(b"first", b"x" * 50_000, b"last")
    scene.run()
    assert {} == scene.dropped
    assert (b"first", b"last") == (kept[0], kept[2])
    assert kept[1].endswith(b"[cut]")
    assert 2_000 < len(kept[1]) <= 5_000


def test_one_event_that_stays_too_large_is_dropped() -> None:
    """Where no cutting helps, that event is dropped as `too_large`, and no other."""
    kept: list[bytes] = []
    scene = Scene(limited(100, kept))
    scene.put(b"first", b"x" * 50_000, b"last")
    scene.run()
    assert {"too_large": 1} == scene.dropped
    assert [b"first", b"last"] == kept


def test_too_large_and_refused_at_once() -> None:
    """Bad events among large ones: each is found for what it is."""
    kept: list[bytes] = []
    small = limited(1_000, kept)
    scene = Scene(lambda events: reply(400) if any(e.startswith(b"bad") for e in events) else small(events))
    scene.put(*numbered(200, [0, 100]))
    scene.run()
    assert {"refused": 2} == scene.dropped
    assert 198 == len(kept)


# ---- closing


def close_now(scene: Scene, within: float = 5.0) -> None:
    scene.courier.deadline = scene.clock.now + within
    scene.buffer.end()


@each("outcome", [REFUSED_CONNECTION, reply(503), reply(429, retry_after="300"), reply(401), reply(301)], ids=str)
def test_closing_gives_each_batch_one_attempt(outcome: Outcome) -> None:
    """When the program ends, each batch has one more attempt; there are no waits, and the rest is counted."""
    scene = Scene(lambda events: outcome, batch_events=2)
    scene.put(*numbered(5))
    close_now(scene)
    scene.run()
    assert [numbered(5)[:2], numbered(5)[2:4], numbered(5)[4:]] == scene.requests
    assert ([], {"shutdown": 5}) == (scene.waits, scene.dropped)


def test_closing_delivers_what_can_be_delivered() -> None:
    """A batch that fails takes no other with it."""
    scene = Scene(script(REFUSED_CONNECTION), batch_events=2)
    scene.put(*numbered(5))
    close_now(scene)
    scene.run()
    assert ({"shutdown": 2}, 3) == (scene.dropped, scene.books.stats().delivered)


def test_nothing_is_sent_after_the_deadline() -> None:
    """Each request is given what is left of `close_timeout`, and after it none is begun."""
    scene = Scene(script(), batch_events=1)
    scene.sender.takes = 2.0
    scene.put(*numbered(5))
    close_now(scene, within=5.0)
    scene.run()
    assert [5.0, 3.0, 1.0] == scene.sender.within
    assert ({"shutdown": 2}, 3) == (scene.dropped, scene.books.stats().delivered)


def test_closing_still_finds_the_bad_event() -> None:
    """At exit, too, one bad event takes no good one with it."""
    intake = Choosy()
    scene = Scene(intake)
    scene.put(*numbered(100, [40]))
    close_now(scene)
    scene.run()
    assert ({"refused": 1}, 99) == (scene.dropped, len(intake.kept))


@pytest.mark.parametrize("number", [1, 100, 5_000])
def test_closing_at_an_intake_that_refuses_everything_is_short(number: int) -> None:
    """No request storm at exit: a few requests, and then the records are counted as lost at shutdown."""
    scene = Scene(lambda events: reply(400))
    scene.put(*numbered(number))
    close_now(scene)
    scene.run()
    assert {"shutdown": number} == scene.dropped
    assert 60 >= len(scene.sender.sent)


def test_closing_while_waiting_ends_the_attempts() -> None:
    """`close` in the middle of a back-off: one attempt more, and no wait."""
    scene = Scene(lambda events: REFUSED_CONNECTION)
    scene.buffer.at_pause = lambda number: scene.buffer.end() if number == 3 else None
    scene.put(*numbered(3))
    scene.run()
    assert (4, 3) == (len(scene.requests), len(scene.waits))
    assert {"shutdown": 3} == scene.dropped


# ---- loss is told


def test_the_intake_is_told_of_losses_when_delivery_works_again() -> None:
    """One event says how many records were lost, why, and between which times; it is in no book."""
    scene = Scene(script(REFUSED_CONNECTION, REFUSED_CONNECTION))
    scene.books.accepted += 7
    scene.books.drop("queue_full", 5, 1_537_537_729.0, 1_537_537_800.0)
    scene.books.drop("expired", 2, 1_537_537_700.0, 1_537_537_750.0)
    scene.put(*numbered(3))
    scene.run()
    [notice] = scene.notices
    assert [] == [part for part in ("7 records", "5 queue_full", "2 expired") if part not in notice]
    assert iso(1_537_537_700.0) in notice
    assert iso(1_537_537_800.0) in notice
    stats = scene.books.stats()
    assert (10, 3, 7) == (stats.accepted, stats.delivered, sum(stats.dropped.values()))


def test_without_losses_nothing_is_told() -> None:
    """A healthy line sends nothing of its own."""
    scene = Scene(script())
    scene.put(*numbered(3))
    scene.run()
    assert [] == scene.notices


def test_a_notice_that_could_not_be_sent_is_sent_later() -> None:
    """The intake fails again just then: the losses are not forgotten."""
    failed = iter([True])
    scene = Scene(
        lambda events: reply(503) if events[0].startswith(NOTICE) and next(failed, False) else OK, batch_events=1
    )
    scene.books.accepted += 1
    scene.books.drop("queue_full", 1, 1.0, 1.0)
    scene.put(*numbered(2))
    scene.run()
    assert 2 == len(scene.notices)
    assert "1 record lost" in scene.notices[-1]


def told_in(notices: list[str]) -> int:
    """The number of records that the notices call lost, all together."""
    return sum(int(notice.split(": ")[1].split()[0]) for notice in notices)


def test_every_loss_is_told_by_the_end() -> None:
    """Losses soon after a notice wait for the next one; if the program ends first, they are told then."""
    scene = Scene(script(reply(200, ["id"]), OK, reply(200, ["id"])), batch_events=2)
    scene.put(*numbered(4))
    scene.run()
    assert {"intake_rejected": 2} == scene.dropped
    assert 2 == told_in(scene.notices)


def test_a_loss_that_nothing_follows_is_told_too() -> None:
    """A record is lost, and the program logs nothing more before it ends: the intake hears of it."""
    scene = Scene(script())
    scene.put(b"event")
    original = scene.buffer.end

    def lose_one_and_end() -> None:
        scene.books.accepted += 1
        scene.books.drop("queue_full", 1, 1.0, 1.0)
        original()

    scene.buffer.end = lose_one_and_end  # type: ignore[method-assign]
    scene.run()
    assert 1 == told_in(scene.notices)


def test_losses_all_the_time_are_not_told_all_the_time() -> None:
    """Records lost with every batch make a notice now and then, not one for each request."""
    scene = Scene(lambda events: reply(200, []), batch_events=1)
    for number in range(100):
        scene.put(b"event %d" % number)
    scene.run()
    assert 2 >= len(scene.notices)


def test_losses_are_told_on_the_logger(caplog: pytest.LogCaptureFixture) -> None:
    """ERROR means lost: the number, the reason and what to do, once a minute at most, and once at the end."""
    with caplog.at_level(logging.INFO, "loghttp"):
        scene = Scene(Choosy(), batch_events=10)
        scene.put(*numbered(50, [5, 15, 25]))
        scene.run()
    errors = [record.getMessage() for record in caplog.records if record.levelno == logging.ERROR]
    assert errors
    assert len(errors) <= 2
    assert "1 record lost (1 refused)" in errors[0]
    assert "HTTP 400: no" in errors[0]


def test_an_outage_is_told_once_and_its_end_once(caplog: pytest.LogCaptureFixture) -> None:
    """WARNING means not delivered yet; one line for each minute, one INFO at the end, and no stderr storm."""
    with caplog.at_level(logging.INFO, "loghttp"):
        scene = Scene(script(*[REFUSED_CONNECTION] * 5))
        scene.put(*numbered(3))
        scene.run()
    assert ["WARNING", "INFO"] == [record.levelname for record in caplog.records]
    assert "nothing is lost (3 pending)" in caplog.records[0].getMessage()
    assert "Connection refused" in caplog.records[0].getMessage()
