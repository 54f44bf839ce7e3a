"""Flushing, closing, opening again: what is waited for, for how long, and what is left behind."""

from __future__ import annotations

import dataclasses
import datetime
import gc
import logging
import logging.config
import threading
import time
import weakref
from typing import Any

import pytest
from conftest import Factory, line_threads, make_record, wait_until

import loghttp
from loghttp.testing import LocalIntake

KINDS = [loghttp.HumioHECHandler, loghttp.SekoiaHandler]
NEVER = 3_600.0  # seconds; what happens within a test did not wait for this


@pytest.fixture(params=KINDS, ids=lambda kind: kind.__name__)
def ship(request: pytest.FixtureRequest, open_handler: Factory) -> Factory:
    """Makes a handler of each kind."""
    return lambda **options: open_handler(request.param, **options)


# ---- flush


def test_flush_waits_until_all_is_delivered(intake: LocalIntake, logger: logging.Logger, ship: Factory) -> None:
    """When `flush()` returns True, what was logged before it is at the intake."""
    handler = ship(flush_interval=NEVER)
    for number in range(500):
        logger.info("order %d", number)
    assert handler.flush(30) is True
    assert [f"order {number}" for number in range(500)] == [event.message for event in intake.events]


def test_flush_with_nothing_logged(ship: Factory, intake: LocalIntake) -> None:
    """With nothing logged there is nothing to wait for: True, at once, and no thread is started for it."""
    handler = ship(flush_interval=NEVER)
    assert handler.flush(0) is True
    assert handler.flush(30) is True
    assert ([], []) == (line_threads(), intake.requests)


def test_flush_twice(intake: LocalIntake, logger: logging.Logger, ship: Factory) -> None:
    """A flush after a flush is True and sends nothing."""
    handler = ship()
    logger.info("order placed")
    assert [True, True] == [handler.flush(), handler.flush()]
    assert 1 == len(intake.requests)


@pytest.mark.parametrize("timeout", [0.0, 0.05, -1.0])
def test_flush_is_false_when_time_is_up(
    intake: LocalIntake, logger: logging.Logger, ship: Factory, timeout: float
) -> None:
    """With the intake down, `flush(timeout)` returns False after that time, and loses nothing."""
    handler = ship(flush_interval=NEVER)
    intake.fail_when(status=503)
    logger.info("order placed")
    began = time.monotonic()
    assert handler.flush(timeout) is False
    assert time.monotonic() - began < 2
    assert (1, {}) == (handler.stats().pending, dict(handler.stats().dropped))
    intake.heal()
    assert handler.flush(30) is True
    assert ["order placed"] == [event.message for event in intake.events]


def test_flush_without_timeout_takes_close_timeout(intake: LocalIntake, logger: logging.Logger, ship: Factory) -> None:
    """`flush()` has a deadline of its own, for `logging.shutdown` calls it: `close_timeout`."""
    handler = ship(close_timeout=0.2, retry_wait_max=0.05)
    intake.fail_when(delay=NEVER)
    logger.info("order placed")
    began = time.monotonic()
    assert handler.flush() is False
    assert 0.15 < time.monotonic() - began < 3
    intake.heal()
    assert handler.flush(10) is True


@pytest.mark.parametrize("timeout", [1e10, float("inf")])
def test_flush_may_wait_for_ever(intake: LocalIntake, logger: logging.Logger, ship: Factory, timeout: float) -> None:
    """A timeout longer than the system's waits can be is a long wait, not an error."""
    handler = ship()
    logger.info("order placed")
    assert handler.flush(timeout) is True


def test_flush_ends_the_wait_between_attempts(intake: LocalIntake, logger: logging.Logger, ship: Factory) -> None:
    """A flush does not wait out a back-off of half a minute: it tries at once."""
    handler = ship(retry_wait_max=NEVER)
    intake.fail_next(6, status=503)
    logger.info("order placed")
    wait_until(lambda: handler.stats().requests >= 1)
    for _ in range(10):
        if handler.flush(0.5):
            break
    assert 1 == handler.stats().delivered


def test_flush_is_true_when_records_were_dropped(intake: LocalIntake, logger: logging.Logger, ship: Factory) -> None:
    """What was dropped is not waited for: the flush is True, and the books tell of the loss."""
    handler = ship(retry_for=0.0, retry_wait_max=0.05)
    intake.fail_next(3, status=503)
    logger.info("order placed")
    assert handler.flush(30) is True
    assert {"expired": 1} == dict(handler.stats().dropped)


