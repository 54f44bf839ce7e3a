"""The one place where records pass between threads: bounded, exact, and never waiting longer than it was told.

Most tests here use one thread and a clock that they turn themselves: where the courier would wait for its
bell, the clock jumps to the end of that wait.
"""

from __future__ import annotations

import itertools
import logging
import threading
from collections.abc import Callable, Sequence
from types import SimpleNamespace
from typing import Any

import pytest

from loghttp import _listener, _queue
from loghttp._batch import EVENT_COST, Run, gathered, parted
from loghttp._capture import Bare, Captured, Plain, capture, capture_plain, named
from loghttp._entry import DEFAULT_ATTRIBUTES, Reader
from loghttp._listener import Listener
from loghttp._options import Delivery
from loghttp._outbox import Marker, Outbox
from loghttp._queue import Buffer
from loghttp._selflog import SelfLog
from loghttp._stats import Books

SITE_OF: Any = Reader(DEFAULT_ATTRIBUTES).site_of
NUMBERS = itertools.count(1)
PATIENCE = 10.0  # seconds that a test waits for something that takes milliseconds

# ---- helpers


class Idle(Exception):  # noqa: N818 - it is no error
    """The courier's thread would wait until somebody puts something."""


class Clock:
    """Monotonic seconds that pass when they are told to."""

    def __init__(self) -> None:
        self.now = 1_000.0

    def __call__(self) -> float:
        return self.now


class Bell:
    """Stands for the bell at which a thread waits: nobody rings, so the time-out passes at once."""

    awaited = False

    def __init__(self, clock: Clock) -> None:
        self.clock = clock

    def ring(self) -> None:
        """Nobody waits."""

    def wait(self, timeout: float | None = None) -> None:
        if timeout is None:
            raise Idle
        self.clock.now += timeout


def records_from(buffer: Buffer) -> list[Captured | Plain] | None:
    """As `take_records`, each by its names."""
    records = buffer.take_records()
    return None if records is None else [named(record) for record in records]


def records_of(buffer: Buffer) -> list[Captured | Plain] | None:
    """As the listener takes them, all that are there; None when the buffer is closed and drained."""
    if (records := records_from(buffer)) is None:
        return None
    while len(buffer._inbox):
        records += records_from(buffer) or ()
    return records


def numbers(runs: Sequence[Run]) -> list[int]:
    """Those of the records that the events were made of."""
    return [int(created) for run in runs for created in run.created]


class Line:
    """A buffer with its books and a clock, on one thread."""

    def __init__(self, **options: Any) -> None:
        self.clock = Clock()
        self.books = Books()
        self.buffer = Buffer(self.books, delivery(**options), self.clock)
        self.buffer._courier_bell = Bell(self.clock)  # type: ignore[assignment]
        self.buffer._listener_bell = Bell(Clock())  # type: ignore[assignment]  # no time passes
        self.number = 0

    def put(self, size: int = 1_000, number: int | None = None) -> bool:
        """Put the next record: they are numbered from 1, and `when` is the number."""
        self.number = number or self.number + 1
        return self.buffer.put(record(self.number, size))

    def encode(self, size: int = 100, *, urgent: bool = False) -> None:
        """Turn all waiting records into events of `size` bytes, and pass markers on, as the listener does."""
        while not self.buffer._inbox.idle:
            records = records_from(self.buffer) or []
            runs = gathered([b"x" * size] * len(records), [record.when for record in records], self.clock.now)
            self.buffer.put_runs([*runs], sum(record.size for record in records), urgent=urgent)
            self.buffer.pass_markers()

    def fill(self, count: int, size: int = 100) -> None:
        """`count` more events wait to be sent."""
        for _ in range(count):
            self.put()
        self.encode(size)

    def take(self) -> list[int]:
        """The numbers of the next batch, after waiting for it."""
        return numbers(self.take_runs())

    def take_all(self) -> list[int]:
        """The numbers of all that is left in a closed buffer, batch by batch."""
        assert records_from(self.buffer) is None
        return [number for batch in iter(self.buffer.take_runs, None) for number in numbers(batch)]

    def take_runs(self) -> list[Run]:
        return self.buffer.take_runs() or []

    def audit(self) -> dict[str, int]:
        """The dropped by reason, after a look whether books and buffer agree."""
        stats = self.books.stats()
        assert stats.accepted == stats.delivered + stats.pending + sum(stats.dropped.values())
        assert stats.pending == self.buffer._held + len(self.buffer._inbox), (
            "the buffer holds what the books call pending"
        )
        held_bytes = self.buffer._held_bytes + self.buffer._inbox.bytes
        assert 0 <= held_bytes
        if not stats.pending:
            assert 0 == held_bytes
        return dict(stats.dropped)


