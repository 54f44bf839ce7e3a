"""loghttp speaks on the logger `loghttp`: WARNING while nothing is lost, ERROR when it is, INFO when all is well.

It says what to do, never the token, and the same thing once a minute at most: telling a failure over and
over is the complaint of home-assistant PR#181806.
"""

from __future__ import annotations

import logging
import re
import time
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import pytest
from processes import messages, run

from loghttp import HumioHECHandler
from loghttp._selflog import SelfLog
from loghttp._stats import Books
from loghttp.testing import LocalIntake

DEADLINE = 10.0  # seconds
ATTEMPTS = 5  # failed ones: enough to say the same thing more than once


class Line(NamedTuple):
    level: str
    text: str


class Ear(logging.Handler):
    """Keeps what is said."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: list[Line] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(Line(record.levelname, record.getMessage()))

    @property
    def levels(self) -> list[str]:
        return [line.level for line in self.lines]

    def told_as_lost(self) -> int:
        return sum(int(re.search(r"(\d+) records? lost", line.text)[1]) for line in self.lines if line.level == "ERROR")


@pytest.fixture
def ear() -> Iterator[Ear]:
    """Listens to loghttp's own logger, and leaves it as it was."""
    logger, listener = logging.getLogger("loghttp"), Ear()
    level, propagate = logger.level, logger.propagate
    logger.addHandler(listener)
    logger.setLevel(logging.DEBUG)
    logger.propagate = False
    yield listener
    logger.removeHandler(listener)
    logger.setLevel(level)
    logger.propagate = propagate


class App(NamedTuple):
    """A program's logger, and our handler on it."""

    log: logging.Logger
    handler: HumioHECHandler


@pytest.fixture
def start(local_intake: LocalIntake) -> Iterator[Callable[..., App]]:
    """Makes a program that sends to the intake at once and tries again at once."""
    apps: list[App] = []

    def make(**options: Any) -> App:
        options = {"flush_interval": 0.01, "retry_wait_max": 0.02, "close_timeout": 1.0} | options
        handler = HumioHECHandler(local_intake.url, local_intake.token, **options)
        app = App(logging.Logger("app"), handler)  # known to nobody else
        app.log.addHandler(handler)
        apps.append(app)
        return app

    yield make
    for app in apps:
        app.handler.close()


def wait_until(true: Callable[[], Any]) -> None:
    deadline = time.monotonic() + DEADLINE
    while not true():
        assert time.monotonic() < deadline, "it did not become so in time"
        time.sleep(0.005)


@pytest.mark.parametrize(
    ("fault", "reason", "advice"),
    [
        ({"status": 401}, "HTTP 401", "check the token"),
        ({"status": 403}, "HTTP 403", "check the token's rights"),
        ({"status": 404}, "HTTP 404", "check url and endpoint"),
        ({"status": 405}, "HTTP 405", "check url and endpoint"),
        ({"status": 302, "headers": {"Location": "https://elsewhere.example/"}}, "HTTP 302", "check url"),
        ({"status": 429}, "HTTP 429", "tried again"),
        ({"status": 503, "body": "down for maintenance"}, "down for maintenance", "tried again"),
        ({"connection": "reset"}, "", "tried again"),
        ({"delay": 600}, "timed out", "tried again"),
    ],
    ids=str,
)
def test_not_delivered_yet_is_one_warning_and_one_info_when_it_is(
    fault: dict[str, Any], reason: str, advice: str, local_intake: LocalIntake, ear: Ear, start: Callable[..., App]
) -> None:
    """While an intake fails in one way there is one WARNING with reason and advice, and one INFO when it heals."""
    app = start(timeout=(5.0, 0.05) if "delay" in fault else (5.0, 5.0))
    local_intake.fail_when(**fault)

    app.log.info("waits")
    wait_until(lambda: app.handler.stats().requests >= ATTEMPTS)
    during = list(ear.lines)
    local_intake.heal()
    local_intake.wait_for(1)
    assert app.handler.flush(DEADLINE)

    assert ["WARNING"] == [line.level for line in during]
    assert [] == [part for part in ("HumioHECHandler", reason, advice, "nothing is lost") if part not in during[0].text]
    assert ["WARNING", "INFO"] == ear.levels


def test_an_outage_is_one_warning_and_one_info(local_intake: LocalIntake, ear: Ear, start: Callable[..., App]) -> None:
    """The same of an intake that is not there: refused connections are told once, and so is its return."""
    app = start()
    local_intake.stop()

    app.log.info("waits")
    wait_until(lambda: app.handler.stats().requests >= ATTEMPTS)
    during = list(ear.lines)
    local_intake.start()
    local_intake.wait_for(1)
    assert app.handler.flush(DEADLINE)

    assert ["WARNING"] == [line.level for line in during]
    assert "refused" in during[0].text
    assert ["WARNING", "INFO"] == ear.levels


