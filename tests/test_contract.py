"""One contract, run over every intake, endpoint, format and compression: what any user of any handler may expect."""

from __future__ import annotations

import gzip
import json
import logging
import os
import platform
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import pytest
import requests
from conftest import Factory, make_record
from pythonjsonlogger.json import JsonFormatter

import loghttp
from loghttp.testing import LocalIntake, ReceivedEvent, ReceivedRequest

HUMIO, SEKOIA = loghttp.HumioHECHandler, loghttp.SekoiaHandler


@dataclass(frozen=True)
class Destination:
    """A handler class with the options that choose one dialect, and how to read what arrives there."""

    name: str
    kind: type[Any]
    path: str
    options: dict[str, Any] = field(default_factory=dict)
    #: Are attributes and extras members of the event itself, beside a `message`?
    is_object: bool = True
    batches: bool = True

    def __str__(self) -> str:
        return self.name

    def message(self, event: ReceivedEvent) -> str:
        """The message without its traceback, which a HEC string holds in one text."""
        return event.message.partition("\n")[0]

    def text(self, event: ReceivedEvent) -> str:
        """All that a reader of the event finds as text: message, traceback, stack."""
        if isinstance(event.event, str):
            return event.event
        parts = (event.event.get(name, "") for name in ("message", "exc_info", "stack_info"))
        return "\n".join(part for part in parts if part)

    def members(self, event: ReceivedEvent) -> dict[str, Any]:
        """Attributes and extras by name."""
        return event.event if isinstance(event.event, dict) else event.fields

    def time(self, event: ReceivedEvent) -> float:
        """The event's time as the intake learns of it, in Unix seconds."""
        if event.time is not None:
            return event.time
        return datetime.fromisoformat(self.members(event)["@timestamp"]).timestamp()


def _destinations() -> Iterator[Destination]:
    for compression in ("gzip", None):
        for path in ("/api/v1/ingest/hec", "/services/collector"):
            for event_format in ("string", "object"):
                options = {"endpoint": path, "event_format": event_format, "compression": compression}
                name = f"hec-{path.rpartition('/')[2]}-{event_format}-{compression}"
                yield Destination(name, HUMIO, path, options, is_object=event_format == "object")
        for path in ("/batch", "/array", "/"):
            options = {"endpoint": path, "compression": compression}
            yield Destination(f"sekoia-{path}-{compression}", SEKOIA, path, options, batches=path != "/")


DESTINATIONS = list(_destinations())
BATCHING = [destination for destination in DESTINATIONS if destination.batches]

Ship = Callable[..., Any]


@pytest.fixture(params=DESTINATIONS, ids=str)
def destination(request: pytest.FixtureRequest) -> Destination:
    return request.param  # type: ignore[no-any-return]


@pytest.fixture
def ship(destination: Destination, open_handler: Factory) -> Ship:
    """Makes the destination's handler."""
    return lambda **options: open_handler(destination.kind, **{**destination.options, **options})


def received(intake: LocalIntake, number: int) -> list[ReceivedEvent]:
    """The events, and no more of them than expected; nothing was refused on the way."""
    events = intake.wait_for(number)
    assert ["" for _ in intake.requests] == [request.refusal for request in intake.requests]
    assert number == len(events)
    return events


# ---- records


def test_records_arrive_once_and_in_order(
    intake: LocalIntake, logger: logging.Logger, ship: Ship, destination: Destination
) -> None:
    """What one thread logs arrives complete, once and in the order of logging."""
    handler = ship(batch_events=7) if destination.batches else ship()
    messages = [f"order {number} placed" for number in range(40)]
    for message in messages:
        logger.info(message)
    assert handler.flush(30) is True
    assert messages == [destination.message(event) for event in received(intake, 40)]


def test_books_balance_after_a_flush(
    intake: LocalIntake, logger: logging.Logger, ship: Ship, destination: Destination
) -> None:
    """After a flush every record is entered as delivered, and nothing as pending or dropped."""
    handler = ship()
    for number in range(10):
        logger.warning("order %d", number)
    assert handler.flush(30) is True
    stats = handler.stats()
    assert (10, 10, 0, {}) == (stats.accepted, stats.delivered, stats.pending, dict(stats.dropped))
    assert (len(intake.requests), 0, 0, None) == (stats.requests, stats.retries, stats.splits, stats.last_error)
    assert sum(request.wire_bytes for request in intake.requests) == stats.bytes_sent


