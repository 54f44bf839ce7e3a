"""What a user of HumioHECHandler sees at Humio: tags, fields, attributes, metadata, and who wins when names collide."""

from __future__ import annotations

import datetime
import decimal
import enum
import json
import logging
import socket
import threading
import uuid
from dataclasses import dataclass
from typing import Any

import pytest
from conftest import Factory, make_record
from pythonjsonlogger.json import JsonFormatter

import loghttp
from loghttp.testing import LocalIntake, ReceivedEvent


class Colour(enum.Enum):
    RED = "red"


@dataclass
class Order:
    number: int
    customer: dict[str, Any]


def only(intake: LocalIntake) -> ReceivedEvent:
    """The one event that arrived; nothing was refused."""
    [event] = intake.wait_for(1)
    assert [""] == [request.refusal for request in intake.requests]
    return event


# ---- metadata


def test_host_is_this_machine_by_default(intake: LocalIntake, logger: logging.Logger, humio: Factory) -> None:
    """Without `host`, an event is from this machine; what was not given is not sent."""
    humio()
    logger.info("order placed")
    event = only(intake)
    assert socket.gethostname() == event.host
    assert {"time", "host", "event", "fields"} == set(event.body)


@pytest.mark.parametrize("event_format", ["string", "object"])
def test_metadata_is_sent_with_every_event(
    intake: LocalIntake, logger: logging.Logger, humio: Factory, event_format: str
) -> None:
    """`host`, `source`, `sourcetype`, `index` and `timezone` become the members of those names."""
    given = {
        "host": "web-1",
        "source": "/var/log/shop.log",
        "sourcetype": "applog",
        "index": "shop",
        "timezone": "Europe/Paris",
    }
    handler = humio(event_format=event_format, **given)
    logger.info("order placed")
    logger.info("order sent")
    assert handler.flush(30) is True
    assert [given, given] == [{name: getattr(event, name) for name in given} for event in intake.events]


@pytest.mark.parametrize("scheme", ["Bearer", "Splunk"])
def test_auth_scheme(intake: LocalIntake, logger: logging.Logger, humio: Factory, scheme: str) -> None:
    """`auth_scheme` is the word before the token."""
    humio(auth_scheme=scheme)
    logger.info("order placed")
    only(intake)
    assert [f"{scheme} test-token"] == [request.headers["Authorization"] for request in intake.requests]


# ---- tags and fields


def test_tags_are_fields_with_a_hash(intake: LocalIntake, logger: logging.Logger, humio: Factory) -> None:
    """`tags={"env": "prod"}` is sent as `fields["#env"]`; one that is written with its # does not get a second."""
    humio(tags={"env": "prod", "#service": "shop", "shard": 7, "canary": True})
    logger.info("order placed")
    assert {"env": "prod", "service": "shop", "shard": "7", "canary": "true"} == only(intake).tags


def test_tag_attributes_become_tags(intake: LocalIntake, logger: logging.Logger, humio: Factory) -> None:
    """Record attributes and extras named in `tag_attributes` are tags, under the name given, and not fields as well."""
    humio(tag_attributes=("levelname", "logger", "service", "absent"))
    logger.warning("order placed", extra={"service": "shop", "other": 1})
    event = only(intake)
    assert {"levelname": "WARNING", "logger": "shop.orders", "service": "shop"} == event.tags
    assert "service" not in event.fields
    assert "logger" not in event.fields
    assert ("WARNING", 1) == (event.fields["level"], event.fields["other"])


@pytest.mark.parametrize("event_format", ["string", "object"])
@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("shop", "shop"),
        (7, "7"),
        (True, "true"),
        (1.5, "1.5"),
        ("\ud800", "\\ud800"),
        (Colour.RED, "red"),
        (2**70, str(2**70)),
    ],
)
def test_a_tag_is_text(
    intake: LocalIntake, logger: logging.Logger, humio: Factory, event_format: str, value: Any, expected: str
) -> None:
    """Whatever the extra was, as a tag it is text, which is all that a tag can be."""
    humio(tag_attributes=("service",), event_format=event_format)
    logger.info("order placed", extra={"service": value})
    assert {"service": expected} == only(intake).tags


def test_an_absent_tag_is_left_out(intake: LocalIntake, logger: logging.Logger, humio: Factory) -> None:
    """A record without the extra that makes a tag has no such tag; None counts as absent."""
    humio(tag_attributes=("service",))
    logger.info("order placed", extra={"service": None})
    assert {} == only(intake).tags