def test_each_kind_of_trouble_is_told(local_intake: LocalIntake, ear: Ear, start: Callable[..., App]) -> None:
    """A wrong token that shows after an outage is a line of its own, for somebody has to do something."""
    app = start()
    local_intake.fail_next(ATTEMPTS, status=503)
    local_intake.fail_next(ATTEMPTS, status=401)

    app.log.info("waits")
    local_intake.wait_for(1)
    assert app.handler.flush(DEADLINE)

    assert ["WARNING", "WARNING", "INFO"] == ear.levels
    assert ["503", "401"] == [re.search(r"HTTP (\d+)", line.text)[1] for line in ear.lines[:2]]


def test_an_intake_that_comes_and_goes_is_no_flood(
    local_intake: LocalIntake, ear: Ear, start: Callable[..., App]
) -> None:
    """Twenty short failures within a minute are one WARNING and one INFO: a line a minute of each kind at most."""
    app = start()
    for n in range(20):
        local_intake.fail_next(1, status=503)
        app.log.info("record %d", n)
        assert app.handler.flush(DEADLINE)

    assert [f"record {n}" for n in range(20)] == messages(local_intake)
    assert Counter({"WARNING": 1, "INFO": 1}) == Counter(ear.levels)


def test_nothing_is_said_when_all_is_well(local_intake: LocalIntake, ear: Ear, start: Callable[..., App]) -> None:
    """A handler that delivers has nothing to say, not even that it does."""
    app = start()
    for n in range(20):
        app.log.error("record %d", n)
        assert app.handler.flush(DEADLINE)
    app.handler.close()

    assert [] == ear.lines


# ---- losses


def test_records_that_found_no_room_are_an_error(
    local_intake: LocalIntake, ear: Ear, start: Callable[..., App]
) -> None:
    """What a full buffer dropped is told by number, reason and cure, in two lines at most, the last at the end."""
    app = start(buffer_events=10)
    local_intake.fail_when(status=503)

    for n in range(1_000):
        app.log.info("record %d", n)
    local_intake.heal()
    assert app.handler.flush(DEADLINE)
    app.handler.close()

    errors = [line.text for line in ear.lines if line.level == "ERROR"]
    dropped = app.handler.stats().dropped
    assert ["queue_full"] == list(dropped)
    assert 1 <= len(errors) <= 2
    assert [] == [text for text in errors if "queue_full" not in text or "buffer_events" not in text]
    assert dropped["queue_full"] == ear.told_as_lost()


def test_expired_records_are_an_error_though_nothing_else_happens(
    local_intake: LocalIntake, ear: Ear, start: Callable[..., App]
) -> None:
    """Records that become too old while the intake is down are told at once, not with the next record or success."""
    app = start(retry_for=0.05)
    local_intake.fail_when(status=503)

    app.log.info("grows old")
    wait_until(lambda: app.handler.stats().dropped)
    wait_until(lambda: "ERROR" in ear.levels)

    [text] = [line.text for line in ear.lines if line.level == "ERROR"]
    assert [] == [part for part in ("1 record lost", "expired", "retry_for", "HTTP 503") if part not in text]


def test_a_refused_record_is_an_error(local_intake: LocalIntake, ear: Ear, start: Callable[..., App]) -> None:
    """An event that the intake refuses by itself is told as lost, in the intake's own words."""
    app = start(flush_interval=60)
    local_intake.fail_when(
        lambda request: any(event.message == "bad" for event in request.events), status=400, body="no such day"
    )

    for message in ("good 1", "bad", "good 2"):
        app.log.info(message)
    assert app.handler.flush(DEADLINE)
    wait_until(lambda: ear.told_as_lost() == 1)

    [text] = [line.text for line in ear.lines if line.level == "ERROR"]
    assert {"refused": 1} == dict(app.handler.stats().dropped)
    assert [] == [part for part in ("1 record lost", "refused", "no such day") if part not in text]


def test_every_loss_is_told_until_the_end(local_intake: LocalIntake, ear: Ear, start: Callable[..., App]) -> None:
    """Losses that follow within the minute wait, and close() tells them: a loss is never silent."""
    app = start(flush_interval=60)
    local_intake.fail_when(lambda request: any(event.message == "bad" for event in request.events), status=400)

    for _ in range(5):
        for message in ("good", "bad"):
            app.log.info(message)
        assert app.handler.flush(DEADLINE)
    app.handler.close()

    assert {"refused": 5} == dict(app.handler.stats().dropped)
    assert 5 == ear.told_as_lost()
    assert ear.levels.count("ERROR") <= 2


