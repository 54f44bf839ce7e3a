"""Plain records come in without a lock: none is lost, none comes twice, and the books are exact, whatever else goes on.

Two kinds of tests: real threads that switch as often as they can, and single steps, where something happens in
the very middle of a `put`, before or after the record is appended.
"""

from __future__ import annotations

import enum
import gc
import itertools
import logging
import os
import signal
import sys
import threading
import time
import tracemalloc
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from cases import each
from conftest import make_record
from test_queue import NUMBERS, PATIENCE, SITE_OF, delivery, finish, records_from, run
from test_queue import plain_record as plain

import loghttp
from loghttp._batch import Run, gathered
from loghttp._capture import PLAIN_COST, Bare, Captured, Plain, capture, capture_plain, named
from loghttp._inbox import Inbox
from loghttp._listener import Listener
from loghttp._queue import Buffer
from loghttp._selflog import SelfLog
from loghttp._stats import Books

PRODUCERS = 8

# ---- helpers


@pytest.fixture
def hasty() -> Iterator[None]:
    """Threads give way to each other every few steps."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


class Line:
    """A buffer with two threads at its end, which pass on what comes and remember the numbers."""

    def __init__(self, **options: Any) -> None:
        self.books = Books()
        self.most = options.get("buffer_events", 100_000)
        self.buffer = Buffer(self.books, delivery(flush_interval=0.001, **options))
        self.delivered: list[float] = []
        self.most_held = 0
        self.threads = run(self.listen, self.carry)

    def listen(self) -> None:
        while (records := records_from(self.buffer)) is not None:
            self.most_held = max(self.most_held, self.buffer._held + len(self.buffer._inbox))
            runs = gathered([b"x"] * len(records), [record.when for record in records], time.monotonic())
            self.buffer.put_runs([*runs], sum(record.size for record in records))
            self.buffer.pass_markers()

    def carry(self) -> None:
        while (runs := self.buffer.take_runs()) is not None:
            self.delivered += [created for run in runs for created in run.created]
            self.buffer.delivered(runs)

    def end(self) -> None:
        self.buffer.close()
        finish(self.threads)
        self.buffer.abandon()

    def audit(self, accepted: int) -> int:
        """How many were dropped, after a look whether all else that was accepted was delivered, and once."""
        stats = self.books.stats()
        dropped = sum(stats.dropped.values())
        assert (accepted, 0) == (stats.accepted, stats.pending)
        assert accepted == len(self.delivered) + dropped
        assert len(self.delivered) == len(set(self.delivered)) == stats.delivered
        assert 0 == self.buffer._held_bytes + self.buffer._inbox.bytes
        return dropped


def alone(**options: Any) -> tuple[Buffer, Books]:
    """A buffer without threads."""
    books = Books()
    return Buffer(books, delivery(**options)), books


class Interrupted:
    """Stands for the listener's bell; the first look at it, when the record is just appended, takes its time."""

    def __init__(self, what_happens: Callable[[], Any]) -> None:
        self.what_happens: Callable[[], Any] | None = what_happens

    @property
    def awaited(self) -> bool:
        if (happens := self.what_happens) is not None:
            self.what_happens = None
            happens()
        return False

    @awaited.setter
    def awaited(self, _: bool) -> None:
        """Nobody waits."""

    def ring(self) -> None:
        """Nobody waits."""


def put_interrupted(buffer: Buffer, where: str, happens: Callable[[], Any], number: float = 99) -> bool:
    """Put a record, while something else happens: "before" it is appended, when room was found, or just "after"."""
    if where == "after":
        buffer._listener_bell = Interrupted(happens)  # type: ignore[assignment]
        return buffer.put(plain(number))
    records = buffer._records

    class Deferred:
        """Stands for the records that wait; it is asked to append one when there is room for it."""

        def __len__(self) -> int:
            return len(records)

        def append(self, record: Captured | Bare) -> None:
            buffer._records = records
            happens()
            records.append(record)

    buffer._records = Deferred()  # type: ignore[assignment]
    return buffer.put(plain(number))


