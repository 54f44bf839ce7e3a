"""Memory is bounded, whatever the intake does, and what a full buffer costs is exact in the books and told.

The floods of `programs/flood.py` are real processes whose memory the kernel counts. What is dropped, kept, made to
wait and told is seen here, with an intake that holds back its answer: nothing leaves until it heals.
"""

from __future__ import annotations

import json
import logging
import re
import threading
import time
from collections.abc import Callable, Iterator
from datetime import datetime, timezone
from itertools import cycle, pairwise
from pathlib import Path
from typing import Any

import pytest
from conftest import Factory, wait_until
from processes import DOWN, State, an_intake_that, messages, numbered, run

from loghttp._stats import DROP_REASONS
from loghttp.testing import LocalIntake

DEADLINE = 20.0  # seconds; what waits longer hangs
MIB = 1024 * 1024
POLICIES = ("drop_oldest", "drop_newest", "block")

NOTICE = re.compile(r"loghttp: (\d+) records? lost \((.+)\), logged between (\S+) and (\S+)")

# ---- memory


@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="the kernel's count of memory is in /proc")
@pytest.mark.parametrize(("overflow", "state"), [*zip(POLICIES, cycle(DOWN), strict=False)])
@pytest.mark.parametrize(
    ("size", "total", "threads", "buffer_bytes"),
    [
        pytest.param(100, 30_000, 4, 8 * MIB, id="100-B"),  # four times what the buffer takes
        pytest.param(1_000_000, 160, 2, 32 * MIB, id="1-MB"),  # five times
    ],
)
def test_memory_is_bounded(
    size: int,
    total: int,
    threads: int,
    buffer_bytes: int,
    overflow: str,
    state: State,
) -> None:
    """Producers flat out, intake down: memory grows by `buffer_bytes` x 1.5 at most, and all are in the books.

    Nine peers have unbounded queues, and a bound by count, as nearly all others have, lets 10,000 messages of a
    megabyte be 10 GB (splunk-library-javalogging#249, python-logstash-async#63).
    """
    options: dict[str, Any] = {"buffer_bytes": buffer_bytes, "overflow": overflow}
    if overflow == "block":
        options["block_timeout"] = 0.0001

    with an_intake_that(state) as intake:
        ended = run(
            "flood.py",
            json.dumps({"size": size, "total": total, "threads": threads, **options}),
            intake=intake,
            close_timeout=0.1,
            hang=45.0,
            fresh=True,  # with malloc as it is at a program's start
        )

    told = json.loads(ended.stdout)
    books = told["books"]
    assert 0 == ended.status
    assert (total, ["queue_full"]) == (books["accepted"], list(books["dropped"]))
    assert total == books["pending"] + books["dropped"]["queue_full"]
    assert books["pending"] == ended.lost
    assert (told["peak"] - told["idle"]) / buffer_bytes <= 1.5


# ---- an intake that holds back its answer


class Outage:
    """An intake that takes a request and does not answer it, until it heals."""

    def __init__(self, intake: LocalIntake) -> None:
        self.intake = intake
        intake.fail_when(delay=600)

    def wait_for_request(self) -> None:
        """From now on the courier has a batch in hand, and no other one leaves."""
        self.intake.wait_until(lambda intake: intake.requests)

    def end(self) -> None:
        self.intake.heal()

    @property
    def delivered(self) -> list[str]:
        """The program's own messages, as they came."""
        return [message for message in messages(self.intake) if not message.startswith("loghttp: ")]

    @property
    def notices(self) -> list[re.Match[str]]:
        """What loghttp told the intake of losses."""
        return [NOTICE.fullmatch(message) for message in messages(self.intake) if message.startswith("loghttp: ")]


@pytest.fixture
def outage(intake: LocalIntake) -> Iterator[Outage]:
    """Ends at the latest with the test."""
    outage = Outage(intake)
    yield outage
    outage.end()


class Memory(logging.Handler):
    """Remembers when each record was logged."""

    def __init__(self) -> None:
        super().__init__()
        self.created: dict[str, float] = {}

    def emit(self, record: logging.LogRecord) -> None:
        self.created[record.getMessage()] = record.created