def test_a_tag_of_the_record_wins_over_the_static_tag(
    intake: LocalIntake, logger: logging.Logger, humio: Factory
) -> None:
    """A name that is a static tag and a tag of the record takes the record's value, if it has one."""
    handler = humio(tags={"service": "shop"}, tag_attributes=("service",))
    logger.info("order placed", extra={"service": "bank"})
    logger.info("order placed")
    assert handler.flush(30) is True
    assert [{"service": "bank"}, {"service": "shop"}] == [event.tags for event in intake.events]


@pytest.mark.parametrize("value", [7, 1.5, True, "x", [1], {"a": 1}])
def test_an_extra_with_a_hash_is_a_tag(intake: LocalIntake, logger: logging.Logger, humio: Factory, value: Any) -> None:
    """An extra whose name begins with # arrives, although Humio makes a tag of it and a tag must be text."""
    handler = humio()
    logger.info("order placed", extra={"#shard": value})
    assert handler.flush(30) is True
    only(intake)
    assert {} == dict(handler.stats().dropped)


@pytest.mark.parametrize("event_format", ["string", "object"])
def test_fields_are_on_every_event(
    intake: LocalIntake, logger: logging.Logger, humio: Factory, event_format: str
) -> None:
    """Static `fields` are sent as they are with every event."""
    handler = humio(fields={"datacenter": "par1", "rack": 7, "canary": False}, event_format=event_format)
    logger.info("order placed")
    logger.info("order sent")
    assert handler.flush(30) is True
    for event in intake.events:
        assert {"datacenter": "par1", "rack": 7, "canary": False}.items() <= event.fields.items()


@pytest.mark.parametrize(
    "options", [{"tags": {"#": "x"}}, {"fields": {"#": "x"}}, {"tags": {"": "x"}}, {"fields": {"": 1}}]
)
def test_a_tag_without_a_name_is_refused_at_once(humio: Factory, options: dict[str, Any]) -> None:
    """A nameless tag or field, for which the intake would refuse every event, is an error when the handler is made."""
    with pytest.raises(loghttp.ConfigurationError, match=next(iter(options))):
        humio(**options)


def test_a_static_field_with_a_hash_is_a_tag(intake: LocalIntake, logger: logging.Logger, humio: Factory) -> None:
    """A static field whose name begins with # is a tag, so it is sent as text."""
    handler = humio(fields={"#shard": 7}, close_timeout=0.2)
    logger.info("order placed")
    assert handler.flush(5) is True
    assert {"shard": "7"} == only(intake).tags


# ---- attributes


@pytest.mark.parametrize("event_format", ["string", "object"])
def test_no_attributes(intake: LocalIntake, logger: logging.Logger, humio: Factory, event_format: str) -> None:
    """With `attributes=()` an event has its message and extras, and nothing else."""
    humio(attributes=(), event_format=event_format)
    logger.info("order placed", extra={"order": 1042})
    event = only(intake)
    if event_format == "string":
        assert ("order placed", {"order": 1042}) == (event.event, event.fields)
    else:
        assert ({"message": "order placed", "order": 1042}, {}) == (event.event, event.fields)


def test_attributes_bear_the_name_that_was_given(intake: LocalIntake, logger: logging.Logger, humio: Factory) -> None:
    """`attributes` takes our short names and LogRecord's own; each field has the name that was asked for."""
    humio(attributes=("level", "levelname", "levelno", "name", "funcName", "threadName", "processName", "pathname"))
    logger.error("order lost")
    assert {
        "level": "ERROR",
        "levelname": "ERROR",
        "levelno": 40,
        "name": "shop.orders",
        "funcName": "test_attributes_bear_the_name_that_was_given",
        "threadName": threading.current_thread().name,
        "processName": "MainProcess",
        "pathname": __file__,
    } == only(intake).fields


def test_attributes_may_name_extras(intake: LocalIntake, logger: logging.Logger, humio: Factory) -> None:
    """A name in `attributes` that is an extra is that extra, once; a name that is nothing is left out."""
    humio(attributes=("level", "order", "nothing"))
    logger.info("order placed", extra={"order": 1042})
    assert {"level": "INFO", "order": 1042} == only(intake).fields


# ---- event_format


def test_event_format_object(intake: LocalIntake, logger: logging.Logger, humio: Factory) -> None:
    """As an object, the event holds message, attributes and extras, nested as they are; fields hold the static ones."""
    humio(event_format="object", tags={"env": "prod"}, fields={"rack": 7}, attributes=("level",))
    logger.info("order %d placed", 1042, extra={"customer": {"id": 7, "groups": ["vip"]}})
    event = only(intake)
    assert {
        "message": "order 1042 placed",
        "level": "INFO",
        "customer": {"id": 7, "groups": ["vip"]},
    } == event.event
    assert {"#env": "prod", "rack": 7} == event.fields