def test_books_balance_at_any_moment(intake: LocalIntake, logger: logging.Logger, ship: Ship) -> None:
    """While four threads log and the intake delivers, each snapshot of the books adds up."""
    handler = ship()
    done = threading.Event()
    wrong: list[loghttp.Stats] = []

    def audit() -> None:
        while not done.wait(0.0001):
            stats = handler.stats()
            if stats.accepted != stats.delivered + stats.pending + sum(stats.dropped.values()) or stats.pending < 0:
                wrong.append(stats)

    def work() -> None:
        for number in range(25):
            logger.info("order %d", number)

    auditor = threading.Thread(target=audit)
    workers = [threading.Thread(target=work) for _ in range(4)]
    for thread in (auditor, *workers):
        thread.start()
    for thread in workers:
        thread.join()
    assert handler.flush(30) is True
    done.set()
    auditor.join()
    assert [] == wrong
    assert 100 == handler.stats().delivered == len(intake.events)


def test_threads_records_keep_each_threads_order(
    intake: LocalIntake, logger: logging.Logger, ship: Ship, destination: Destination
) -> None:
    """With several threads logging, all records arrive once, and those of each thread in its own order."""
    handler = ship()
    names = ["picker", "packer", "driver"]

    def work() -> None:
        for number in range(20):
            logger.info("step %d", number)

    threads = [threading.Thread(target=work, name=name) for name in names]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert handler.flush(30) is True
    steps: dict[str, list[str]] = {name: [] for name in names}
    for event in received(intake, 60):
        steps[destination.members(event)["thread"]].append(destination.message(event))
    assert {name: [f"step {number}" for number in range(20)] for name in names} == steps


def test_time_is_the_records_own_with_its_milliseconds(
    intake: LocalIntake, logger: logging.Logger, ship: Ship, destination: Destination
) -> None:
    """The event's time is `record.created`, milliseconds and all, not the time of sending (python-logging-loki#12)."""
    handler = ship()
    times = [1537537729.0, 1537537729.123, 0.5, 1893456000.999]
    for created in times:
        logger.handle(make_record(created=created))
    assert handler.flush(30) is True
    assert pytest.approx(times, abs=0.0005, rel=0) == [destination.time(event) for event in received(intake, 4)]


def test_default_attributes_are_members(
    intake: LocalIntake, logger: logging.Logger, ship: Ship, destination: Destination
) -> None:
    """The default attributes come with every record, numbers as numbers."""
    handler = ship()
    logger.warning("only %d left", 2)
    assert handler.flush(30) is True
    [event] = received(intake, 1)
    line = test_default_attributes_are_members.__code__.co_firstlineno + 5
    expected = {
        "level": "WARNING",
        "logger": "shop.orders",
        "module": "test_contract",
        "function": "test_default_attributes_are_members",
        "line": line,
        "thread": threading.current_thread().name,
        "sequence": 1,
    }
    members = destination.members(event)
    assert expected == {name: members.get(name) for name in expected}
    assert os.getpid() == members["process"]
    assert set(loghttp.DEFAULT_ATTRIBUTES) == {*expected, "process"}
    assert "only 2 left" == destination.message(event)


def test_extras_are_members(intake: LocalIntake, logger: logging.Logger, ship: Ship, destination: Destination) -> None:
    """Extras come under their own names, scalars as they are (splunk_hec_handler and others never sent them)."""
    handler = ship()
    extras = {"order_id": 1042, "total": 59.9, "paid": True, "country": "FR", "café": "☕", "big": 2**53 + 1}
    logger.info("order placed", extra=extras)
    assert handler.flush(30) is True
    [event] = received(intake, 1)
    members = destination.members(event)
    assert extras == {name: members.get(name) for name in extras}
    assert "loghttp_changed" not in members