@pytest.fixture
def memory(logger: logging.Logger) -> Memory:
    handler = Memory()
    logger.addHandler(handler)
    return handler


def iso(created: float) -> str:
    return datetime.fromtimestamp(created, timezone.utc).isoformat(timespec="microseconds")


def log_records(logger: logging.Logger, first: int, last: int) -> None:
    for n in range(first, last):
        logger.info("record %d", n)


def in_threads(count: int, work: Callable[[int], None]) -> None:
    """Do the work in so many threads at a time, and wait for all; fails where one hangs."""
    threads = [threading.Thread(target=work, args=(t,), daemon=True) for t in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(DEADLINE)
    assert [] == [thread.name for thread in threads if thread.is_alive()]


# ---- each policy, exact


def test_drop_newest_keeps_the_first(outage: Outage, humio: Factory, logger: logging.Logger) -> None:
    """What came first stays, to the last one that fits; every later one is counted as `queue_full`."""
    handler = humio(overflow="drop_newest", buffer_events=50)

    log_records(logger, 0, 500)
    stats = handler.stats()
    outage.end()
    assert handler.flush(DEADLINE)

    assert (500, 50, {"queue_full": 450}) == (stats.accepted, stats.pending, stats.dropped)
    assert numbered("record", 50) == outage.delivered


@pytest.mark.parametrize("flood", [False, True])
def test_drop_oldest_keeps_the_last(flood: bool, outage: Outage, humio: Factory, logger: logging.Logger) -> None:
    """What came last stays; only what is on the wire already, and may have arrived, is not given up for it.

    In a flood, nor is what the listener is just encoding: of so small a buffer, one record.
    """
    handler = humio(overflow="drop_oldest", buffer_events=50)
    buffer = handler._line.buffer

    def is_encoded() -> bool:
        with buffer._lock:
            return not len(buffer._inbox) and buffer._in_burst() == (0, 0)

    log_records(logger, 0, 1)
    outage.wait_for_request()
    for number in range(1, 500):
        log_records(logger, number, number + 1)
        if not flood:
            wait_until(is_encoded)
    stats = handler.stats()
    outage.end()
    assert handler.flush(DEADLINE)

    assert (500, 50, {"queue_full": 450}) == (stats.accepted, stats.pending, stats.dropped)
    first, second, *rest = outage.delivered
    assert ["record 0", *numbered("record", 500)[-48:]] == [first, *rest]
    assert second == "record 451" or (flood and second in numbered("record", 451))


def test_drop_oldest_keeps_the_last_while_others_are_encoded(
    outage: Outage, humio: Factory, logger: logging.Logger
) -> None:
    """Records that the listener has taken, and not yet encoded, are the oldest: newer ones do not give way for them."""
    begun, go_on = threading.Semaphore(0), threading.Semaphore(0)

    def slowly(record: logging.LogRecord) -> str:
        begun.release()
        assert go_on.acquire(timeout=DEADLINE)
        return record.getMessage()

    formatter = logging.Formatter()  # one of this class runs on the listener's thread
    formatter.format = slowly  # type: ignore[method-assign]
    handler = humio(buffer_events=50)
    handler.setFormatter(formatter)

    logger.info("the first")
    assert begun.acquire(timeout=DEADLINE)
    log_records(logger, 0, 40)  # they wait for the listener, which will find them all at once
    go_on.release()
    assert begun.acquire(timeout=DEADLINE)
    log_records(logger, 40, 500)
    stats = handler.stats()
    go_on.release(1_000)
    outage.end()
    assert handler.flush(DEADLINE)

    assert (501, 50, {"queue_full": 451}) == (stats.accepted, stats.pending, stats.dropped)
    # The first may be on the wire, record 0 was being encoded: they may have been kept, for they were in hand.
    assert numbered("record", 500)[-48:] == outage.delivered[-48:]


@pytest.mark.parametrize("overflow", ["drop_oldest", "drop_newest"])
def test_threads_that_drop_are_counted_exactly(
    overflow: str, outage: Outage, humio: Factory, logger: logging.Logger
) -> None:
    """Four threads flat out: the buffer is full, not fuller; each record is in one column of the books."""
    handler = humio(overflow=overflow, buffer_events=100)

    def work(t: int) -> None:
        for n in range(500):
            logger.info("%d %d", t, n)

    in_threads(4, work)
    stats = handler.stats()
    outage.end()
    assert handler.flush(DEADLINE)

    delivered = [[int(word) for word in message.split()] for message in outage.delivered]
    assert (2_000, 100, {"queue_full": 1_900}) == (stats.accepted, stats.pending, stats.dropped)
    assert (100, 1_900) == (len(delivered), handler.stats().dropped["queue_full"])
    for t in range(4):
        of_thread = [n for thread, n in delivered if thread == t]
        assert sorted(set(of_thread)) == of_thread
        if overflow == "drop_newest":  # the first of each thread, without a gap
            assert list(range(len(of_thread))) == of_thread


def test_block_waits_until_there_is_room(outage: Outage, humio: Factory, logger: logging.Logger) -> None:
    """With `block` a call waits for as long as it takes, and then nothing was lost."""
    handler = humio(overflow="block", buffer_events=10)
    done = threading.Event()

    def work() -> None:
        log_records(logger, 0, 100)
        done.set()

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    wait_until(lambda: handler.stats().accepted == 10)
    assert not done.wait(0.3)
    waiting = handler.stats()
    outage.end()
    assert done.wait(DEADLINE)
    assert handler.flush(DEADLINE)

    assert (10, 10, {}) == (waiting.accepted, waiting.pending, waiting.dropped)
    assert numbered("record", 100) == outage.delivered
    assert (100, {}) == (handler.stats().delivered, handler.stats().dropped)


def test_block_keeps_each_threads_order(intake: LocalIntake, humio: Factory, logger: logging.Logger) -> None:
    """Threads that wait for the same room lose nothing and do not overtake themselves."""
    handler = humio(overflow="block", buffer_events=5, flush_interval=0.001)

    def work(t: int) -> None:
        for n in range(50):
            logger.info("%d %d", t, n)

    in_threads(4, work)
    assert handler.flush(DEADLINE)

    for t in range(4):
        assert [f"{t} {n}" for n in range(50)] == [text for text in messages(intake) if text.startswith(f"{t} ")]
    assert (200, {}) == (handler.stats().delivered, handler.stats().dropped)


def test_block_timeout_is_what_a_call_waits(outage: Outage, humio: Factory, logger: logging.Logger) -> None:
    """A call waits for `block_timeout`, not less, and then its own record is the one that is lost."""
    handler = humio(overflow="block", block_timeout=0.2, buffer_events=10)

    log_records(logger, 0, 10)
    moments = [time.monotonic()]
    for n in range(10, 13):
        log_records(logger, n, n + 1)
        moments.append(time.monotonic())
    stats = handler.stats()
    outage.end()
    assert handler.flush(DEADLINE)

    assert [] == [later - earlier for earlier, later in pairwise(moments) if not 0.2 <= later - earlier < DEADLINE]
    assert (13, 10, {"queue_full": 3}) == (stats.accepted, stats.pending, stats.dropped)
    assert numbered("record", 10) == outage.delivered


def test_who_waits_for_room_holds_up_nobody(outage: Outage, humio: Factory, logger: logging.Logger) -> None:
    """While a call waits for room, the books, flush, another handler and close() do not wait for it."""
    full = humio(overflow="block", buffer_events=1, close_timeout=0.1)
    log_records(logger, 0, 1)
    outage.wait_for_request()
    logger.removeHandler(full)
    other = humio(overflow="drop_newest", buffer_events=5)
    blocked = threading.Thread(target=full.handle, args=(logging.makeLogRecord({"msg": "record 1"}),), daemon=True)
    blocked.start()

    def work(_: int) -> None:
        assert not full.flush(0.05)
        log_records(logger, 2, 102)
        full.close()

    in_threads(1, work)
    blocked.join(DEADLINE)

    assert not blocked.is_alive()
    assert (100, {"queue_full": 95}) == (other.stats().accepted, other.stats().dropped)
    outage.end()
    assert full.flush(DEADLINE)
    assert ["record 1"] == [message for message in outage.delivered if message == "record 1"]
    assert (2, 1, {"shutdown": 1}) == (full.stats().accepted, full.stats().delivered, full.stats().dropped)


def test_dropping_never_waits(outage: Outage, humio: Factory, logger: logging.Logger) -> None:
    """Without `block`, logging goes on at once with the buffer full, while the intake still holds its first answer."""
    handler = humio(buffer_events=10)

    in_threads(2, lambda _: log_records(logger, 0, 2_000))

    stats = handler.stats()
    outage.end()

    assert (4_000, 0, 10) == (stats.accepted, stats.delivered, stats.pending)


# ---- bytes


@pytest.mark.parametrize("overflow", ["drop_oldest", "drop_newest"])
def test_bytes_bound_what_count_does_not(overflow: str, outage: Outage, humio: Factory, logger: logging.Logger) -> None:
    """A hundred messages of 100 kB, far fewer than `buffer_events`, keep to `buffer_bytes` all the same.

    "drop_oldest" keeps the last ones, and what is being encoded; "drop_newest" the first ones, and whatever there
    is room for later.
    """
    handler = humio(overflow=overflow, buffer_bytes=1_000_000, compression=None)
    log_records(logger, 0, 1)
    outage.wait_for_request()

    for n in range(100):
        logger.info("large %d %s", n, "x" * 100_000)
    stats = handler.stats()
    outage.end()
    assert handler.flush(DEADLINE)

    numbers = [int(message.split()[1]) for message in outage.delivered[1:]]
    assert 3 <= len(numbers) <= 9  # a text that is not encoded yet weighs three times
    assert {"queue_full": 100 - len(numbers)} == stats.dropped
    assert numbers == sorted(numbers)
    if overflow == "drop_newest":  # a text that is encoded meanwhile makes room for a late one
        assert [0, 1, 2] == numbers[:3]
    else:
        # The one that the listener had in hand all the while does not give way.
        assert list(range(100))[1 - len(numbers) :] == numbers[1:]


@pytest.mark.parametrize("overflow", POLICIES)
@pytest.mark.parametrize(
    "extra",
    [{}, {"extra": {"blob": b"x" * 100_000}}, {"exc_info": ValueError("x" * 100_000)}],
    ids=["text", "bytes", "error"],
)
def test_a_record_larger_than_the_buffer_is_alone_in_its_fate(
    extra: dict[str, Any], overflow: str, outage: Outage, humio: Factory, logger: logging.Logger
) -> None:
    """It is `too_large` at once: it pushes out nothing, makes nobody wait, and those around it arrive."""
    handler = humio(overflow=overflow, buffer_bytes=50_000)

    def work(_: int) -> None:
        log_records(logger, 0, 3)
        logger.info("huge" if extra else "x" * 100_000, **extra)
        log_records(logger, 3, 6)

    in_threads(1, work)
    stats = handler.stats()
    outage.end()
    assert handler.flush(DEADLINE)

    assert (7, 6, {"too_large": 1}) == (stats.accepted, stats.pending, stats.dropped)
    assert numbered("record", 6) == outage.delivered


# ---- the loss is told


@pytest.mark.parametrize("overflow", ["drop_oldest", "drop_newest"])
def test_the_intake_is_told_once_when_it_is_back(
    overflow: str, outage: Outage, humio: Factory, logger: logging.Logger, memory: Memory
) -> None:
    """After an outage one event tells the intake how many were lost, why, and between which times."""
    handler = humio(overflow=overflow, buffer_events=10)

    log_records(logger, 0, 100)
    outage.end()
    assert handler.flush(DEADLINE)
    log_records(logger, 100, 105)
    handler.close()

    kept = outage.delivered
    lost = sorted(created for message, created in memory.created.items() if message not in kept)
    [notice] = outage.notices
    assert (90, 15) == (len(lost), len(kept))
    assert ("90", "90 queue_full") == notice.group(1, 2)
    assert [iso(lost[0]), iso(lost[-1])] == list(notice.group(3, 4))


def test_each_reason_is_told(outage: Outage, humio: Factory, logger: logging.Logger) -> None:
    """Records lost for different reasons in one outage are one notice, with a number for each reason."""
    handler = humio(overflow="drop_newest", buffer_events=10, buffer_bytes=50_000)

    logger.info("x" * 100_000)
    logger.info("x" * 100_000)
    log_records(logger, 0, 15)
    outage.end()
    assert handler.flush(DEADLINE)
    handler.close()

    [notice] = outage.notices
    assert ("7", {"2 too_large", "5 queue_full"}) == (notice[1], set(notice[2].split(", ")))


#: How each reason comes about: what the intake answers to a request with the second record; the handler's options.
LOSSES: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "expired": ({"status": 503}, {"retry_for": 0.01}),
    "too_large": ({"status": 413}, {}),
    "refused": ({"status": 400}, {}),
    "intake_rejected": ({"event_ids": 0}, {}),
    "shutdown": ({"status": 503}, {"close_timeout": 0.2}),
    "encoding": ({"status": 503}, {}),  # it never gets there, nor does the next
    "queue_full": ({"status": 503}, {"buffer_events": 1, "overflow": "drop_newest"}),
}