def taken(record: logging.LogRecord) -> Captured | Bare:
    """As the handler takes it."""
    if (captured := capture_plain(record, SITE_OF, NUMBERS.__next__)) is None:
        captured = capture(record)
        captured.sequence = 1
    return captured


def drain(buffer: Buffer, times: int = 100) -> list[float]:
    """Do the listener's work until it ends; the numbers of the records it took."""
    numbers: list[float] = []
    for _ in range(times):
        if (records := records_from(buffer)) is None:
            return numbers
        numbers += [record.when for record in records]
        buffer.put_runs([Run(b"x", (record.when,), 0.0) for record in records], sum(r.size for r in records))
        buffer.pass_markers()
    pytest.fail("the listener has nothing to do, and does not end")


# ---- many threads


@pytest.mark.parametrize("overflow", ["drop_oldest", "drop_newest", "block"])
@pytest.mark.parametrize("room", [{"buffer_events": 3}, {"buffer_bytes": 12_000}, {}], ids=["three", "bytes", "ample"])
def test_eight_threads_that_log_and_flush(hasty: None, overflow: str, room: dict[str, int]) -> None:
    """All is delivered or counted as dropped; numbers are unique and rise in each thread; the bounds hold.

    And when a thread's flush has returned, all that the thread logged before has left.
    """
    each = 120
    line = Line(overflow=overflow, **room)
    wrong: list[str] = []
    numbers: list[int] = []

    def produce(thread: int) -> None:
        mine: list[int] = []
        for number in range(each):
            record = plain(thread * 1_000 + number, line.books.next_number)
            if not line.buffer.put(record):
                wrong.append(f"{thread} was told that the buffer is closed")
            mine.append(record[0])
            if number % 40 == 39:
                line.buffer.mark().passed.wait(PATIENCE)
                left = len(line.delivered)
                flushed.append((thread, number, left))
        if mine != sorted(mine):
            wrong.append(f"numbers of thread {thread} do not rise")
        numbers.extend(mine)

    flushed: list[tuple[int, int, int]] = []
    finish(run(*[lambda thread=thread: produce(thread) for thread in range(PRODUCERS)]))
    line.end()
    assert [] == wrong
    assert list(range(1, PRODUCERS * each + 1)) == sorted(numbers)
    dropped = line.audit(PRODUCERS * each)
    if overflow == "block" or not room:
        assert 0 == dropped
    if "buffer_events" in room:
        assert line.most + PRODUCERS >= line.most_held
    for thread, number, left in flushed:
        late = [when for when in line.delivered[left:] if thread * 1_000 <= when <= thread * 1_000 + number]
        assert [] == late, "these came after a flush that was begun after them"
    assert 3 * PRODUCERS == len(flushed)


def test_the_listener_is_always_woken(hasty: None) -> None:
    """Each record is taken though no other follows it: the listener never goes to sleep beside a record."""
    rounds = 400
    taken = [threading.Semaphore(0) for _ in range(4)]
    late: list[int] = []

    def play(taken: threading.Semaphore) -> None:
        buffer, _ = alone()

        def listen() -> None:
            while (records := records_from(buffer)) is not None:
                for _ in records:
                    taken.release()

        threads = run(listen)
        for number in range(rounds):
            buffer.put(plain(number))
            if not taken.acquire(timeout=PATIENCE):
                late.append(number)
                break
        buffer.close()
        finish(threads)

    finish(run(*[lambda semaphore=semaphore: play(semaphore) for semaphore in taken]))
    assert [] == late


def test_a_put_while_the_books_are_held() -> None:
    """Another thread is in the middle of the books: a call of `logger.info` does not wait for it."""
    buffer, books = alone()
    with books.lock:
        threads = run(lambda: buffer.put(plain(1)))
        finish(threads)
    assert 1 == books.stats().accepted