def test_event_format_object_with_an_exception(intake: LocalIntake, logger: logging.Logger, humio: Factory) -> None:
    """As an object, the traceback is a member of its own beside the exception's type and message."""
    humio(event_format="object", attributes=())
    try:
        raise KeyError("admin")
    except KeyError as error:
        logger.exception("no such account")
        text = logging.Formatter().formatException((KeyError, error, error.__traceback__))
    assert {
        "message": "no such account",
        "exc_info": text,
        "exc_type": "KeyError",
        "exc_message": "'admin'",
    } == only(intake).event


# ---- extras


def test_nested_extras_become_dotted_names(intake: LocalIntake, logger: logging.Logger, humio: Factory) -> None:
    """Fields are flat, so what is nested gets dotted names; a dataclass is nested by its fields."""
    humio(attributes=())
    extra = {"user": {"id": 7, "address": {"city": "Paris"}}, "order": Order(1042, {"id": "c-7"})}
    logger.info("order placed", extra=extra)
    assert {
        "user.id": 7,
        "user.address.city": "Paris",
        "order.number": 1042,
        "order.customer.id": "c-7",
    } == only(intake).fields


def test_lists_are_readable(intake: LocalIntake, logger: logging.Logger, humio: Factory) -> None:
    """A list of scalars is one field that reads as JSON; objects in a list are numbered as LogScale numbers arrays."""
    humio(attributes=())
    extra = {
        "sizes": [640, 480],
        "names": ("é", "b"),
        "orders": [{"id": 1}, {"id": 2}],
        "empty": [],
        "mixed": [1, None, "a"],
    }
    logger.info("order placed", extra=extra)
    fields = only(intake).fields
    assert {"orders[0].id": 1, "orders[1].id": 2} == {
        name: fields.pop(name) for name in list(fields) if "orders" in name
    }
    assert {"sizes": [640, 480], "names": ["é", "b"], "empty": [], "mixed": [1, None, "a"]} == {
        name: json.loads(value) for name, value in fields.items()
    }
    assert "é" in fields["names"]


def test_none_is_left_out(intake: LocalIntake, logger: logging.Logger, humio: Factory) -> None:
    """A field that is None is absent, at any depth: strict servers refuse null."""
    humio(attributes=())
    logger.info("order placed", extra={"a": None, "b": {"c": None, "d": 1}})
    assert {"b.d": 1} == only(intake).fields


def test_values_are_sent_as_a_reader_expects(intake: LocalIntake, logger: logging.Logger, humio: Factory) -> None:
    """Common values that JSON does not know are sent as their usual text, numbers and booleans as such."""
    humio(attributes=())
    values = {
        "at": datetime.datetime(2026, 1, 31, 12, 0, 0, 5000, tzinfo=datetime.timezone.utc),
        "day": datetime.date(2026, 1, 31),
        "id": uuid.UUID(int=7),
        "price": decimal.Decimal("9.90"),
        "colour": Colour.RED,
        "raw": b"caf\xc3\xa9",
        "binary": b"\xff\x00",
        "error": KeyError("admin"),
        "ratio": 0.5,
        "paid": True,
    }
    logger.info("order placed", extra=values)
    assert {
        "at": "2026-01-31T12:00:00.005000+00:00",
        "day": "2026-01-31",
        "id": "00000000-0000-0000-0000-000000000007",
        "price": "9.90",
        "colour": "red",
        "raw": "café",
        "binary": "\\xff\x00",
        "error": "KeyError: 'admin'",
        "ratio": 0.5,
        "paid": True,
    } == only(intake).fields


def test_names_that_meet_when_flattened_are_both_kept(
    intake: LocalIntake, logger: logging.Logger, humio: Factory
) -> None:
    """`{"a.b": 1, "a": {"b": 2}}` has two values, and both arrive."""
    humio(attributes=())
    logger.info("order placed", extra={"a.b": 1, "a": {"b": 2}})
    assert [1, 2] == sorted(only(intake).fields.values())


@pytest.mark.parametrize("event_format", ["string", "object"])
def test_a_dict_message_is_structured(
    intake: LocalIntake, logger: logging.Logger, humio: Factory, event_format: str
) -> None:
    """A dict as the message is sent as members, and the message reads as JSON."""
    humio(attributes=(), event_format=event_format)
    logger.info({"order": 1042, "customer": {"id": 7}}, extra={"shard": 3})
    event = only(intake)
    assert {"order": 1042, "customer": {"id": 7}} == json.loads(event.message)
    if event_format == "string":
        assert {"order": 1042, "customer.id": 7, "shard": 3} == event.fields
    else:
        assert {"order": 1042, "customer": {"id": 7}, "shard": 3}.items() <= dict(event.event).items()


