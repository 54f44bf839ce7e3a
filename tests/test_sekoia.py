"""What a user of SekoiaHandler sees at SEKOIA.IO: quoted JSON, fields, attributes, redaction, time."""

from __future__ import annotations

import datetime
import decimal
import json
import logging
import uuid
from typing import Any

import pytest
from conftest import Factory, make_record
from pythonjsonlogger.json import JsonFormatter

from loghttp.testing import LocalIntake, ReceivedEvent

CREATED = 1617643991.25
ENDPOINTS = ["/batch", "/array", "/"]


def only(intake: LocalIntake) -> ReceivedEvent:
    """The one event that arrived; nothing was refused."""
    [event] = intake.wait_for(1)
    assert [""] == [request.refusal for request in intake.requests]
    return event


def document(intake: LocalIntake) -> dict[str, Any]:
    """The quoted JSON of the one event that arrived."""
    event = only(intake).event
    assert isinstance(event, dict)
    return event


@pytest.mark.parametrize("endpoint", ENDPOINTS)
def test_events_are_quoted_json(intake: LocalIntake, logger: logging.Logger, sekoia: Factory, endpoint: str) -> None:
    """Without a formatter an event is a JSON object, quoted: time, message, attributes and extras."""
    sekoia(endpoint=endpoint, attributes=("level", "logger"))
    logger.handle(make_record(msg="order placed", created=CREATED, order=1042))
    event = only(intake)
    assert {
        "@timestamp": "2021-04-05T17:33:11.250000+00:00",
        "message": "order placed",
        "level": "INFO",
        "logger": "shop.orders",
        "order": 1042,
    } == json.loads(event.body["json"])


@pytest.mark.parametrize(("endpoint", "member"), [("/batch", None), ("/array", "timestamp"), ("/", "@timestamp")])
@pytest.mark.parametrize("formatter", [None, logging.Formatter("%(message)s"), JsonFormatter()])
def test_each_endpoint_has_its_own_name_for_the_time(
    intake: LocalIntake,
    logger: logging.Logger,
    sekoia: Factory,
    endpoint: str,
    member: str | None,
    formatter: logging.Formatter | None,
) -> None:
    """`/array` says `timestamp`, `/` says `@timestamp`, `/batch` has no place for it; whatever the formatter."""
    handler = sekoia(endpoint=endpoint)
    handler.setFormatter(formatter)
    logger.handle(make_record(created=CREATED))
    event = only(intake)
    assert {"json"} | ({member} if member else set()) == set(event.body)
    assert (CREATED if member else None) == event.time


def test_fields_are_on_every_event(intake: LocalIntake, logger: logging.Logger, sekoia: Factory) -> None:
    """Static `fields` are members of every event."""
    handler = sekoia(fields={"datacenter": "par1", "rack": 7, "canary": False})
    logger.info("order placed")
    logger.info("order sent")
    assert handler.flush(30) is True
    for event in intake.events:
        assert {"datacenter": "par1", "rack": 7, "canary": False}.items() <= dict(event.event).items()


def test_no_attributes(intake: LocalIntake, logger: logging.Logger, sekoia: Factory) -> None:
    """With `attributes=()` an event is its time, its message and its extras."""
    sekoia(attributes=())
    logger.info("order placed", extra={"order": 1042})
    assert {"@timestamp", "message", "order"} == set(document(intake))


def test_attributes_bear_the_name_that_was_given(intake: LocalIntake, logger: logging.Logger, sekoia: Factory) -> None:
    """`attributes` takes our short names and LogRecord's own; each member has the name that was asked for."""
    sekoia(attributes=("level", "levelno", "funcName"))
    logger.error("order lost")
    event = document(intake)
    assert ("ERROR", 40, "test_attributes_bear_the_name_that_was_given") == (
        event["level"],
        event["levelno"],
        event["funcName"],
    )
    assert {"@timestamp", "message", "level", "levelno", "funcName"} == set(event)


def test_extras_stay_nested(intake: LocalIntake, logger: logging.Logger, sekoia: Factory) -> None:
    """Quoted JSON can nest, so dicts and lists stay what they are, None included."""
    sekoia()
    extra = {"user": {"id": 7, "groups": ["staff", {"since": 2020}]}, "size": (640, 480), "gone": None}
    logger.info("order placed", extra=extra)
    event = document(intake)
    expected = {"user": {"id": 7, "groups": ["staff", {"since": 2020}]}, "size": [640, 480], "gone": None}
    assert expected == {name: event.get(name, "absent") for name in expected}


def test_values_are_sent_as_a_reader_expects(intake: LocalIntake, logger: logging.Logger, sekoia: Factory) -> None:
    """Common values that JSON does not know are sent as their usual text."""
    sekoia()
    values = {"day": datetime.date(2026, 1, 31), "id": uuid.UUID(int=7), "price": decimal.Decimal("9.90"), "raw": b"a"}
    logger.info("order placed", extra=values)
    event = document(intake)
    expected = {"day": "2026-01-31", "id": "00000000-0000-0000-0000-000000000007", "price": "9.90", "raw": "a"}
    assert expected == {name: event[name] for name in expected}