@pytest.mark.parametrize("end", ["close", "abandon"])
def test_closing_while_eight_threads_log(hasty: None, end: str) -> None:
    """What `put` took is delivered or counted as dropped; what it did not take is in no book, and not sent."""
    for pause in range(8):
        line = Line()
        told: list[Counter[bool]] = []

        def produce(thread: int, line: Line = line, told: list[Counter[bool]] = told) -> None:
            answers: Counter[bool] = Counter()
            for number in itertools.count():
                answers[taken := line.buffer.put(plain(thread * 100_000 + number))] += 1
                if not taken:
                    break
            told.append(answers)

        program = run(*[lambda thread=thread: produce(thread) for thread in range(PRODUCERS)])
        for _ in range(pause * 20):
            line.buffer.mark()
        if end == "abandon":  # the time is up at once
            line.buffer.close()
            line.buffer.abandon()
        line.end()
        finish(program)
        answers = sum(told, Counter())
        stats = line.books.stats()
        assert PRODUCERS == answers[False]
        assert (answers[True], 0) == (stats.accepted, stats.pending)
        assert answers[True] == stats.delivered + sum(stats.dropped.values())
        if end == "close":
            assert answers[True] == len(set(line.delivered)) == len(line.delivered)


# ---- in the middle of a put


@pytest.mark.parametrize("where", ["before", "after"])
def test_a_signal_handler_that_logs_in_the_middle_of_a_put(where: str) -> None:
    """Its record is taken as well; both have a number of their own, and are taken in the order of their appending."""
    buffer, books = alone()
    previous = signal.signal(signal.SIGUSR1, lambda *_: buffer.put(plain(1)))
    try:
        assert put_interrupted(buffer, where, lambda: signal.raise_signal(signal.SIGUSR1), number=2)
    finally:
        signal.signal(signal.SIGUSR1, previous)
    records = records_from(buffer) or []
    assert [[1, 2], [2, 1]][where == "after"] == [record.when for record in records]
    assert 2 == len({record.sequence for record in records})
    assert (2, 2) == (books.stats().accepted, books.stats().pending)


@pytest.mark.parametrize("where", ["before", "after"])
def test_closing_in_the_middle_of_a_put(where: str) -> None:
    """A record that comes in when the last ones have been taken is taken back, and is for the next buffer."""
    buffer, books = alone()

    def close() -> None:
        buffer.close()
        drain(buffer)

    taken = put_interrupted(buffer, where, close)
    assert (where == "after") is taken  # then the listener has seen it
    assert int(taken) == books.stats().accepted == books.stats().pending
    assert int(taken) == buffer.abandon()
    assert ({"shutdown": 1} if taken else {}, 0) == (books.stats().dropped, books.stats().pending)


def test_a_put_just_after_the_listener_s_last_look() -> None:
    """The listener has seen that nothing is left, and is about to end: who appends now takes the record back."""
    buffer, books = alone()
    answers: list[bool] = []

    class Watched(Inbox):
        @property
        def idle(self) -> bool:
            seen = super().idle
            self.room = 1  # as the producer saw it, before `close`
            answers.append(buffer.put(plain(1)))
            return seen

    buffer._inbox.__class__ = Watched
    buffer.close()
    assert [] == drain(buffer)
    assert [False] == answers
    assert (0, 0, 0) == (buffer.abandon(), books.stats().accepted, books.stats().pending)


@pytest.mark.parametrize("where", ["before", "after"])
def test_abandoning_in_the_middle_of_a_put(where: str) -> None:
    """At the end of the time, a record is either for the next buffer or lost, and then it is in the books."""
    buffer, books = alone()

    def close() -> None:
        buffer.close()
        buffer.abandon()

    taken = put_interrupted(buffer, where, close)
    stats = books.stats()
    assert (where == "after") is taken
    assert (int(taken), 0, int(taken)) == (stats.accepted, stats.pending, sum(stats.dropped.values()))


def test_closing_twice_with_a_put_between() -> None:
    """`handler.close()`, then `logging.shutdown`: what came in meanwhile is in the books, whole."""
    buffer, books = alone()
    buffer.close()
    buffer._inbox.room = 1  # as the producer saw it, just before
    assert isinstance(put_interrupted(buffer, "before", buffer.abandon), bool)
    buffer._inbox.calm = 0
    buffer._inbox.room = 1
    taken = put_interrupted(buffer, "after", buffer.abandon)
    stats = books.stats()
    assert (int(taken), 0) == (stats.accepted, stats.pending)