def test_exceptions_arrive_whole(
    intake: LocalIntake, logger: logging.Logger, ship: Ship, destination: Destination
) -> None:
    """An exception arrives with its full traceback, its causes, its type and its message (splunk_hec_handler#15)."""
    handler = ship()
    try:
        try:
            int("640px")
        except ValueError as error:
            raise ConnectionError("the bank did not answer") from error
    except ConnectionError as error:
        logger.exception("payment failed")
        expected = logging.Formatter().formatException((type(error), error, error.__traceback__))
    assert handler.flush(30) is True
    [event] = received(intake, 1)
    assert f"payment failed\n{expected}" == destination.text(event)
    members = destination.members(event)
    assert ("ConnectionError", "the bank did not answer") == (members["exc_type"], members["exc_message"])


def test_stack_info_arrives(intake: LocalIntake, logger: logging.Logger, ship: Ship, destination: Destination) -> None:
    """The stack that `stack_info=True` asks for arrives."""
    handler = ship()
    logger.info("where am I", stack_info=True)
    assert handler.flush(30) is True
    [event] = received(intake, 1)
    text = destination.text(event)
    assert text.startswith("where am I\nStack (most recent call last):\n")
    assert text.endswith('logger.info("where am I", stack_info=True)')


def test_an_exception_and_a_stack_arrive_both(
    intake: LocalIntake, logger: logging.Logger, ship: Ship, destination: Destination
) -> None:
    """With a traceback and a stack, both follow the message in logging's own order."""
    handler = ship()
    try:
        raise KeyError("admin")
    except KeyError:
        logger.error("no such account", exc_info=True, stack_info=True)
    assert handler.flush(30) is True
    [event] = received(intake, 1)
    text = destination.text(event)
    message, traceback, stack = (
        text.index(part) for part in ("no such account", "KeyError: 'admin'", "Stack (most recent call last):")
    )
    assert message < traceback < stack


def test_unicode_and_line_breaks_arrive_as_they_are(
    intake: LocalIntake, logger: logging.Logger, ship: Ship, destination: Destination
) -> None:
    """Text beyond ASCII, control characters and line separators reach the intake unchanged."""
    handler = ship()
    messages = ["naïve ☕ 漢字 😀", 'tab\t quote" back\\slash', "nul\x00 bell\x07 esc\x1b[0m", "a\u2028b\x85c\x7f"]
    for message in messages:
        logger.info(message, extra={"copy": message})
    assert handler.flush(30) is True
    events = received(intake, len(messages))
    assert messages == [event.message for event in events]
    assert messages == [destination.members(event)["copy"] for event in events]


def test_level_of_the_handler_is_obeyed(
    intake: LocalIntake, logger: logging.Logger, ship: Ship, destination: Destination
) -> None:
    """A handler's own level keeps lower records out, and they are in no book."""
    handler = ship(level="WARNING")
    logger.info("too low")
    logger.warning("high enough")
    assert handler.flush(30) is True
    assert ["high enough"] == [destination.message(event) for event in received(intake, 1)]
    assert 1 == handler.stats().accepted


def test_a_custom_level_keeps_its_name(
    intake: LocalIntake, logger: logging.Logger, ship: Ship, destination: Destination
) -> None:
    """A level that the program invented is sent as logging names it."""
    handler = ship()
    logger.log(35, "odd")
    assert handler.flush(30) is True
    [event] = received(intake, 1)
    assert "Level 35" == destination.members(event)["level"]


# ---- requests


def check_head(request: ReceivedRequest, destination: Destination, intake: LocalIntake) -> None:
    headers = request.headers
    assert ("POST", destination.path) == (request.method, request.path)
    if destination.kind is HUMIO:
        assert f"Bearer {intake.token}" == headers["Authorization"]
        # The documentation's curl, and what every other HEC server takes as well.
        assert headers["Content-Type"] in {"text/plain; charset=utf-8", "application/json"}
    else:
        assert "Authorization" not in headers
        assert "application/json" == headers["Content-Type"]
    encoding = headers.get("Content-Encoding")
    assert destination.options["compression"] == encoding
    assert headers["User-Agent"].startswith("loghttp/")


def test_requests_bear_the_right_headers(
    intake: LocalIntake, logger: logging.Logger, ship: Ship, destination: Destination
) -> None:
    """Every request is a POST to the endpoint with the documented authorization, type and encoding."""
    handler = ship()
    logger.info("order placed")
    assert handler.flush(30) is True
    received(intake, 1)
    for request in intake.requests:
        check_head(request, destination, intake)