class Raising(logging.Formatter):
    def format(self, _: logging.LogRecord) -> str:
        raise RuntimeError("no")


def deliver_all(line: Line) -> list[int]:
    """Do the courier's work for a closed buffer; the numbers of what it delivered."""
    delivered: list[int] = []
    while runs := line.take_runs():
        delivered += numbers(runs)
        line.buffer.delivered(runs)
    return delivered


def listener_of(line: Line, handle_error: Any = None) -> Listener:
    """Of this line; its events are all alike."""
    intake: Any = SimpleNamespace(shape=lambda _: b"event")
    return Listener(
        line.buffer,
        Reader(()),
        intake,
        selflog=SelfLog("test", line.books),
        flush_level=logging.ERROR,
        handle_error=handle_error,
    )


def delivery(**options: Any) -> Delivery:
    return Delivery(**{"batch_events": 100, "batch_bytes": 1_000_000, **options})


def record(number: int, size: int = 1_000, **attributes: Any) -> Captured:
    """A captured record that is taken to occupy `size` bytes and was logged at second `number`."""
    captured = capture(logging.makeLogRecord({"msg": "order placed", "created": float(number), **attributes}))
    captured.size = size
    return captured


def plain_record(number: float, next_number: Callable[[], int] = NUMBERS.__next__) -> Bare:
    """As most records are: one that is put without a lock; logged at second `number`, by which it is known."""
    record = logging.makeLogRecord({"msg": "order placed", "created": float(number)})
    plain = capture_plain(record, SITE_OF, next_number)
    assert type(plain) is tuple
    return plain


def run(*targets: Callable[[], Any]) -> list[threading.Thread]:
    threads = [threading.Thread(target=target, daemon=True) for target in targets]
    for thread in threads:
        thread.start()
    return threads


def finish(threads: list[threading.Thread]) -> None:
    for thread in threads:
        thread.join(PATIENCE)
    assert [] == [thread.name for thread in threads if thread.is_alive()]


# ---- the books


def test_every_record_is_pending_until_it_has_left() -> None:
    """A record is pending from `put` until its event is delivered or dropped, in whatever stage it is."""
    line = Line()
    line.put()
    assert (1, 1) == (line.books.stats().accepted, line.books.stats().pending)
    line.encode()
    assert 1 == line.books.stats().pending
    line.buffer.close()
    events = line.take_runs()
    assert 1 == line.books.stats().pending
    line.buffer.delivered(events)
    assert (0, 1) == (line.books.stats().pending, line.books.stats().delivered)
    assert {} == line.audit()


def test_a_record_that_became_no_event_is_gone() -> None:
    """A record that could not be encoded is entered as lost, and its room is free again."""
    line = Line()
    line.put(size=500)
    [captured] = records_of(line.buffer) or []
    assert isinstance(captured, Captured)
    line.buffer.lose(captured)
    assert {"encoding": 1} == line.audit()


# ---- overflow


def test_drop_oldest_keeps_the_newest() -> None:
    """The oldest gives way, is counted once as `queue_full`, and the newest is taken."""
    line = Line(buffer_events=3)
    for _ in range(5):
        line.put()
    assert {"queue_full": 2} == line.audit()
    line.buffer.close()
    line.encode()
    assert [3, 4, 5] == line.take_all()


def test_drop_oldest_drops_events_before_records() -> None:
    """What was encoded was logged before what was not."""
    line = Line(buffer_events=3)
    line.fill(2)
    for _ in range(3):
        line.put()
    assert {"queue_full": 2} == line.audit()
    line.encode()
    line.buffer.close()
    assert [3, 4, 5] == line.take_all()


def test_drop_newest_keeps_the_oldest() -> None:
    """The newest is not taken in, is counted once as `queue_full`, and the program goes on."""
    line = Line(buffer_events=3, overflow="drop_newest")
    assert [True] * 5 == [line.put() for _ in range(5)]
    assert {"queue_full": 2} == line.audit()
    line.buffer.close()
    line.encode()
    assert [1, 2, 3] == line.take_all()


def test_block_waits_no_longer_than_block_timeout() -> None:
    """With `block_timeout` the program waits so long, and then the record is counted as `queue_full`."""
    line = Line(buffer_events=1, overflow="block", block_timeout=0.01)
    line.put()
    assert line.put()
    assert {"queue_full": 1} == line.audit()


def test_block_waits_for_room() -> None:
    """The program waits until something has left, and then nothing was lost."""
    line = Line(buffer_events=1, overflow="block")
    line.put()
    threads = run(line.put)
    while not line.buffer._room._waiters:
        pass
    line.encode()
    line.buffer._markers = 1  # due at once
    line.buffer.delivered(line.take_runs())
    finish(threads)
    assert {} == line.audit()
    assert (2, 1) == (line.books.stats().accepted, line.books.stats().delivered)