# ---- once a minute


def test_the_same_is_told_once_a_minute(ear: Ear) -> None:
    """A kind that was told less than sixty seconds ago is not told again, another one is."""
    now = 0.0
    voice = SelfLog("HumioHECHandler", Books(), clock=lambda: now)

    told = []
    for now in (0.0, 1.0, 59.9, 60.0, 60.1, 119.9, 120.0):  # noqa: B007  the clock reads it
        before = len(ear.lines)
        voice.not_delivered("later", "HTTP 503", "it is tried again")
        told.append(len(ear.lines) - before)
    voice.not_delivered("misconfigured", "HTTP 401", "check the token")

    assert [1, 0, 0, 1, 0, 0, 1] == told
    assert ["WARNING"] * 4 == ear.levels


def test_losses_are_told_once_a_minute_and_all_of_them(ear: Ear) -> None:
    """What is lost within a minute of the last such line is added up for the next one."""
    now = 0.0
    books = Books()
    voice = SelfLog("HumioHECHandler", books, clock=lambda: now)

    for now in range(0, 121, 10):  # noqa: B007  the clock reads it
        books.drop("queue_full", 7, 1.7e9, 1.7e9)
        voice.lost()

    assert ["7 records lost", "42 records lost", "42 records lost"] == [
        re.search(r"\d+ records lost", line.text)[0] for line in ear.lines
    ]


# ---- where it is heard


def test_the_logger_has_a_null_handler() -> None:
    """The library's habit that the logging HOWTO asks for: whoever wants to hear it adds a handler."""
    logger = logging.getLogger("loghttp")

    assert [logging.NullHandler] == [type(handler) for handler in logger.handlers]
    assert (logging.NOTSET, True) == (logger.level, logger.propagate)


@pytest.mark.parametrize("fault", [{"status": 401}, {"status": 503}, {"connection": "reset"}], ids=str)
def test_nothing_on_stderr_by_default(fault: dict[str, Any], local_intake: LocalIntake) -> None:
    """A program that configures only our handler reads neither trouble nor losses on stderr while it runs."""
    local_intake.fail_next(ATTEMPTS, **fault)

    ended = run("voice.py", intake=local_intake)

    assert (0, "") == (ended.status, ended.stderr)
    assert 100 == len([text for text in messages(local_intake) if text.startswith("record")]) + int(ended.stdout)


def test_our_own_handlers_never_deliver_it(local_intake: LocalIntake, ear: Ear, start: Callable[..., App]) -> None:
    """A handler of ours that somebody put on the logger `loghttp` itself does not ship what is said there."""
    app = start()
    logger = logging.getLogger("loghttp")
    logger.addHandler(app.handler)
    try:
        local_intake.fail_next(ATTEMPTS, status=503)
        app.log.info("waits")
        assert app.handler.flush(DEADLINE)
        logger.error("said by somebody else under our name")
        assert app.handler.flush(DEADLINE)
    finally:
        logger.removeHandler(app.handler)

    assert ["WARNING", "INFO", "ERROR"] == ear.levels
    assert ["waits"] == messages(local_intake)
    assert 1 == app.handler.stats().accepted


def test_a_filter_does_not_meet_our_own_lines(ear: Ear, start: Callable[..., App]) -> None:
    """One that raises at what is not the program's would make a new loss of each line that tells of one."""
    app = start()
    app.handler.addFilter(lambda record: record.__dict__["order"] > 0)
    logging.getLogger("loghttp").addHandler(app.handler)
    try:
        logging.getLogger("loghttp").error("1 record was lost")
    finally:
        logging.getLogger("loghttp").removeHandler(app.handler)

    assert ["ERROR"] == ear.levels
    assert (0, {}) == (app.handler.stats().accepted, dict(app.handler.stats().dropped))


@pytest.mark.parametrize("status", [302, 400, 401, 403, 404, 413, 429, 503])
@pytest.mark.parametrize("place", ["body", "Location", "Retry-After", "X-Token"])
def test_the_token_is_never_said(
    place: str, status: int, local_intake: LocalIntake, ear: Ear, start: Callable[..., App]
) -> None:
    """An intake, or a proxy before it, that repeats the token in its answer does not make us repeat it."""
    said = f"https://elsewhere.example/?token={local_intake.token}"
    fault = {"body": said} if place == "body" else {"headers": {place: said}}
    local_intake.fail_next(ATTEMPTS, status=status, **fault)
    app = start()

    app.log.error("waits")
    wait_until(lambda: not app.handler.stats().pending)
    app.handler.close()

    assert [] == [line for line in ear.lines if local_intake.token in line.text]
    assert local_intake.token not in repr(app.handler.stats())