def test_flush_from_several_threads(intake: LocalIntake, logger: logging.Logger, ship: Factory) -> None:
    """Any number of threads may flush; each finds its own records delivered when its flush returns."""
    handler = ship(flush_interval=NEVER)
    missing: list[str] = []

    def work(name: str) -> None:
        for number in range(20):
            message = f"{name} {number}"
            logger.info(message)
            if not handler.flush() or message not in [event.message for event in intake.events]:
                missing.append(message)

    threads = [threading.Thread(target=work, args=(f"thread-{number}",)) for number in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert ([], 100) == (missing, len(intake.events))


def test_flush_does_not_wait_for_later_records(intake: LocalIntake, logger: logging.Logger, ship: Factory) -> None:
    """A program that logs without end does not hold up a flush."""
    handler = ship()
    done = threading.Event()

    def work() -> None:
        while not done.is_set():
            logger.info("noise")

    noise = threading.Thread(target=work)
    noise.start()
    try:
        wait_until(lambda: handler.stats().accepted > 10)
        assert handler.flush(10) is True
    finally:
        done.set()
        noise.join()


# ---- when a batch leaves by itself


def test_an_error_leaves_at_once(intake: LocalIntake, logger: logging.Logger, ship: Factory) -> None:
    """A record of `flush_level` does not wait for the interval, nor do those before it."""
    ship(flush_interval=NEVER)
    logger.info("before")
    logger.error("order lost")
    assert ["before", "order lost"] == [event.message for event in intake.wait_for(2)]


@pytest.mark.parametrize(("flush_level", "level"), [("WARNING", 30), (20, 20), ("35", 35), (logging.CRITICAL, 50)])
def test_flush_level_is_a_level_like_any(
    intake: LocalIntake, logger: logging.Logger, ship: Factory, flush_level: int | str, level: int
) -> None:
    """`flush_level` is a name or a number; a record just below it waits, one at it does not."""
    handler = ship(flush_interval=NEVER, flush_level=flush_level)
    logger.log(level - 1, "waits")
    assert 1 == handler.stats().pending
    assert [] == intake.events
    logger.log(level, "urgent")
    assert ["waits", "urgent"] == [event.message for event in intake.wait_for(2)]


def test_a_storm_of_errors_leaves_in_batches(intake: LocalIntake, logger: logging.Logger, ship: Factory) -> None:
    """Urgent records that pile up while a request is under way share the next one."""
    handler = ship(flush_interval=NEVER)
    intake.fail_next(1, delay=0.3)
    for number in range(300):
        logger.error("order %d lost", number)
    assert handler.flush(30) is True
    assert 300 == len(intake.events)
    assert len(intake.requests) <= 30


def test_records_leave_after_the_interval(intake: LocalIntake, logger: logging.Logger, ship: Factory) -> None:
    """A record leaves when it is `flush_interval` old, and not before."""
    ship(flush_interval=0.3)
    began = time.monotonic()
    logger.info("order placed")
    intake.wait_for(1)
    assert 0.25 < time.monotonic() - began < 5


def test_an_interval_of_nothing(intake: LocalIntake, logger: logging.Logger, ship: Factory) -> None:
    """With `flush_interval=0` a record leaves as soon as the courier is free."""
    ship(flush_interval=0)
    logger.info("order placed")
    assert ["order placed"] == [event.message for event in intake.wait_for(1)]


def test_an_interval_without_end(intake: LocalIntake, logger: logging.Logger, ship: Factory) -> None:
    """An interval of a year means: only when asked, or when a batch is full; one that no wait can take is refused."""
    with pytest.raises(loghttp.ConfigurationError, match="flush_interval"):
        ship(flush_interval=1e10)
    handler = ship(flush_interval=365 * 86_400)
    logger.info("order placed")
    assert handler.flush(30) is True
    logger.info("order sent")
    handler.close()
    assert ["order placed", "order sent"] == [event.message for event in intake.events]


# ---- close


def test_close_delivers_what_is_pending(intake: LocalIntake, logger: logging.Logger, ship: Factory) -> None:
    """`close()` delivers what waits for its interval."""
    handler = ship(flush_interval=NEVER)
    for number in range(50):
        logger.info("order %d", number)
    handler.close()
    assert [f"order {number}" for number in range(50)] == [event.message for event in intake.events]
    assert 0 == handler.stats().pending


def test_close_is_idempotent(intake: LocalIntake, logger: logging.Logger, ship: Factory) -> None:
    """Closing again, from several threads too, does nothing and raises nothing."""
    handler = ship()
    handler.close()
    logger.info("order placed")
    handler.close()
    handler.close()
    threads = [threading.Thread(target=handler.close) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (1, 1) == (handler.stats().delivered, len(intake.events))


@pytest.mark.parametrize("fault", [{"status": 503}, {"delay": NEVER}, {"connection": "reset"}], ids=repr)
def test_close_ends_in_time(
    intake: LocalIntake, logger: logging.Logger, ship: Factory, fault: dict[str, Any], capfd: pytest.CaptureFixture[str]
) -> None:
    """Whatever the intake does, `close()` takes `close_timeout` at most; what is lost then is counted and told."""
    handler = ship(close_timeout=0.5)
    intake.fail_when(**fault)
    for _ in range(3):
        logger.error("order lost")
    wait_until(lambda: intake.requests)
    began = time.monotonic()
    handler.close()
    assert time.monotonic() - began < 2.5
    assert (0, {"shutdown": 3}) == (handler.stats().pending, dict(handler.stats().dropped))
    assert "3 records were lost at shutdown" in capfd.readouterr().err
    again = time.monotonic()
    handler.close()  # as `logging.shutdown` does at exit, when all lines have been closed already
    assert time.monotonic() - again < 0.4


def test_flushes_in_vain_leave_nothing_behind(intake: LocalIntake, logger: logging.Logger, ship: Factory) -> None:
    """A program that calls `flush(timeout=...)` at each request has, after an outage, no thousand of them to settle."""
    handler = ship(flush_interval=NEVER, retry_wait_max=0.2)
    intake.fail_when(status=503)
    for number in range(50):
        logger.info("order %d", number)
        assert handler.flush(0.001) is False
    buffer = handler._line.buffer
    wait_until(lambda: buffer._inbox.idle and not buffer._markers)
    requests = handler.stats().requests
    intake.heal()
    intake.wait_for(50)
    assert handler.stats().requests <= requests + 3  # in batches
    assert [f"order {number}" for number in range(50)] == [event.message for event in intake.events]


def test_a_record_after_close_opens_the_handler_again(
    intake: LocalIntake, logger: logging.Logger, ship: Factory
) -> None:
    """A record that comes after `close()` is delivered like any other; the books and the sequence go on."""
    handler = ship()
    for message in ("first", "second", "third"):
        logger.info(message)
        handler.close()
        assert [] == line_threads()
    assert ["first", "second", "third"] == [event.message for event in intake.events]
    members = [{**event.fields, **(event.event if isinstance(event.event, dict) else {})} for event in intake.events]
    assert [1, 2, 3] == [member["sequence"] for member in members]
    assert (3, 3) == (handler.stats().accepted, handler.stats().delivered)


def test_logging_while_another_thread_closes(intake: LocalIntake, logger: logging.Logger, ship: Factory) -> None:
    """Records logged in the very moment of closing are delivered: none falls between two lines."""
    handler = ship(flush_interval=0.005)
    done = threading.Event()

    def close_again_and_again() -> None:
        while not done.is_set():
            handler.close()

    closer = threading.Thread(target=close_again_and_again)
    closer.start()
    try:
        for number in range(300):
            logger.info("order %d", number)
    finally:
        done.set()
        closer.join()
    handler.close()
    assert (300, 300, {}) == (handler.stats().accepted, handler.stats().delivered, dict(handler.stats().dropped))
    assert [f"order {number}" for number in range(300)] == sorted(
        (event.message for event in intake.events), key=lambda message: int(message.partition(" ")[2])
    )


def test_flush_after_close(intake: LocalIntake, logger: logging.Logger, ship: Factory) -> None:
    """Flushing a closed handler is True at once: nothing is left to wait for."""
    handler = ship()
    logger.info("order placed")
    handler.close()
    assert handler.flush(0) is True


# ---- threads


def test_no_thread_before_the_first_record(ship: Factory, logger: logging.Logger) -> None:
    """A handler that got no record has no thread, so that a pre-fork server may configure logging first."""
    handler = ship(level="ERROR")
    logger.info("below the level")
    handler.setFormatter(logging.Formatter("%(message)s"))
    handler.stats()
    repr(handler)
    assert [] == line_threads()


def test_threads_are_daemons_and_two(intake: LocalIntake, logger: logging.Logger, ship: Factory) -> None:
    """A handler at work has its listener and its courier, which never hold up the end of the program."""
    handler = ship()
    for _ in range(5):
        logger.info("order placed")
        assert handler.flush(30) is True
    ours = [thread for thread in threading.enumerate() if thread.name in line_threads()]
    assert [True, True] == [thread.daemon for thread in ours]


def test_no_thread_is_left_after_close(intake: LocalIntake, logger: logging.Logger, ship: Factory) -> None:
    """After `close()` all threads that the handler started are gone."""
    before = set(threading.enumerate())
    handler = ship()
    logger.info("order placed")
    assert handler.flush(30) is True
    started = {thread for thread in set(threading.enumerate()) - before if "LocalIntake" not in thread.name}
    assert started
    handler.close()
    wait_until(lambda: not [thread for thread in started if thread.is_alive()])
    assert [] == line_threads()


def test_a_handler_that_nobody_holds_ends_its_threads(intake: LocalIntake, recwarn: pytest.WarningsRecorder) -> None:
    """A handler that is garbage-collected without `close()` delivers what it has and ends its threads."""
    handler = loghttp.HumioHECHandler(intake.url, intake.token, flush_interval=NEVER)
    for number in range(10):
        handler.handle(make_record(msg=f"order {number}"))
    assert 2 == len(line_threads())
    gone = weakref.ref(handler)
    del handler
    gc.collect()
    assert gone() is None
    assert [f"order {number}" for number in range(10)] == [event.message for event in intake.wait_for(10)]
    wait_until(lambda: not line_threads())
    assert [] == [str(warning.message) for warning in recwarn]


# ---- dictConfig


def configure(intake: LocalIntake, **options: Any) -> loghttp.HumioHECHandler:
    """What a program's second, third ... call of `dictConfig` does; the handler that it made."""
    handler = {
        "class": "loghttp.HumioHECHandler",
        "url": intake.url,
        "token": intake.token,
        "flush_interval": NEVER,
        **options,
    }
    name = "test_flush_close.configured"
    logging.config.dictConfig(
        {
            "version": 1,
            "disable_existing_loggers": False,
            "handlers": {"intake": handler},
            "loggers": {name: {"handlers": ["intake"], "level": "DEBUG", "propagate": False}},
        }
    )
    [made] = logging.getLogger(name).handlers
    assert isinstance(made, loghttp.HumioHECHandler)
    return made


@pytest.fixture
def configured(intake: LocalIntake) -> Any:
    """`configure`, and what it made is closed at the end."""
    yield lambda **options: configure(intake, **options)
    logger = logging.getLogger("test_flush_close.configured")
    for handler in logger.handlers[:]:
        logger.removeHandler(handler)
        handler.close()


def test_a_second_dict_config_closes_the_first_handler(intake: LocalIntake, configured: Factory) -> None:
    """A second `dictConfig` delivers what the first handler holds, and ends its threads (cpython#91555)."""
    logger = logging.getLogger("test_flush_close.configured")
    first = configured()
    for number in range(100):
        logger.info("order %d", number)
    second = configured()
    logger.info("order 100")
    assert (100, 100) == (first.stats().accepted, first.stats().delivered)
    assert second.flush(30) is True
    assert [f"order {number}" for number in range(101)] == [event.message for event in intake.events]
    assert first is not second
    assert 2 == len(line_threads())


def test_a_second_dict_config_while_a_request_is_under_way(intake: LocalIntake, configured: Factory) -> None:
    """`dictConfig` holds logging's lock while the courier's HTTP library may log: nothing hangs (logtail-python#42)."""
    logger = logging.getLogger("test_flush_close.configured")
    first = configured(flush_interval=0)
    intake.fail_next(1, delay=0.3)
    logger.info("order 0")
    intake.wait_until(lambda intake: bool(intake.requests))
    for number in range(1, 50):
        logger.info("order %d", number)
    began = time.monotonic()
    configured()
    assert time.monotonic() - began < 4
    assert (50, {}) == (first.stats().delivered, dict(first.stats().dropped))


def test_twenty_configurations_do_not_pile_up_threads(intake: LocalIntake, configured: Factory) -> None:
    """However often a program configures its logging, two threads are at work, and each record arrives once."""
    logger = logging.getLogger("test_flush_close.configured")
    for number in range(20):
        configured()
        logger.info("order %d", number)
        assert len(line_threads()) <= 2
    for handler in logger.handlers:
        handler.flush()
    assert [f"order {number}" for number in range(20)] == [event.message for event in intake.events]


def test_logging_shutdown_delivers(intake: LocalIntake, logger: logging.Logger, ship: Factory) -> None:
    """`logging.shutdown`, which holds the handler's lock while it flushes and closes, delivers all and ends."""
    handler = ship(flush_interval=NEVER)
    for number in range(10):
        logger.info("order %d", number)
    began = time.monotonic()
    logging.shutdown([weakref.ref(handler)])
    assert time.monotonic() - began < 4
    assert 10 == len(intake.events)


# ---- the books


def test_stats_are_a_snapshot(intake: LocalIntake, logger: logging.Logger, ship: Factory) -> None:
    """`stats()` is a value: it does not change afterwards, and cannot be changed."""
    handler = ship()
    before = handler.stats()
    logger.info("order placed")
    assert handler.flush(30) is True
    assert (0, {}, None, None) == (before.accepted, dict(before.dropped), before.last_error, before.last_success)
    with pytest.raises(dataclasses.FrozenInstanceError):
        before.accepted = 1  # type: ignore[misc]
    with pytest.raises(TypeError):
        before.dropped["refused"] = 1  # type: ignore[index]


def test_stats_tell_of_the_last_success(intake: LocalIntake, logger: logging.Logger, ship: Factory) -> None:
    """`last_success` is when the intake last took something, as an aware time."""
    handler = ship()
    before = datetime.datetime.now(datetime.timezone.utc)
    logger.info("order placed")
    assert handler.flush(30) is True
    success = handler.stats().last_success
    assert success is not None
    assert before <= success <= datetime.datetime.now(datetime.timezone.utc)


def test_stats_tell_of_the_last_error(intake: LocalIntake, logger: logging.Logger, ship: Factory) -> None:
    """`last_error` says what went wrong last, in words, and stays when delivery is back."""
    handler = ship(retry_wait_max=0.05)
    intake.fail_next(1, status=503, body="we are closed")
    logger.info("order placed")
    assert handler.flush(30) is True
    stats = handler.stats()
    assert (2, 1) == (stats.requests, stats.retries)
    assert "503" in str(stats.last_error)


def test_stats_read_at_a_glance() -> None:
    """The repr of the books shows what matters, and leaves out what is nothing."""
    stats = loghttp.Stats(
        accepted=1_234_567,
        delivered=1_234_000,
        pending=560,
        spooled=60,
        dropped={"queue_full": 4, "expired": 3},
        requests=400,
        retries=2,
        splits=1,
        bytes_sent=9_876_543,
        last_error="HTTP 503",
        last_success=None,
    )
    assert (
        "<Stats accepted 1,234,567 | delivered 1,234,000 | pending 560 (spooled 60) | dropped 4 queue_full, 3 expired"
        " | requests 400 | retries 2 | splits 1 | sent 9,876,543 bytes | last error: HTTP 503>"
    ) == repr(stats)


def test_the_books_of_a_healthy_handler_are_short(intake: LocalIntake, logger: logging.Logger, ship: Factory) -> None:
    """Of a handler without trouble the repr says little."""
    handler = ship(compression=None)
    logger.info("order placed")
    assert handler.flush(30) is True
    size = len(intake.requests[0].body)
    assert f"<Stats accepted 1 | delivered 1 | pending 0 | dropped 0 | requests 1 | sent {size} bytes>" == repr(
        handler.stats()
    )


def test_the_handlers_repr_tells_where_it_sends(intake: LocalIntake, ship: Factory) -> None:
    """A handler's repr shows class, URL and level, and no secret."""
    handler = ship(level="WARNING")
    shown = repr(handler)
    assert shown.startswith(f"<{type(handler).__name__} {intake.url}/")
    assert shown.endswith("(WARNING)>")
    assert not [secret for secret in (intake.token, intake.intake_key) if secret in shown]


def test_sequence_rises_by_one(intake: LocalIntake, logger: logging.Logger, ship: Factory) -> None:
    """`sequence` numbers the records a handler accepts, over batches and threads, without a gap (opencensus#1019)."""
    handler = ship(batch_events=7)
    threads = [threading.Thread(target=lambda: [logger.info("order placed") for _ in range(25)]) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert handler.flush(30) is True
    members = [{**event.fields, **(event.event if isinstance(event.event, dict) else {})} for event in intake.events]
    assert list(range(1, 101)) == sorted(member["sequence"] for member in members)


def test_a_gap_in_the_sequence_shows_a_loss(intake: LocalIntake, logger: logging.Logger, ship: Factory) -> None:
    """Records that were dropped have taken their numbers with them, so the intake sees how many are missing."""
    handler = ship(buffer_events=5, retry_wait_max=0.05)
    intake.fail_when(status=503)
    for number in range(20):
        logger.info("order %d", number)
    intake.heal()
    assert handler.flush(30) is True
    stats = handler.stats()
    members = [{**event.fields, **(event.event if isinstance(event.event, dict) else {})} for event in intake.events]
    numbers = [member["sequence"] for member in members if "sequence" in member]
    assert sorted(numbers) == numbers
    assert 20 == numbers[-1] == len(numbers) + stats.dropped["queue_full"]