def test_block_waits_no_longer_than_until_an_event_is_lighter_than_its_record() -> None:
    """Encoding makes room, too, though nothing has been delivered: the intake may be down for hours."""
    line = Line(buffer_bytes=5_000, overflow="block")
    for _ in range(5):
        line.put(1_000)
    threads = run(lambda: line.put(1_000))
    while not line.buffer._room._waiters:
        pass
    line.encode(100)
    finish(threads)
    line.buffer.close()
    line.encode(100)
    assert [1, 2, 3, 4, 5, 6] == line.take_all()
    assert {} == line.audit()


def test_closing_frees_who_waits() -> None:
    """Who waits for room is told that the buffer is closed, and the record is in no book."""
    line = Line(buffer_events=1, overflow="block")
    line.put()
    answers: list[bool] = []
    threads = run(lambda: answers.append(line.put()))
    while not line.buffer._room._waiters:
        pass
    line.buffer.close()
    finish(threads)
    assert [False] == answers
    assert 1 == line.books.stats().accepted


@pytest.mark.parametrize("overflow", ["drop_oldest", "drop_newest", "block"])
def test_a_record_larger_than_the_buffer_never_has_room(overflow: str) -> None:
    """It is counted as `too_large` at once: it pushes nothing out, and nobody waits for room that never comes."""
    line = Line(buffer_bytes=5_000, overflow=overflow)
    line.put()
    finish(run(lambda: line.put(size=5_001)))
    assert {"too_large": 1} == line.audit()
    assert 1 == line.books.stats().pending


@pytest.mark.parametrize(("overflow", "kept"), [("drop_oldest", [3, 4, 5]), ("drop_newest", [1, 2, 3])])
def test_memory_is_bounded_by_bytes(overflow: str, kept: list[int]) -> None:
    """Three records of a kilobyte fit where 3,500 bytes may be kept, however many may be."""
    line = Line(buffer_bytes=3_500, overflow=overflow)
    for _ in range(5):
        line.put(size=1_000)
    assert 3_500 >= line.buffer._held_bytes + line.buffer._inbox.bytes
    assert {"queue_full": 2} == line.audit()
    line.encode()
    line.buffer.close()
    assert kept == line.take()


def test_one_large_record_pushes_out_as_many_as_it_takes() -> None:
    """A record of three kilobytes takes the place of the three oldest."""
    line = Line(buffer_bytes=5_000)
    for _ in range(5):
        line.put(size=1_000)
    line.put(size=3_000)
    assert {"queue_full": 3} == line.audit()
    assert 5_000 == line.buffer._held_bytes + line.buffer._inbox.bytes


@pytest.mark.parametrize("overflow", ["drop_oldest", "drop_newest"])
def test_events_that_come_out_larger_stay_within_the_bytes(overflow: str) -> None:
    """Escaping can make an event six times as long as its record: the bound holds all the same."""
    line = Line(buffer_bytes=10_000, overflow=overflow)
    for _ in range(8):
        line.put(size=1_000)
    line.encode(size=3_000)
    assert 10_000 >= line.buffer._held_bytes
    line.audit()


def test_what_is_in_hand_is_never_dropped_for_room() -> None:
    """A batch that is being sent may have arrived already: only what waits gives way."""
    line = Line(buffer_events=3)
    line.fill(3)
    line.buffer._markers = 1
    in_hand = line.take_runs()
    assert [1] == numbers(in_hand)  # a quarter of so small a buffer
    line.put()
    assert {"queue_full": 1} == line.audit()
    line.buffer.delivered(in_hand)
    line.buffer.close()
    line.encode()
    assert [3, 4] == line.take_all()


def test_markers_are_not_dropped_for_room() -> None:
    """A flush under way gets its answer, whatever overflows meanwhile."""
    line = Line(buffer_events=2)
    line.put()
    marker = line.buffer.mark()
    for _ in range(5):
        line.put()
    line.encode()
    line.take_runs()
    assert marker.in_time


# ---- when a batch is due


def test_a_batch_is_due_when_its_oldest_event_is_old_enough() -> None:
    """`flush_interval` counts from the oldest event, whatever comes after it."""
    line = Line(flush_interval=2.0)
    line.fill(1)
    line.clock.now += 1.5
    line.fill(1)
    assert [1, 2] == line.take()
    assert 1_002.0 == line.clock.now


def test_a_batch_is_due_when_it_is_full() -> None:
    """`batch_events` are enough, and no more go along."""
    line = Line(batch_events=3, flush_interval=60.0)
    line.fill(7)
    assert [[1, 2, 3], [4, 5, 6]] == [line.take(), line.take()]
    assert 1_000.0 == line.clock.now
    assert [7] == line.take()
    assert 1_060.0 == line.clock.now