def test_secrets_are_where_they_belong_and_nowhere_else(
    intake: LocalIntake, logger: logging.Logger, ship: Ship, destination: Destination
) -> None:
    """Token and key are in no URL, no other header, no event, no repr and no book."""
    handler = ship()
    logger.info("order placed")
    assert handler.flush(30) is True
    [event] = received(intake, 1)
    [request] = intake.requests
    others = {name: value for name, value in request.headers.items() if name != "Authorization"}
    everything = repr((others, request.path, event, handler, handler.stats(), vars(handler)))
    assert not [secret for secret in (intake.token, intake.intake_key) if secret in everything]
    # The machine is no secret of loghttp's, but a User-Agent that names it helps nobody.
    assert not [name for name in (platform.node(), "python-requests") if name in request.headers["User-Agent"]]


def test_extra_headers_are_sent(intake: LocalIntake, logger: logging.Logger, ship: Ship) -> None:
    """`headers` come with every request."""
    handler = ship(headers={"X-Team": "shop"})
    logger.info("order placed")
    assert handler.flush(30) is True
    received(intake, 1)
    assert ["shop"] == [request.headers.get("X-Team") for request in intake.requests]


def test_compression_makes_requests_smaller(intake: LocalIntake, logger: logging.Logger, ship: Ship) -> None:
    """With gzip, the default, repetitive logs take a fraction of the wire; with None, a body goes as it is."""
    handler = ship()
    logger.info("order placed " * 500)
    assert handler.flush(30) is True
    received(intake, 1)
    [request] = intake.requests
    if "Content-Encoding" in request.headers:
        assert request.wire_bytes < len(request.body) / 5
    else:
        assert len(request.body) == request.wire_bytes


def test_default_compression_is_gzip(intake: LocalIntake, logger: logging.Logger, humio: Factory) -> None:
    """Without `compression`, bodies are gzip."""
    handler = humio()
    logger.info("order placed")
    assert handler.flush(30) is True
    assert ["gzip"] == [request.headers.get("Content-Encoding") for request in intake.requests]


def test_humio_batches_are_delimited_by_white_space(
    intake: LocalIntake, logger: logging.Logger, humio: Factory
) -> None:
    """A HEC body is one compact JSON object a line, each with its own metadata: what every HEC server takes."""
    humio(source="/app", batch_events=3, flush_interval=60, compression=None)
    messages = [f"order\n{number}" for number in range(3)]
    for message in messages:
        logger.info(message)
    received(intake, 3)
    [request] = intake.requests
    objects = [json.loads(line) for line in request.body.split(b"\n")]
    assert messages == [item["event"] for item in objects]
    assert [("/app", True)] * 3 == [(item["source"], isinstance(item["time"], float)) for item in objects]


@pytest.mark.parametrize("destination", BATCHING, ids=str)
def test_batch_events_is_obeyed(
    intake: LocalIntake, logger: logging.Logger, ship: Ship, destination: Destination
) -> None:
    """A request carries at most `batch_events` events; full batches leave without waiting for the interval."""
    handler = ship(batch_events=3, flush_interval=60, flush_level="CRITICAL")
    for number in range(9):
        logger.info("order %d", number)
    received(intake, 9)
    logger.info("order 9")
    assert handler.flush(30) is True
    received(intake, 10)
    assert [3, 3, 3, 1] == [len(request.events) for request in intake.requests]


@pytest.mark.parametrize("destination", BATCHING, ids=str)
def test_many_records_share_a_request(
    intake: LocalIntake, logger: logging.Logger, ship: Ship, destination: Destination
) -> None:
    """Records that are logged together leave together: not one request a record."""
    handler = ship(flush_interval=60)
    for number in range(100):
        logger.info("order %d", number)
    assert handler.flush(30) is True
    received(intake, 100)
    assert len(intake.requests) <= 5


@pytest.mark.parametrize("destination", BATCHING, ids=str)
def test_batch_bytes_is_obeyed(
    intake: LocalIntake, logger: logging.Logger, ship: Ship, destination: Destination
) -> None:
    """The events of one request are at most `batch_bytes` long before compression, envelope not counted."""
    handler = ship(batch_bytes=4_000, flush_interval=60)
    for number in range(40):
        logger.info("order %d %s", number, "x" * 500)
    assert handler.flush(30) is True
    received(intake, 40)
    envelope = 100  # the key's own member, brackets and separators of one event
    too_long = [
        len(request.body) for request in intake.requests if len(request.body) > 4_000 + envelope * len(request.events)
    ]
    assert [] == too_long
    assert 6 <= len(intake.requests) < 40  # neither one huge request nor one for each record