# ---- redaction

SECRETS = {
    "password": "hunter2",
    "form": {"PassWord": "hunter2", "name": "amelie"},
    "list": [{"password": "hunter2"}, [{"PASSWORD": {"deep": "hunter2"}}]],
    "headers": {"X-Api.Key": "hunter2", "x-trace": "7"},
    "x-api.key": "hunter2",
}


@pytest.mark.parametrize("formatter", [None, JsonFormatter()], ids=["none", "json"])
@pytest.mark.parametrize("as_message", [False, True], ids=["extra", "message"])
@pytest.mark.parametrize("event_format", ["string", "object"])
def test_redacted_names_are_never_sent(
    intake: LocalIntake,
    logger: logging.Logger,
    humio: Factory,
    event_format: str,
    as_message: bool,
    formatter: logging.Formatter | None,
) -> None:
    """A redacted name's value is nowhere in the event: any case, any depth, extras and dict messages, any format."""
    handler = humio(redact=("Password", "x-api.KEY"), event_format=event_format)
    handler.setFormatter(formatter)
    if as_message:
        logger.info(SECRETS)
    else:
        logger.info("signed in", extra=SECRETS)
    event = only(intake)
    assert "hunter2" not in repr(event)
    assert "[redacted]" in repr(event)
    assert "amelie" in repr(event)


def test_redacted_names_stay_as_fields(intake: LocalIntake, logger: logging.Logger, humio: Factory) -> None:
    """A redacted value is replaced, not left out: one sees that it was there."""
    humio(redact=("password",), attributes=())
    logger.info("signed in", extra={"form": {"password": "hunter2"}, "passwords": 3})
    assert {"form.password": "[redacted]", "passwords": 3} == only(intake).fields


def test_a_redacted_tag(intake: LocalIntake, logger: logging.Logger, humio: Factory) -> None:
    """An extra that is redacted is redacted as a tag as well."""
    humio(redact=("user",), tag_attributes=("User",))
    logger.info("signed in", extra={"User": "amelie"})
    assert {"User": "[redacted]"} == only(intake).tags


# ---- exceptions


class OutOfStockError(Exception):
    """An exception of the program's own."""


def test_exceptions_have_type_and_message_as_fields(
    intake: LocalIntake, logger: logging.Logger, humio: Factory
) -> None:
    """`exc_type` is written as tracebacks write it, `exc_message` is the text; with `attributes=()` too."""
    humio(attributes=())
    try:
        raise OutOfStockError("no mug left")
    except OutOfStockError:
        logger.exception("order lost")
    event = only(intake)
    assert {"exc_type": f"{__name__}.OutOfStockError", "exc_message": "no mug left"} == event.fields
    assert event.message.endswith(f"{__name__}.OutOfStockError: no mug left")
    assert event.message.startswith("order lost\nTraceback (most recent call last):\n")


def test_a_cached_traceback_is_sent(intake: LocalIntake, logger: logging.Logger, humio: Factory) -> None:
    """A record that came through a QueueHandler or a socket has its traceback as text only, and that is sent."""
    humio()
    logger.handle(make_record(msg="payment failed", exc_text="Traceback: far away"))
    assert "payment failed\nTraceback: far away" == only(intake).event


# ---- precedence


@pytest.mark.parametrize("event_format", ["string", "object"])
def test_the_extra_wins_then_the_static_field_then_the_attribute(
    intake: LocalIntake, logger: logging.Logger, humio: Factory, event_format: str
) -> None:
    """A name given twice has one documented winner: the extra, then the static field, then the attribute."""
    humio(
        event_format=event_format,
        host="web-1",
        attributes=("level", "module", "line"),
        fields={"level": "static", "module": "static", "rack": "static"},
    )
    logger.info("order placed", extra={"level": "extra", "rack": "extra", "host": "extra"})
    event = only(intake)
    members = list(event.event.items()) if isinstance(event.event, dict) else []
    sent = [*members, *event.fields.items()]
    expected = {"level": "extra", "module": "static", "rack": "extra", "host": "extra"}
    # Once: what a server would make of two values of one name is documented nowhere.
    assert {name: [value] for name, value in expected.items()} == {
        name: [value for given, value in sent if given == name] for name in expected
    }
    assert "web-1" == event.host