def test_exceptions_are_members(intake: LocalIntake, logger: logging.Logger, sekoia: Factory) -> None:
    """The traceback is a member of its own, beside the exception's type and message."""
    sekoia(attributes=())
    try:
        raise KeyError("admin")
    except KeyError as error:
        logger.exception("no such account")
        text = logging.Formatter().formatException((KeyError, error, error.__traceback__))
    event = document(intake)
    event.pop("@timestamp")
    assert {"message": "no such account", "exc_info": text, "exc_type": "KeyError", "exc_message": "'admin'"} == event


def test_a_dict_message_is_structured(intake: LocalIntake, logger: logging.Logger, sekoia: Factory) -> None:
    """A dict as the message is sent as members of the event."""
    sekoia()
    logger.info({"order": 1042, "customer": {"id": 7}}, extra={"shard": 3})
    event = document(intake)
    expected = {"order": 1042, "customer": {"id": 7}, "shard": 3}
    assert expected == {name: event.get(name) for name in expected}


SECRETS = {
    "password": "hunter2",
    "form": {"PassWord": "hunter2", "name": "amelie"},
    "list": [{"password": "hunter2"}, [{"PASSWORD": {"deep": "hunter2"}}]],
    "x-api.key": "hunter2",
}


@pytest.mark.parametrize("formatter", [None, JsonFormatter()], ids=["none", "json"])
@pytest.mark.parametrize("as_message", [False, True], ids=["extra", "message"])
@pytest.mark.parametrize("endpoint", ENDPOINTS)
def test_redacted_names_are_never_sent(
    intake: LocalIntake,
    logger: logging.Logger,
    sekoia: Factory,
    endpoint: str,
    as_message: bool,
    formatter: logging.Formatter | None,
) -> None:
    """A redacted name's value is nowhere in the event: any case, any depth, extras and dict messages, any format."""
    handler = sekoia(redact=("Password", "x-api.KEY"), endpoint=endpoint)
    handler.setFormatter(formatter)
    if as_message:
        logger.info(SECRETS)
    else:
        logger.info("signed in", extra=SECRETS)
    text = only(intake).body["json"]
    assert "hunter2" not in text
    assert "[redacted]" in text
    assert "amelie" in text


def test_the_extra_wins_then_the_static_field_then_the_attribute(
    intake: LocalIntake, logger: logging.Logger, sekoia: Factory
) -> None:
    """A name given twice has one documented winner: the extra, then the static field, then the attribute."""
    sekoia(attributes=("level", "module", "line"), fields={"level": "static", "module": "static", "rack": "static"})
    logger.info("order placed", extra={"level": "extra", "rack": "extra"})
    event = document(intake)
    assert ("extra", "static", "extra", int) == (event["level"], event["module"], event["rack"], type(event["line"]))


@pytest.mark.parametrize("formatter", [logging.Formatter("%(levelname)s %(message)s")])
def test_plain_text_events(
    intake: LocalIntake, logger: logging.Logger, sekoia: Factory, formatter: logging.Formatter
) -> None:
    """A text formatter makes plain-text events, line breaks and quotes included."""
    handler = sekoia(fields={"has": "no place here"})
    handler.setFormatter(formatter)
    logger.warning('a "quoted"\nsecond line ☕')
    assert 'WARNING a "quoted"\nsecond line ☕' == only(intake).event


@pytest.mark.parametrize("text", ["{not json", "{}", "{'a': 1}", '{"a": 1} and more', "[1]", '"quoted"', "null", "{"])
def test_plain_text_that_resembles_json(
    intake: LocalIntake, logger: logging.Logger, sekoia: Factory, text: str
) -> None:
    """Plain text is sent as it is, even where it looks like the beginning of JSON."""
    handler = sekoia()
    handler.setFormatter(logging.Formatter("%(message)s"))
    logger.info(text)
    assert text == only(intake).body["json"]


@pytest.mark.parametrize("endpoint", ENDPOINTS)
@pytest.mark.parametrize("letter", ["x", "é", '"', "\x00"])
def test_long_plain_text_is_cut_to_the_limit(
    intake: LocalIntake, logger: logging.Logger, sekoia: Factory, endpoint: str, letter: str
) -> None:
    """An event over 250,000 bytes of UTF-8, which SEKOIA.IO would reject, is cut to that and says so."""
    handler = sekoia(endpoint=endpoint)
    handler.setFormatter(logging.Formatter("%(message)s"))
    logger.info(letter * 400_000)
    text = only(intake).body["json"]
    assert 240_000 < len(text.encode()) <= 250_000
    assert text.endswith("[cut by loghttp]")


def test_the_limit_is_of_bytes_and_exact(intake: LocalIntake, logger: logging.Logger, sekoia: Factory) -> None:
    """An event of exactly 250,000 bytes is sent whole."""
    handler = sekoia()
    handler.setFormatter(logging.Formatter("%(message)s"))
    logger.info("é" * 125_000)
    assert "é" * 125_000 == only(intake).event


@pytest.mark.parametrize("endpoint", ENDPOINTS)
def test_the_key_is_beside_the_events(
    intake: LocalIntake, logger: logging.Logger, sekoia: Factory, endpoint: str
) -> None:
    """The intake key is the documented member `intake_key`, and in no other place."""
    sekoia(endpoint=endpoint)
    logger.info("order placed")
    only(intake)
    body = json.loads(intake.requests[0].body)
    members = body if isinstance(body, dict) else body[0]
    assert intake.intake_key == members["intake_key"]
    assert 1 == intake.requests[0].body.count(intake.intake_key.encode())