@pytest.mark.parametrize("destination", BATCHING, ids=str)
def test_an_event_longer_than_batch_bytes_goes_alone(
    intake: LocalIntake, logger: logging.Logger, ship: Ship, destination: Destination
) -> None:
    """An event that alone exceeds `batch_bytes` is neither cut nor lost: it makes a batch of its own."""
    handler = ship(batch_bytes=2_000, flush_interval=60)
    messages = ["first", "x" * 5_000, "last"]
    for message in messages:
        logger.info(message)
    assert handler.flush(30) is True
    assert messages == [destination.message(event) for event in received(intake, 3)]
    alone = [request.events[0] for request in intake.requests if len(request.events) == 1]
    assert 5_000 in [len(event.message) for event in alone]


@pytest.mark.parametrize("compression", ["gzip", None])
def test_sekoia_root_takes_one_event_a_request(
    intake: LocalIntake, logger: logging.Logger, sekoia: Factory, compression: str | None
) -> None:
    """The endpoint "/" carries one event in each request, in order."""
    handler = sekoia(endpoint="/", compression=compression)
    for number in range(5):
        logger.info("order %d", number)
    assert handler.flush(30) is True
    assert [[f"order {number}"] for number in range(5)] == [
        [event.message for event in request.events] for request in intake.requests
    ]


@pytest.mark.parametrize("path", ["", "/", "/api/v1/intake-http", "/api/v1/intake-http/", "/x/batch"])
def test_a_base_urls_prefix_is_kept(intake: LocalIntake, logger: logging.Logger, sekoia: Factory, path: str) -> None:
    """A region's prefix stays, a slash at the end does not matter, and the endpoint is not appended twice."""
    handler = sekoia(url=intake.url + path)
    logger.info("order placed")
    assert handler.flush(30) is True
    received(intake, 1)
    prefix = path.rstrip("/").removesuffix("/batch")
    assert [f"{prefix}/batch"] == [request.path for request in intake.requests]


# ---- the intakes' own documentation: seeds of this package

HEC_STRING = {
    "time": 1537537729.0,
    "event": "Fri, 21 Sep 2018 13:48:49 GMT - system started name=webserver",
    "source": "/var/log/application.log",
    "sourcetype": "applog",
    "fields": {"#env": "prod"},
}
HEC_OBJECT = {
    "time": 1537535729.0,
    "event": {"message": "System shutdown", "host": {"ip": "127.0.0.1", "port": 2222}},
    "fields": {"#datacenter": "amazon-east1"},
}
DNS_LINES = ["[764008:0] info: 198.51.100.10 example.org. A IN", "[764023:0] info: 2.34.100.56 text.org. A IN"]


def sent_by_requests(content: Any) -> Any:
    """What `requests.post(json=content)` puts into the body."""
    body = requests.Request("POST", "http://intake", json=content).prepare().body
    return json.loads(body or b"")


@pytest.mark.parametrize("path", ["/api/v1/ingest/hec", "/services/collector"])
def test_the_documented_hec_objects_come_from_records(
    intake: LocalIntake, logger: logging.Logger, open_handler: Factory, path: str
) -> None:
    """The two objects of Humio's curl example are what fitting records become, member for member."""
    first = open_handler(
        HUMIO,
        endpoint=path,
        host="webserver",
        source=HEC_STRING["source"],
        sourcetype=HEC_STRING["sourcetype"],
        tags={"env": "prod"},
        attributes=(),
    )
    logger.handle(make_record(msg=HEC_STRING["event"], created=HEC_STRING["time"]))
    assert first.flush(30) is True
    logger.removeHandler(first)
    second = open_handler(
        HUMIO,
        endpoint=path,
        host="webserver",
        tags={"datacenter": "amazon-east1"},
        attributes=(),
        event_format="object",
    )
    extras = {"host": {"ip": "127.0.0.1", "port": 2222}}
    logger.handle(make_record(msg="System shutdown", created=HEC_OBJECT["time"], **extras))
    assert second.flush(30) is True
    # Only `host` is beside what the page shows: the handler always says where an event is from.
    expected = [{**HEC_STRING, "host": "webserver"}, {**HEC_OBJECT, "host": "webserver"}]
    assert expected == [event.body for event in received(intake, 2)]