def test_every_reason_comes_about() -> None:
    """No reason is left out below; `test_a_file_that_breaks_while_it_is_read` has the one of durable mode."""
    assert DROP_REASONS.keys() == LOSSES.keys() | {"unreadable"}


@pytest.mark.parametrize("reason", LOSSES)
def test_every_loss_is_counted_with_its_reason(
    reason: str, intake: LocalIntake, sekoia: Factory, logger: logging.Logger
) -> None:
    """Whatever a record was lost by, it is in the books as that, and the one beside it is delivered."""
    fault, options = LOSSES[reason]
    handler = sekoia(**{"retry_wait_max": 0.05, **options})
    if reason == "encoding":
        handler.addFilter(lambda record: 1 / len(record.args))
    held = b"first" if reason == "queue_full" else b"second"
    intake.fail_when(lambda request: held in request.body, **fault)
    logger.info("the %s", "first")
    if reason != "queue_full":  # there, the first one is still in the second one's way
        assert handler.flush(DEADLINE)
    logger.info("the second")
    if reason == "queue_full":
        intake.heal()
    if reason != "shutdown":
        assert handler.flush(DEADLINE)
    handler.close()

    assert {reason: 1} == dict(handler.stats().dropped)
    assert ["the first"] == [message for message in messages(intake) if message.startswith("the")]