def test_a_put_while_the_listener_is_late_for_the_end() -> None:
    """The time is up while the listener has a burst in hand: what comes in then is in the books, whole."""
    buffer, books = alone()
    buffer.put(plain(1))
    in_hand = records_from(buffer) or []
    room = buffer._inbox.room
    buffer.close()
    buffer.abandon()
    buffer._inbox.room = room  # as the producer saw it, just before

    def listener_goes_on() -> None:
        buffer.put_runs([Run(b"x", (1.0,), 0.0)], in_hand[0].size)
        drain(buffer)

    taken = put_interrupted(buffer, "after", listener_goes_on)
    stats = books.stats()
    assert (1 + taken, 0) == (stats.accepted, stats.pending)


def test_a_flush_passes_though_a_record_before_it_is_taken_back() -> None:
    """A record was appended, a flush came behind it, and then the record is taken back: the flush gets its answer."""
    buffer, books = alone()
    for number in range(200):
        buffer.put(plain(number))
    markers, burst = [], []

    def flush_and_close() -> None:
        markers.append(buffer.mark())
        buffer.close()
        burst.extend(records_from(buffer) or [])

    assert put_interrupted(buffer, "after", flush_and_close) is False
    buffer.put_runs([Run(b"x", (record.when,), 0.0) for record in burst], sum(record.size for record in burst))
    assert list(range(len(burst), 200)) == drain(buffer)
    for events in iter(buffer.take_runs, None):
        buffer.delivered(events)
    assert markers[0].in_time
    assert (200, 200, 0) == (books.stats().accepted, books.stats().delivered, books.stats().pending)


def test_a_record_is_taken_back_while_others_come_in(hasty: None) -> None:
    """Several threads are late for the end at once: each takes back its own record, and raises nothing."""
    buffer, _ = alone()
    for number in range(20_000):
        buffer.put(plain(number))
    late = [plain(number) for number in range(30)]
    done = threading.Event()

    def others() -> None:
        while not done.is_set():
            buffer._inbox.records.append(late[0])

    threads = run(others)
    try:
        for record in late[1:]:
            buffer._inbox.records.append(record)
            with buffer._lock:
                assert buffer._inbox.recall(record)
    finally:
        done.set()
        finish(threads)


class Sullen:
    """Can neither be a key nor be compared: it raises what nobody expects there."""

    def __hash__(self) -> int:
        raise RuntimeError("no")

    def __eq__(self, _: object) -> bool:
        raise RuntimeError("no")


def test_an_odd_record_is_taken_back() -> None:
    """It is found among others by itself: the program's objects in it are not asked whether they are equal."""
    inbox = Inbox()
    records = [taken(make_record(threadName=Sullen())) for _ in range(3)]
    inbox.records.extend(records)
    assert inbox.recall(records[1])
    assert [records[0], records[2]] == [*inbox.records]


@pytest.mark.parametrize("where", ["before", "after"])
def test_others_that_fill_the_buffer_in_the_middle_of_a_put(where: str) -> None:
    """The bound is passed by the one record that was on its way, and only until the next one comes: then it goes."""
    buffer, books = alone(buffer_events=5, overflow="drop_newest")
    assert put_interrupted(buffer, where, lambda: [buffer.put(plain(number)) for number in range(9)])
    assert 5 + (where == "before") == books.stats().pending
    marker = buffer.mark()
    assert buffer.put(plain(100))
    stats = books.stats()
    assert (11, 5, {"queue_full": 6}) == (stats.accepted, stats.pending, stats.dropped)

    buffer.close()
    assert ([0, 1, 2, 3, 4] if where == "before" else [99, 0, 1, 2, 3]) == drain(buffer)
    for events in iter(buffer.take_runs, None):
        buffer.delivered(events)
    assert marker.in_time
    assert (11, 5, 0) == (books.stats().accepted, books.stats().delivered, books.stats().pending)