def test_a_batch_is_due_when_its_bytes_are_enough() -> None:
    """`batch_bytes` are enough; the event that would exceed them waits for the next batch."""
    line = Line(batch_bytes=1_000, flush_interval=60.0)
    line.fill(5, size=400)
    assert [1, 2] == line.take()
    assert 1_000.0 == line.clock.now


def test_an_event_larger_than_a_batch_travels_alone() -> None:
    """An event of more than `batch_bytes` is sent all the same, and by itself."""
    line = Line(batch_bytes=1_000, flush_interval=60.0)
    line.fill(1, size=10)
    line.fill(1, size=5_000)
    line.fill(1, size=10)
    assert [[1], [2]] == [line.take(), line.take()]


def test_an_urgent_event_makes_its_batch_due_at_once() -> None:
    """`flush_level`: what waits before it goes along, so the order stays."""
    line = Line(flush_interval=60.0)
    line.fill(2)
    line.put()
    line.encode(urgent=True)
    assert [1, 2, 3] == line.take()
    assert 1_000.0 == line.clock.now


def test_urgency_ends_with_its_batch() -> None:
    """The event after an urgent one waits as any other does."""
    line = Line(flush_interval=60.0)
    line.put()
    line.encode(urgent=True)
    line.take()
    line.fill(1)
    line.take()
    assert 1_060.0 == line.clock.now


def test_an_error_storm_leaves_in_batches() -> None:
    """A thousand urgent events leave in ten requests of a hundred, not in a thousand."""
    line = Line(batch_events=100)
    for _ in range(1_000):
        line.put()
    line.encode(urgent=True)
    assert [100] * 10 == [len(line.take()) for _ in range(10)]


def test_nothing_waits_for_nothing() -> None:
    """An idle courier waits without a time-out: an idle program does no work."""
    with pytest.raises(Idle):
        Line().take_runs()


# ---- flush


def test_a_flush_makes_due_what_was_before_it() -> None:
    """A marker that is put after a record is passed once that record has left."""
    line = Line(flush_interval=60.0)
    line.put()
    marker = line.buffer.mark()
    line.put()
    line.encode()
    events = line.take_runs()
    assert [1] == numbers(events)
    assert 1_000.0 == line.clock.now
    assert not marker.passed.is_set()
    line.buffer.delivered(events)
    assert [2] == line.take()
    assert marker.passed.is_set()
    assert marker.in_time