def test_a_notice_that_fails_is_told_later(intake: LocalIntake, humio: Factory, logger: logging.Logger) -> None:
    """The notice itself may meet the next fault: it is not lost, and not told twice."""
    handler = humio(overflow="drop_newest", buffer_events=10, retry_wait_max=0.02)
    outage = Outage(intake)

    log_records(logger, 0, 30)
    outage.end()
    intake.fail_when(lambda request: b"loghttp: " in request.body, status=503)
    assert handler.flush(DEADLINE)
    intake.wait_until(lambda intake: any(request.status == 503 for request in intake.requests))
    intake.heal()
    log_records(logger, 30, 31)
    assert handler.flush(DEADLINE)
    handler.close()

    assert ["20"] == [notice[1] for notice in outage.notices]


def test_each_outage_is_told(intake: LocalIntake, humio: Factory, logger: logging.Logger) -> None:
    """Two outages shortly after another, the second before the program ends: by the end the numbers add up."""
    handler = humio(overflow="drop_newest", buffer_events=10)

    for first in (0, 30):
        outage = Outage(intake)
        log_records(logger, first, first + 30)
        outage.end()
        assert handler.flush(DEADLINE)
    handler.close()

    assert {"queue_full": 40} == handler.stats().dropped
    assert 40 == sum(int(notice[1]) for notice in outage.notices)


def test_nothing_is_told_where_nothing_was_lost(outage: Outage, humio: Factory, logger: logging.Logger) -> None:
    """An outage that the buffer has room for leaves no notice."""
    handler = humio(buffer_events=100)

    log_records(logger, 0, 100)
    outage.end()
    assert handler.flush(DEADLINE)
    handler.close()

    assert numbered("record", 100) == messages(outage.intake)