def test_the_documented_hec_body_is_taken(intake: LocalIntake) -> None:
    """The curl example itself is accepted by the intake of these tests, so it measures by the right rule."""
    body = f"{json.dumps(HEC_STRING, indent=2)}\n\n{json.dumps(HEC_OBJECT, indent=2)}\n"
    headers = {"Content-Type": "text/plain; charset=utf-8", "Authorization": f"Bearer {intake.token}"}
    reply = requests.post(f"{intake.url}/api/v1/ingest/hec", data=body.encode(), headers=headers, timeout=10)
    assert 200 == reply.status_code
    assert [HEC_STRING, HEC_OBJECT] == [event.body for event in intake.events]


@pytest.mark.parametrize("compression", ["gzip", None])
def test_the_documented_sekoia_text_event(
    intake: LocalIntake, logger: logging.Logger, sekoia: Factory, compression: str | None
) -> None:
    """A text formatter makes the payload of SEKOIA.IO's first Python snippet, with the event's date beside it."""
    content = {"intake_key": intake.intake_key, "json": DNS_LINES[0]}
    handler = sekoia(endpoint="/", compression=compression)
    handler.setFormatter(logging.Formatter("%(message)s"))
    logger.handle(make_record(msg=DNS_LINES[0], created=1617643991.25))
    assert handler.flush(30) is True
    [event] = received(intake, 1)
    body = json.loads(intake.requests[0].body)
    assert 1617643991.25 == datetime.fromisoformat(body.pop("@timestamp").replace("Z", "+00:00")).timestamp()
    assert sent_by_requests(content) == body
    assert DNS_LINES[0] == event.event


@pytest.mark.parametrize("endpoint", ["/", "/batch", "/array"])
def test_the_documented_sekoia_structured_event(
    intake: LocalIntake, logger: logging.Logger, sekoia: Factory, endpoint: str
) -> None:
    """A JSON formatter makes quoted JSON, as SEKOIA.IO's second Python snippet does; only the time may be beside it."""
    content = sent_by_requests({"intake_key": intake.intake_key, "json": json.dumps({"key": "value"})})
    handler = sekoia(endpoint=endpoint)
    handler.setFormatter(JsonFormatter("%(key)s"))
    logger.info("not asked for", extra={"key": "value"})
    assert handler.flush(30) is True
    [event] = received(intake, 1)
    quoted = json.loads(event.body["json"])
    quoted.pop("@timestamp", None)
    assert json.loads(content["json"]) == quoted
    body = json.loads(intake.requests[0].body)
    keys = [body["intake_key"]] if isinstance(body, dict) else [item["intake_key"] for item in body]
    assert [content["intake_key"]] == keys


@pytest.mark.parametrize("compression", ["gzip", None])
def test_the_documented_sekoia_batch(
    intake: LocalIntake, logger: logging.Logger, sekoia: Factory, compression: str | None
) -> None:
    """Two lines through a text formatter make the very payload of SEKOIA.IO's third Python snippet."""
    content = {"intake_key": intake.intake_key, "jsons": DNS_LINES}
    handler = sekoia(batch_events=2, flush_interval=60, compression=compression)
    handler.setFormatter(logging.Formatter("%(message)s"))
    for line in DNS_LINES:
        logger.info(line)
    received(intake, 2)
    assert [sent_by_requests(content)] == [json.loads(request.body) for request in intake.requests]
    assert DNS_LINES == [event.event for event in received(intake, 2)]


def test_gzip_bodies_are_one_plain_member(
    intake: LocalIntake, logger: logging.Logger, humio: Factory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The standard library reads what goes over the wire: the size sent is the size of a gzip of the body."""
    handler = humio()
    logger.info("order placed")
    assert handler.flush(30) is True
    [request] = intake.requests
    assert abs(request.wire_bytes - len(gzip.compress(request.body, 1))) < 100