def test_a_large_record_that_is_turned_back_takes_its_size_along() -> None:
    """A plain record comes in just when one with a long message has found room: the newest of the two is dropped."""
    buffer, books = alone(buffer_events=1, overflow="drop_newest")
    buffer._records.append(plain(1))
    buffer._inbox.put(capture(make_record(msg="x" * 10_000)))
    assert buffer.put(plain(2))
    assert (3, 1, {"queue_full": 2}) == (books.stats().accepted, books.stats().pending, books.stats().dropped)
    assert PLAIN_COST == buffer._inbox.bytes


@pytest.mark.parametrize("full", [False, True], ids=["room at once", "after a wait"])
def test_who_waits_for_room_is_not_overtaken(full: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """With "block", a record for which there is room at last is taken, though a plain one comes in at that moment."""
    buffer, books = alone(buffer_events=1, overflow="block")
    if full:
        buffer.put(plain(0))
    looks: list[bool] = []

    def look(size: int) -> bool:
        if full and len(looks) == 1:  # while the record waits, the listener takes the first and makes nothing of it
            for record in records_from(buffer) or []:
                buffer.lose(record)
        looks.append(Buffer._has_room(buffer, size))
        if looks[-1] and len(overtaking) == 0:
            overtaking.append(buffer.put(plain(1)))
        return looks[-1]

    overtaking: list[bool] = []
    monkeypatch.setattr(buffer, "_has_room", look)
    assert buffer.put(capture(make_record(created=2.0)))
    assert ([False, True] if full else [True], [True]) == (looks, overtaking)
    assert (2, {"encoding": 1} if full else {}) == (books.stats().pending, books.stats().dropped)
    buffer.close()
    assert [1.0, 2.0] == drain(buffer)


@each(
    ("attributes", "small"),
    [({"msg": "x" * 300}, True), ({"msg": "x" * 301}, False), ({"msg": "x" * 4_000}, False)]
    + [({f"e{extra}": extra for extra in range(count)}, count <= 16) for count in (16, 17)],
    ids=["300 characters", "301", "4,000", "16 extras", "17"],
)
def test_only_small_records_wait_bare(attributes: dict[str, Any], small: bool) -> None:
    """What waits bare is counted and not weighed; a larger record is weighed, and either leaves with its names."""
    buffer, _ = alone()
    record = taken(make_record(**attributes))
    assert small is (type(record) is tuple)
    for _ in range(2):
        buffer.put(record)
    assert 2 * named(record).size == buffer._inbox.bytes
    assert small is (named(record).size == PLAIN_COST)
    records = records_from(buffer) or []
    assert ([Plain, Plain], 0) == ([type(record) for record in records], buffer._inbox.bytes)


def test_no_record_weighs_less_than_one_that_is_counted() -> None:
    """Or what lies beyond the count could come out as nothing, though there is something to weigh."""
    assert PLAIN_COST <= capture(make_record(msg="", args=None)).size


def test_names_that_are_new_have_their_weight() -> None:
    """Names of extras are shared by all records of a line; those made anew for each record are not."""
    names = [f"{number}{'x' * 400}" for number in range(3)]
    fresh = [taken(make_record(lineno=77, **{name: 1})) for name in names]
    assert PLAIN_COST + 1_200 < min(named(record).size for record in fresh)
    assert PLAIN_COST == named(taken(make_record(lineno=77, **{names[-1]: 2}))).size


def test_a_small_record_that_finds_no_room_is_as_any_other() -> None:
    """It comes in under the lock, in the place of the oldest: in order, and with all that is its own."""
    buffer, books = alone(buffer_events=3, overflow="drop_oldest")
    for number in range(5):
        assert buffer.put(plain(number))
    buffer.close()
    assert [2.0, 3.0, 4.0] == drain(buffer)
    assert {"queue_full": 2} == books.stats().dropped


# ---- what a fork leaves


def test_a_fork_finds_what_the_child_has_put() -> None:
    """What this process has put is told apart from what the parent's has, whatever kind of record it is."""
    buffer, _ = alone()
    of_parent = [make_record(created=float(number), process=os.getpid() + 1) for number in (1, 2)]
    buffer.put(taken(of_parent[0]))
    buffer.put(capture(of_parent[1]))
    buffer.put(plain(3))
    buffer.put(capture(make_record(created=4.0)))
    assert [3.0, 4.0] == [record.when for record in buffer.put_in_process(os.getpid())]


def test_a_fork_beside_a_record_that_lacks_its_process() -> None:
    """A record whose process was taken away (a filter did it) does not break the child."""
    buffer, _ = alone()
    odd = make_record(created=1.0)
    del odd.process
    assert capture_plain(odd, SITE_OF, int) is None
    buffer.put(capture(odd))
    buffer.put(plain(2))
    assert [2.0] == [record.when for record in buffer.put_in_process(os.getpid())]


# ---- what comes out of it


class Proud(int):
    """A level that does not let itself be compared."""

    def __ge__(self, _: object) -> bool:
        raise RuntimeError("no")


class Level(enum.IntEnum):
    """As programs write their levels."""

    DETAIL = 15
    FAILURE = 45


@each(
    ("level", "urgent"),
    [(Level.FAILURE, True), (Level.DETAIL, False), (logging.ERROR, True), ("ERROR", False), (Proud(50), False)],
    ids=["IntEnum above", "IntEnum below", "int", "text", "raises"],
)
@each("extras", [{}, {"items": [1]}], ids=["plain", "not plain"])
def test_a_level_of_any_integer_class_is_urgent(level: Any, urgent: bool, extras: dict[str, Any]) -> None:
    """A record at the handler's `flush_level` or above does not wait, though its level is an IntEnum."""
    buffer, books = alone()
    listener = listener_of(buffer, books)
    buffer.put(taken(make_record(levelno=level, **extras)))
    listener._put(buffer.take_records() or [])
    assert urgent is buffer._outbox.urgent


def listener_of(buffer: Buffer, books: Books) -> Listener:
    """A listener that does not run yet."""
    handler = loghttp.HumioHECHandler("https://localhost", "secret")
    return Listener(
        buffer,
        handler._reader,
        handler._intake,
        selflog=SelfLog("test", books),
        flush_level=logging.ERROR,
        handle_error=lambda _: None,
    )


@pytest.mark.parametrize("odd", [{"threadName": Sullen()}, {"levelno": Proud(20)}], ids=["key", "level"])
def test_an_odd_record_takes_no_other_with_it(odd: dict[str, Any]) -> None:
    """A record that cannot be looked up, or compared, costs at most itself."""
    buffer, books = alone()
    for number in range(9):
        record = make_record(created=float(number), **(odd if number == 4 else {}))
        buffer.put(taken(record))
    buffer.close()
    listener_of(buffer, books).run()
    for events in iter(buffer.take_runs, None):
        buffer.delivered(events)
    stats = books.stats()
    assert (9, 0) == (stats.accepted, stats.pending)
    assert 8 <= stats.delivered == 9 - sum(stats.dropped.values())


@each(
    "attributes",
    [
        lambda number: {"msg": f"{number:0400}"},
        lambda number: {f"e{extra}": number + 0.5 for extra in range(5)},
        lambda number: {f"e{extra}": f"{extra:02}{number:010}" for extra in range(30)},
        lambda number: {f"e{extra}": str(number % 9) * 3 for extra in range(100)},
        lambda number: {"msg": f"{number:0190}\N{PARROT}", "e": f"{number:0190}\N{PARROT}"},
        lambda number: {f"{number:05000}": 1},
    ],
    ids=["a long message", "numbers", "thirty extras", "a hundred extras", "four bytes a character", "a long name"],
)
def test_a_record_weighs_what_it_is_taken_to_weigh(attributes: Callable[[int], dict[str, Any]]) -> None:
    """Memory stays within one and a half times the bound, so no kind of record may weigh more than that."""

    def made(number: int) -> Captured | Bare:
        return taken(make_record(**attributes(number)))

    made(0)
    gc.collect()
    tracemalloc.start()
    try:
        records = [made(1_000 + number) for number in range(100)]
        weight = tracemalloc.get_traced_memory()[0]
    finally:
        tracemalloc.stop()
    assert 1.5 * sum(named(record).size for record in records) >= weight