@pytest.mark.parametrize("kind", [plain_record, record], ids=["plain", "any other"])
def test_a_program_that_logs_without_a_pause_lets_the_listener_run(
    kind: Callable[[int], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """At each 64th record that waits it offers the interpreter (each 128th with orjson), whatever their kind."""
    line = Line()
    offers: list[bool] = []
    monkeypatch.setattr(_queue, "offer_interpreter", lambda: offers.append(True))
    for number in range(_queue._BURST - 1):
        line.buffer.put(kind(number))
    assert [] == offers
    for number in range(_queue._BURST - 1, 2 * _queue._BURST):
        line.buffer.put(kind(number))
    assert 2 == len(offers)


class Lingering(Bell):
    """The listener's bell, at which something happens while it waits."""

    def __init__(self, happens: Callable[[], Any] = lambda: None) -> None:
        super().__init__(Clock())
        self.happens = happens
        self.waits: list[float | None] = []
        self.rings = 0

    def ring(self) -> None:
        self.rings += self.awaited
        self.awaited = False

    def wait(self, timeout: float | None = None) -> None:
        self.waits.append(timeout)
        super().wait(timeout)
        self.happens()


def visited(line: Line, bell: Lingering) -> Line:
    """The listener has just been there, and comes again to find one record."""
    line.buffer._listener_bell = bell  # type: ignore[assignment]
    line.put()
    assert [1] == [record.when for record in records_from(line.buffer) or []]
    line.put()
    return line


@pytest.mark.parametrize("kind", [plain_record, record], ids=["plain", "any other"])
@pytest.mark.parametrize(("more", "rings"), [(0, 0), (1, 0), (-2, 0), (-1, 1), (16, 1)])
def test_where_records_come_thick_they_are_taken_in_bursts(kind: Callable[[int], Any], more: int, rings: int) -> None:
    """The listener gives those that follow 2 ms, and is not woken by each, but by the one that makes a burst."""
    burst = _queue._BURST
    more = more if more in (0, 1) else burst + more
    line = Line()
    bell = Lingering(lambda: [line.buffer.put(kind(number)) for number in range(more)])
    visited(line, bell)
    assert min(1 + more, burst) == len(records_from(line.buffer) or [])
    assert ([0.002], rings) == (bell.waits, bell.rings)


def test_where_nothing_follows_the_listener_rests() -> None:
    """After 2 ms it waits without an end, and the next record wakes it."""
    line = Line()
    bell = Lingering()
    records_from(visited(line, bell).buffer)
    bell.waits.clear()
    with pytest.raises(Idle):
        records_from(line.buffer)
    assert [0.002, None] == bell.waits
    line.buffer.put(plain_record(3))
    assert 1 == bell.rings


@pytest.mark.parametrize(
    ("hurry", "options"),
    [
        (lambda line: line.buffer.mark(), {}),
        (lambda line: line.buffer.close(), {}),
        (lambda line: None, {"buffer_events": 100}),
        (lambda line: None, {"buffer_bytes": 100_000}),
        (lambda line: setattr(line.clock, "now", line.clock.now + 0.01), {}),
    ],
    ids=["a flush", "the end", "little room", "little memory", "a while ago"],
)
def test_what_must_not_wait_does_not(hurry: Callable[[Line], Any], options: dict[str, Any]) -> None:
    """A flush, the end and a small buffer have records taken at once; so are those that come now and then."""
    bell = Lingering()
    line = visited(Line(**options), bell)
    hurry(line)
    assert 1 == len(records_from(line.buffer) or [])
    assert [] == bell.waits


def test_a_record_that_leaves_little_room_is_not_left_waiting() -> None:
    """One that is so large wakes the listener, though it lingers."""
    line = Line(buffer_bytes=1_000_000)
    bell = Lingering(lambda: line.put(900_000))
    records_from(visited(line, bell).buffer)
    assert 1 == bell.rings


def test_a_flush_of_nothing_is_done() -> None:
    """With nothing before it the marker comes through at once."""
    line = Line()
    marker = line.buffer.mark()
    line.encode()
    with pytest.raises(Idle):
        line.take_runs()
    assert marker.in_time


def test_what_was_dropped_does_not_hold_a_flush() -> None:
    """True means delivered or dropped: nothing that was before the call is on its way any more."""
    line = Line()
    line.put()
    marker = line.buffer.mark()
    line.encode()
    line.buffer.dropped(line.take_runs(), "refused")
    with pytest.raises(Idle):
        line.take_runs()
    assert marker.in_time


def test_many_flushes_at_once_each_get_their_answer() -> None:
    """Markers come through in order, those next to each other at the same time."""
    line = Line()
    markers = [line.buffer.mark(), line.buffer.mark()]
    line.put()
    markers.append(line.buffer.mark())
    line.encode()
    events = line.take_runs()
    assert [True, True, False] == [marker.passed.is_set() for marker in markers]
    line.buffer.delivered(events)
    with pytest.raises(Idle):
        line.take_runs()
    assert [True] * 3 == [marker.in_time for marker in markers]


def test_after_a_flush_the_interval_counts_again() -> None:
    """A flush that has come through leaves nothing behind that would make later batches due at once."""
    line = Line(flush_interval=60.0)
    line.buffer.mark()
    line.encode()
    line.fill(1)
    line.take()
    assert 1_060.0 == line.clock.now


# ---- close and abandon


def test_closing_makes_all_due_and_lets_nothing_in() -> None:
    """What is in is handed out to the end; what comes after is told that it is too late, and is in no book."""
    line = Line(batch_events=2, flush_interval=60.0)
    line.fill(3)
    line.put()
    line.buffer.close()
    assert not line.put(number=9)
    line.encode()
    assert None is records_of(line.buffer)
    assert [[1, 2], [3, 4]] == [line.take(), line.take()]
    assert None is line.buffer.take_runs()
    assert 1_000.0 == line.clock.now
    assert 4 == line.books.stats().accepted


def test_a_flush_of_a_closed_buffer_tells_whether_all_is_out() -> None:
    """No marker travels any more: the answer is what the buffer holds."""
    line = Line()
    line.put()
    line.buffer.close()
    assert (True, False) == (line.buffer.mark().passed.is_set(), line.buffer.mark().in_time)
    line.encode()
    line.buffer.delivered(line.take_runs())
    assert line.buffer.mark().in_time


def test_abandoning_counts_each_record_once_whichever_stage_it_is_in() -> None:
    """Waiting, in the listener's hand, encoded, in the courier's hand: all lost at shutdown, and told how many."""
    line = Line(batch_events=2)
    line.fill(4)
    line.take_runs()  # two in the courier's hand, two wait
    line.put()
    records_of(line.buffer)  # one in the listener's hand
    line.put()  # one waits
    line.buffer.close()
    assert 6 == line.buffer.abandon()
    assert {"shutdown": 6} == line.audit()
    losses = line.books.take_untold_log()
    assert (6, 1.0, 6.0) == (losses.total, losses.first, losses.last)


def test_what_returns_after_abandoning_is_ignored() -> None:
    """A thread that comes back late from a hanging request must not enter its batch a second time."""
    line = Line()
    line.fill(2)
    line.buffer.close()
    events = line.take_runs()
    line.buffer.abandon()
    line.buffer.delivered(events[:1])
    line.buffer.dropped(events[1:], "refused")
    assert 0 == line.buffer.abandon()
    assert {"shutdown": 2} == line.audit()
    assert 0 == line.books.stats().delivered


def test_a_record_that_becomes_an_event_after_abandoning_is_ignored() -> None:
    """The listener, too, may come back late."""
    line = Line()
    line.put()
    [captured] = records_of(line.buffer) or []
    line.buffer.close()
    line.buffer.abandon()
    assert isinstance(captured, Captured)
    line.buffer.put_runs([Run(b"x", (1.0,), 1.0)], captured.size)
    assert {"shutdown": 1} == line.audit()


def test_abandoning_frees_who_flushes() -> None:
    """A flush under way is told that it was in vain."""
    line = Line()
    line.put()
    marker = line.buffer.mark()
    line.buffer.close()
    line.buffer.abandon()
    assert (True, False) == (marker.passed.is_set(), marker.in_time)


def test_a_record_lost_in_encoding_is_not_lost_at_shutdown_as_well() -> None:
    """A formatter raised, `handleError` takes its time (a console that hangs), and the program ends meanwhile.

    The record is in the books as lost; counted again at shutdown, more would be lost than was accepted.
    """
    line = Line()

    def hang_until_the_end(_: logging.LogRecord) -> None:
        line.buffer.close()
        line.buffer.abandon()

    listener = listener_of(line, handle_error=hang_until_the_end)
    captured = record(1)
    captured.formatter = Raising()
    line.buffer.put(captured)
    listener.run()
    stats = line.books.stats()
    assert (1, 0, 1) == (stats.accepted, stats.pending, sum(stats.dropped.values()))


@pytest.mark.parametrize("failing", [1, 2, 3])
def test_a_fault_of_ours_loses_what_it_met(failing: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """There was no memory for a few records: they are in the books as lost, and all others go on, in order."""
    line = Line()
    encoded: list[int] = []  # so many records at a time

    def gathered_if_there_is_memory(events: Any, created: Any, born: float) -> Any:
        encoded.append(len(events))
        if len(encoded) == failing:
            raise MemoryError
        return gathered(events, created, born)

    monkeypatch.setattr(_listener, "gathered", gathered_if_there_is_memory)
    for _ in range(1_000):
        line.put()
    marker = line.buffer.mark()
    line.buffer.close()
    listener_of(line).run()
    lost = {"encoding": encoded[failing - 1]}
    assert lost == line.audit()
    assert encoded[failing - 1] <= 128

    first = sum(encoded[: failing - 1]) + 1
    left = [*range(1, first), *range(first + encoded[failing - 1], 1_001)]
    assert left == deliver_all(line)
    assert (lost, 0) == (line.audit(), line.books.stats().pending)
    assert marker.in_time


def test_events_for_which_the_outbox_has_no_memory_are_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    """They have been encoded and are nowhere: the books say so at once, and no byte is left behind."""
    line = Line()
    usual = line.buffer._outbox.put
    faults = iter([MemoryError])

    def put(runs: Sequence[Run]) -> None:
        if fault := next(faults, None):
            raise fault
        usual(runs)

    monkeypatch.setattr(line.buffer._outbox, "put", put)
    for _ in range(200):
        line.put()
    line.buffer.close()
    listener_of(line).run()
    assert {"encoding": 128} == line.audit()
    assert [*range(129, 201)] == deliver_all(line)
    assert {"encoding": 128} == line.audit()


@pytest.mark.parametrize("where", ["take_records", "pass_markers"])
def test_a_fault_between_two_bursts_loses_nothing(where: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The thread goes on with what it was about to do."""
    line = Line()
    usual = getattr(line.buffer, where)
    faults = iter([MemoryError, SystemExit])

    def sometimes() -> Any:
        if fault := next(faults, None):
            raise fault
        return usual()

    monkeypatch.setattr(line.buffer, where, sometimes)
    line.put()
    marker = line.buffer.mark()
    line.put()
    line.buffer.close()
    listener_of(line).run()
    assert [1, 2] == deliver_all(line)
    assert {} == line.audit()
    assert marker.in_time


def test_faults_without_end_do_not_hold_up_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing goes any more: then the thread ends when it is told to, and what is left is lost at shutdown."""
    line = Line()

    def no_memory() -> None:
        raise MemoryError

    monkeypatch.setattr(line.buffer, "take_records", no_memory)
    line.put()
    line.buffer.close()
    listener_of(line).run()
    assert 1 == line.buffer.abandon()
    assert {"shutdown": 1} == line.audit()


def test_a_dialect_that_shapes_nothing_loses_that_record() -> None:
    """`shape` forgot to return: the record is in the books, and is not pending until the end."""
    line = Line()
    shaped = iter([b"one", None, b"three"])
    listener = listener_of(line)
    listener._intake.shape = lambda _: next(shaped)  # type: ignore[method-assign, assignment, return-value]
    for _ in range(3):
        line.put()
    line.buffer.close()
    listener.run()
    assert {"encoding": 1} == line.audit()
    assert [1, 3] == deliver_all(line)


def test_a_handle_error_that_wants_to_exit_takes_no_other_record_with_it() -> None:
    """It runs on the listener's thread, and whatever it raises stays there."""
    line = Line()

    def leave(_: logging.LogRecord) -> None:
        raise SystemExit

    for _ in range(10):
        line.put()
        captured = record(100)
        captured.formatter = Raising()
        line.buffer.put(captured)
    line.buffer.close()
    listener_of(line, handle_error=leave).run()
    assert {"encoding": 10} == line.audit()
    assert [*range(1, 11)] == deliver_all(line)


# ---- in hand


def test_parts_of_a_batch_leave_one_by_one() -> None:
    """Delivered, refused, rejected: each event of a batch leaves once, and then nothing is held."""
    line = Line()
    line.fill(5)
    line.buffer.close()
    events = line.take_runs()
    delivered, events = parted(events, 2)
    line.buffer.delivered(delivered)
    refused, events = parted(events, 1)
    line.buffer.dropped(refused, "refused")
    line.buffer.dropped(parted(events, 1)[0], "intake_rejected")
    assert 1 == line.books.stats().pending
    line.buffer.lose_in_hand()
    assert {"refused": 1, "intake_rejected": 1, "encoding": 1} == line.audit()
    line.buffer.lose_in_hand()
    assert {"refused": 1, "intake_rejected": 1, "encoding": 1} == line.audit()


def test_an_event_that_was_cut_weighs_less() -> None:
    """The bytes that a cut event no longer occupies are free at once."""
    line = Line()
    line.fill(1, size=10_000)
    line.buffer.close()
    [event] = line.take_runs()
    smaller = line.buffer.exchanged(event, event._replace(body=b"x" * 100))
    assert EVENT_COST + 100 == line.buffer._held_bytes
    line.buffer.delivered([smaller])
    assert {} == line.audit()


def test_what_is_lost_by_a_fault_of_ours_weighs_what_it_weighed() -> None:
    """Whichever part of a batch has left before, what is then given up leaves no byte behind."""
    line = Line()
    line.fill(1, size=10)
    line.fill(1, size=10_000)
    line.buffer.close()
    _, large = line.take_runs()
    line.buffer.delivered([large])
    line.buffer.lose_in_hand()
    assert {"encoding": 1} == line.audit()


def test_a_batch_for_which_there_is_no_memory_stays_where_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    """To take a part of some events is to make two of one run; if that fails, none has moved."""
    outbox = Outbox(batch_events=15, batch_bytes=1_000_000, flush_interval=1.0)
    outbox.put([Run(b"x" * 10 + b"\nx" * 9, tuple(map(float, range(start, start + 10))), 0.0) for start in (0, 10)])

    def no_memory(*_: Any) -> Run:
        raise MemoryError

    with monkeypatch.context() as patched:
        patched.setattr(Run, "part", no_memory)
        for take in (outbox.take_batch, outbox.take_latest, outbox.take_oldest):
            with pytest.raises(MemoryError):
                take()
            assert 20 == len(outbox)
    latest = outbox.take_latest()
    batches = [outbox.take_batch(), outbox.take_batch()]
    assert [[*range(15)], [*range(15, 19)], [19]] == [numbers(batch) for batch in (*batches, [latest or batches[0][0]])]
    assert (0, 0, []) == (len(outbox), outbox._bytes, [*outbox])


# ---- waiting between attempts


def test_closing_ends_a_pause() -> None:
    """No wait between attempts survives `close`."""
    line = Line()
    threads = run(lambda: line.buffer.pause(3_600.0), lambda: line.buffer.pause(3_600.0, at_least=300.0))
    line.buffer.close()
    finish(threads)


def test_a_pause_after_closing_is_none() -> None:
    """A closed buffer waits for nothing."""
    line = Line()
    line.buffer.close()
    finish(run(lambda: line.buffer.pause(3_600.0, at_least=300.0)))


def test_closing_at_the_worst_moment_ends_a_pause() -> None:
    """`close` comes just after the pause has looked whether it came: the courier must not sleep through the exit."""
    line = Line()

    class JustMissed(threading.Event):
        def wait(self, timeout: float | None = None) -> bool:
            seen = super().wait(timeout)
            line.buffer.close()
            return seen

    line.buffer.closing = JustMissed()
    finish(run(lambda: line.buffer.pause(3_600.0)))


def test_a_flush_ends_a_pause_of_our_own() -> None:
    """Who flushes wants an attempt now: our own back-off gives way."""
    line = Line()
    threads = run(lambda: line.buffer.pause(3_600.0))
    while threads[0].is_alive():
        line.buffer.mark()
        threads[0].join(0.01)
    finish(threads)


def test_a_flush_does_not_end_what_the_intake_asked_for() -> None:
    """A Retry-After is obeyed: a flush in its first part changes nothing."""
    line = Line()
    line.buffer.mark()
    threads = run(lambda: line.buffer.pause(3_600.0, at_least=3_600.0))
    line.buffer.mark()
    threads[0].join(0.05)
    assert threads[0].is_alive()
    line.buffer.close()
    finish(threads)


# ---- re-entrance


class Talkative:
    """An object whose end is logged, as some connection pools do it."""

    def __init__(self, line: Line) -> None:
        self.line = line

    def __del__(self) -> None:
        self.line.put(number=99)


@pytest.mark.parametrize("stage", ["overflow", "abandon", "taken"])
def test_a_del_that_logs_in_the_middle_does_not_deadlock(stage: str) -> None:
    """bpo-14976, sentry-python#803: the end of an object inside `put` logs, on the thread that holds the lock.

    The record of the end is taken in, the books stay exact, and so does the bound.
    """
    line = Line(buffer_events=2)
    captured = record(1)
    captured.__dict__["levelname"] = Talkative(line)
    line.buffer.put(captured)
    line.put(number=2)
    del captured

    def provoke() -> None:
        if stage == "overflow":
            for number in range(3, 6):
                line.put(number=number)
        elif stage == "abandon":
            line.buffer.close()
            line.buffer.abandon()
        else:
            line.encode()

    finish(run(provoke))
    stats = line.books.stats()
    assert {"overflow": 2 + 3 + 1, "abandon": 2, "taken": 2 + 1}[stage] == stats.accepted
    assert 2 >= stats.pending
    line.audit()


# ---- many threads


@pytest.mark.parametrize("overflow", ["drop_oldest", "drop_newest", "block"])
def test_the_books_balance_at_every_instant(overflow: str) -> None:
    """Eight producers, a listener and a courier; an auditor asks all the time and never finds the sum wrong."""
    producers, each = 8, 600
    books = Books()
    buffer = Buffer(books, delivery(buffer_events=200, overflow=overflow, batch_events=50, flush_interval=0.001))
    wrong: list[str] = []
    done = threading.Event()
    audits = 0

    def produce() -> None:
        for number in range(each):
            buffer.put(record(number) if number % 3 else plain_record(number))

    def listen() -> None:
        while (records := records_from(buffer)) is not None:
            kept = [record for record in records if record.when % 10 != 7]
            for lost in records:
                if lost not in kept:
                    buffer.lose(lost)
            events = [Run(b"x", (record.when,), 0.0) for record in kept]
            urgent = any(record.when % 100 == 0 for record in kept)
            buffer.put_runs(events, sum(record.size for record in kept), urgent=urgent)
            buffer.pass_markers()

    def carry() -> None:
        while (events := buffer.take_runs()) is not None:
            buffer.delivered(events[1:])
            buffer.dropped(events[:1], "refused")

    def audit() -> None:
        nonlocal audits
        while not done.is_set():
            with books.lock:  # plain records come in all the same
                least = buffer._held + len(buffer._inbox)
                stats = books.stats()
                most, size = buffer._held + len(buffer._inbox), buffer._held_bytes + buffer._inbox.bytes
            audits += 1
            if stats.accepted != stats.delivered + stats.pending + sum(stats.dropped.values()):
                wrong.append(f"the sum: {stats!r}")
            # One more for each producer that was between its look for room and its put.
            if not 0 <= least <= stats.pending <= most <= 200 + producers or size < 0:
                wrong.append(f"{least} to {most} held, {size} bytes: {stats!r}")

    threads = run(listen, carry)
    auditor = run(audit)
    flushes: list[Marker] = []
    program = run(*[produce] * producers, lambda: flushes.extend(buffer.mark() for _ in range(50)))
    finish(program)
    buffer.close()
    finish(threads)
    done.set()
    finish(auditor)
    assert [] == wrong[:3]
    assert 0 < audits
    stats = books.stats()
    assert (producers * each, 0) == (stats.accepted, stats.pending)
    assert 0 == buffer._held_bytes + buffer._inbox.bytes
    assert [] == [marker for marker in flushes if not marker.in_time]
    if overflow == "block":
        assert {"encoding", "refused"} == stats.dropped.keys()
