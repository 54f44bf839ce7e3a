"""Formatters and filters follow logging's habit: what each makes of an event, on which thread, and when they raise."""

from __future__ import annotations

import collections
import contextvars
import json
import logging
import logging.config
import math
import sys
import threading
import time
from collections.abc import Callable, Iterator
from inspect import signature
from typing import Any

import pytest
from conftest import Factory, make_record, wait_until
from pythonjsonlogger.core import BaseJsonFormatter
from pythonjsonlogger.json import JsonFormatter

import loghttp
from loghttp.testing import LocalIntake, ReceivedEvent

CREATED = 1617643991.25
KINDS = [loghttp.HumioHECHandler, loghttp.SekoiaHandler]

request_id: contextvars.ContextVar[str] = contextvars.ContextVar("request_id", default="no request")
local = threading.local()


@pytest.fixture(params=KINDS, ids=lambda kind: kind.__name__)
def handler(request: pytest.FixtureRequest, open_handler: Factory) -> Any:
    """A handler of each kind."""
    return open_handler(request.param)


@pytest.fixture
def errors(handler: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[logging.LogRecord]]:
    """The records that `handleError` was called with, instead of its lines on stderr."""
    seen: list[logging.LogRecord] = []
    monkeypatch.setattr(type(handler), "handleError", lambda self, record: seen.append(record))
    return seen  # type: ignore[return-value]


def only(intake: LocalIntake) -> ReceivedEvent:
    """The one event that arrived; nothing was refused."""
    [event] = intake.wait_for(1)
    assert [""] == [request.refusal for request in intake.requests]
    return event


def document(event: ReceivedEvent) -> Any:
    """What the formatter wrote; SEKOIA.IO's `/batch`, which has no place for a time, is told it by `@timestamp`."""
    if event.dialect == "hec" or not isinstance(event.event, dict):
        return event.event
    return {name: value for name, value in event.event.items() if name != "@timestamp"}


# ---- what becomes of the result


@pytest.mark.parametrize("event_format", ["string", "object"])
def test_a_text_formatter_makes_the_hec_event_string(
    intake: LocalIntake, logger: logging.Logger, humio: Factory, event_format: str
) -> None:
    """A text formatter's result is the HEC `event` string; tags, fields and the event's time apply as ever."""
    handler = humio(tags={"env": "prod"}, fields={"rack": 7}, event_format=event_format)
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s", "%Y"))
    logger.handle(make_record(created=CREATED))
    event = only(intake)
    assert ("2021 INFO order placed", CREATED) == (event.event, event.time)
    assert {"#env": "prod", "rack": 7}.items() <= event.fields.items()


def test_a_text_formatter_makes_sekoias_plain_text(
    intake: LocalIntake, logger: logging.Logger, sekoia: Factory
) -> None:
    """A text formatter's result is SEKOIA.IO's plain-text event, traceback included as logging does."""
    handler = sekoia()
    handler.setFormatter(logging.Formatter("%(levelname)s %(message)s"))
    try:
        raise KeyError("admin")
    except KeyError as error:
        logger.exception("no such account")
        text = logging.Formatter().formatException((KeyError, error, error.__traceback__))
    assert f"ERROR no such account\n{text}" == only(intake).event


@pytest.mark.parametrize("style", ["%", "{", "$"])
def test_a_formatter_sees_what_it_would_see_elsewhere(
    intake: LocalIntake, logger: logging.Logger, handler: Any, style: str
) -> None:
    """A text formatter's result is, to the letter, what a StreamHandler would have written."""
    fields = ["asctime", "created", "msecs", "levelname", "levelno", "name", "pathname", "filename", "module"]
    fields += ["funcName", "lineno", "process", "processName", "thread", "threadName", "message", "order", "listed"]
    shape = {"%": "%({})s", "{": "{{{}}}", "$": "${{{}}}"}[style]
    formatter = logging.Formatter(" | ".join(shape.format(name) for name in fields), style=style)
    written: list[str] = []

    class Elsewhere(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            written.append(self.format(record))

    handler.setFormatter(formatter)
    elsewhere = Elsewhere()
    elsewhere.setFormatter(formatter)
    logger.addHandler(elsewhere)  # after ours: what ours did to the record would show
    try:
        raise ValueError("no")
    except ValueError:
        logger.exception("order %d", 1042, extra={"order": "x", "listed": [1, "a"]}, stack_info=True)
    assert written == [only(intake).event]


def test_a_json_formatter_makes_the_hec_event_object(
    intake: LocalIntake, logger: logging.Logger, humio: Factory
) -> None:
    """A python-json-logger formatter's document is the HEC `event` object; `fields` holds static fields and tags."""
    handler = humio(tags={"env": "prod"}, fields={"rack": 7}, tag_attributes=("levelname",))
    handler.setFormatter(JsonFormatter("%(levelname)s %(message)s"))
    logger.handle(make_record(created=CREATED, order=1042, user={"id": 7}))
    event = only(intake)
    assert {"levelname": "INFO", "message": "order placed", "order": 1042, "user": {"id": 7}} == event.event
    assert ({"#env": "prod", "rack": 7, "#levelname": "INFO"}, CREATED) == (event.fields, event.time)


def test_a_json_formatter_makes_sekoias_quoted_json(
    intake: LocalIntake, logger: logging.Logger, sekoia: Factory
) -> None:
    """A python-json-logger formatter's document is SEKOIA.IO's quoted JSON, with the static fields."""
    handler = sekoia(fields={"rack": 7, "message": "static"})
    handler.setFormatter(JsonFormatter("%(levelname)s %(message)s"))
    logger.info("order placed", extra={"order": 1042})
    expected = {"levelname": "INFO", "message": "order placed", "order": 1042, "rack": 7}
    assert expected == document(only(intake))


JSON_FORMATTERS: dict[str, Callable[[], logging.Formatter]] = {
    "rename_fields": lambda: JsonFormatter(
        "%(levelname)s %(message)s %(name)s", rename_fields={"levelname": "severity", "message": "text"}
    ),
    "timestamp": lambda: JsonFormatter(timestamp=True),
    "timestamp named": lambda: JsonFormatter(timestamp="when"),
    "exc_info_as_array": lambda: JsonFormatter(exc_info_as_array=True),
    "stack_info_as_array": lambda: JsonFormatter(stack_info_as_array=True),
    "static_fields": lambda: JsonFormatter(static_fields={"service": "shop"}),
    "defaults": lambda: JsonFormatter(defaults={"service": "shop"}),
    "asctime": lambda: JsonFormatter("%(asctime)s %(message)s", datefmt="%Y-%m"),
    "brace": lambda: JsonFormatter("{message}{lineno}", style="{"),
    "indent": lambda: JsonFormatter(json_indent=2),
    "reserved": lambda: JsonFormatter(reserved_attrs=["message"]),
    "ensure_ascii": lambda: JsonFormatter(json_ensure_ascii=False),
}


@pytest.mark.parametrize("option", list(JSON_FORMATTERS))
def test_json_formatters_options_work(intake: LocalIntake, logger: logging.Logger, handler: Any, option: str) -> None:
    """Each option of python-json-logger has the effect that it has on any other handler."""
    if option.endswith("_as_array") and option not in signature(BaseJsonFormatter).parameters:
        pytest.skip("this python-json-logger does not have it yet")
    formatter = JSON_FORMATTERS[option]()
    handler.setFormatter(formatter)
    try:
        raise KeyError("admin")
    except KeyError:
        record = make_record(
            msg="café %s",
            args=("open",),
            created=CREATED,
            order=1042,
            exc_info=sys.exc_info(),
            stack_info="Stack (most recent call last):\n  File",
        )
    logger.handle(record)
    event = document(only(intake))
    expected = json.loads(formatter.format(record))
    if option == "reserved":  # it names every attribute; what logging keeps for its own use is not promised
        expected, event = ({name: found[name] for name in ("order", "levelname")} for found in (expected, dict(event)))
    assert expected == event


def test_json_formatter_with_a_prefix(intake: LocalIntake, logger: logging.Logger, handler: Any) -> None:
    """With `prefix=` the result is no JSON any more, and is sent as the text it is."""
    handler.setFormatter(JsonFormatter(prefix="shop: "))
    logger.info("order placed", extra={"order": 1042})
    event = only(intake).event
    assert isinstance(event, str)
    assert {"message": "order placed", "order": 1042} == json.loads(event.removeprefix("shop: "))


@pytest.mark.parametrize("make", [dict, collections.OrderedDict, lambda items: collections.defaultdict(str, items)])
def test_json_formatter_with_a_dict_message(
    intake: LocalIntake, logger: logging.Logger, handler: Any, make: Callable[[Any], dict[str, Any]]
) -> None:
    """A dict as the message, of whatever class, is merged into the document, as python-json-logger does."""
    formatter = JsonFormatter("%(levelname)s")
    handler.setFormatter(formatter)
    record = make_record(msg=make({"order": 1042, "user": {"id": 7}}))
    logger.handle(record)
    assert json.loads(formatter.format(record)) == document(only(intake))


@pytest.mark.parametrize("endpoint", ["/batch", "/array", "/"])
def test_a_json_formatters_own_timestamp_stays(
    intake: LocalIntake, logger: logging.Logger, sekoia: Factory, endpoint: str
) -> None:
    """A document with an `@timestamp` of its own is left alone; else the record's time is beside or in it."""
    handler = sekoia(endpoint=endpoint)
    handler.setFormatter(JsonFormatter("%(message)s"))
    logger.handle(make_record(created=CREATED))
    logger.handle(make_record(created=CREATED, **{"@timestamp": "own"}))
    assert handler.flush(30) is True
    first, second = intake.events
    if endpoint == "/batch":
        assert "2021-04-05T17:33:11.250000+00:00" == dict(first.event)["@timestamp"]
    else:
        assert CREATED == first.time
    assert {"message": "order placed", "@timestamp": "own"} == second.event


@pytest.mark.parametrize("kind", KINDS)
def test_what_a_json_formatter_writes_is_made_strict(
    intake: LocalIntake, logger: logging.Logger, open_handler: Factory, kind: type[Any]
) -> None:
    """NaN, a lone surrogate and a huge integer in a formatter's document are sent as text, and named."""
    handler = open_handler(kind)
    handler.setFormatter(JsonFormatter())
    logger.info("order placed", extra={"ratio": math.nan, "label": "\ud800", "number": 2**70})
    event = only(intake)
    found = document(event)
    changed = event.fields.get("loghttp_changed") or found.pop("loghttp_changed", "")
    expected = {"message": "order placed", "ratio": "NaN", "label": "\\ud800", "number": str(2**70)}
    assert expected == found
    assert {"ratio", "label", "number"} == set(changed.split(", "))


@pytest.mark.parametrize("text", ["", " ", "\n"])
def test_a_formatter_that_makes_nothing(intake: LocalIntake, logger: logging.Logger, handler: Any, text: str) -> None:
    """An empty result, which strict servers refuse for the whole batch, arrives as one that says so."""
    handler.setFormatter(logging.Formatter(text or "%(nothing)s", defaults={"nothing": ""}, validate=False))
    logger.info("order placed")
    assert "(empty message)" == only(intake).event


@pytest.mark.parametrize("args", [("x",), ([],), ("a", "b")])
def test_arguments_that_do_not_fit_arrive_with_a_plain_formatter(
    intake: LocalIntake, logger: logging.Logger, handler: Any, errors: list[Any], args: tuple[Any, ...]
) -> None:
    """A bad `%` format is no fault of the formatter: with a plain one the record arrives as it does with none."""
    handler.setFormatter(logging.Formatter("%(levelname)s %(message)s"))
    logger.info("%d", *args)
    assert handler.flush(30) is True
    assert only(intake).message.startswith(f"INFO %d <args {args} do not fit: ")


# ---- how one is set


def by_method(handler: Any, formatter: logging.Formatter | None) -> None:
    handler.setFormatter(formatter)


def by_attribute(handler: Any, formatter: logging.Formatter | None) -> None:
    handler.formatter = formatter


@pytest.mark.parametrize("put", [by_method, by_attribute])
def test_a_formatter_may_be_set_changed_and_removed(
    intake: LocalIntake, logger: logging.Logger, handler: Any, put: Callable[..., None]
) -> None:
    """Each record is formatted by the formatter that was set when it was logged."""
    one, other = logging.Formatter("one %(message)s"), logging.Formatter("other %(message)s")
    for formatter in (one, other, None):
        put(handler, formatter)
        assert formatter is handler.formatter
        logger.info("order placed")
    assert handler.flush(30) is True
    assert ["one order placed", "other order placed", "order placed"] == [event.message for event in intake.events]


def test_basic_config_chooses_no_formatter(
    intake: LocalIntake, humio: Factory, sekoia: Factory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`logging.basicConfig` gives each handler without a formatter its own text format: here, that is none."""
    root, handlers = logging.getLogger(), [humio(), sekoia()]
    level = root.level
    monkeypatch.setattr(root, "handlers", [])
    try:
        logging.basicConfig(level=logging.INFO, handlers=handlers)
        logging.getLogger("shop").warning("x", extra={"user": {"id": 7}})
    finally:
        root.setLevel(level)
    assert [True, True] == [handler.flush(30) for handler in handlers]
    events = {event.dialect: event for event in intake.wait_for(2)}
    assert ("x", 7) == (events["hec"].event, events["hec"].fields["user.id"])
    assert ("x", {"id": 7}) == (document(events["sekoia"])["message"], document(events["sekoia"])["user"])


@pytest.mark.parametrize("kind", KINDS)
def test_a_formatter_set_by_dict_config(intake: LocalIntake, kind: type[Any]) -> None:
    """`dictConfig` sets a formatter by name, as on any handler."""
    secret = {"token": intake.token} if kind is loghttp.HumioHECHandler else {"intake_key": intake.intake_key}
    handler = {"class": f"loghttp.{kind.__name__}", "url": intake.url, "formatter": "short", **secret}
    try:
        logging.config.dictConfig(
            {
                "version": 1,
                "disable_existing_loggers": False,
                "formatters": {"short": {"format": "short %(message)s"}},
                "handlers": {"intake": handler},
                "loggers": {"test_formatters.dict_config": {"handlers": ["intake"], "level": "INFO"}},
            }
        )
        logging.getLogger("test_formatters.dict_config").error("order placed")
        assert "short order placed" == only(intake).event
    finally:
        for made in logging.getLogger("test_formatters.dict_config").handlers[:]:
            logging.getLogger("test_formatters.dict_config").removeHandler(made)
            made.close()


# ---- on which thread


class Requesting(logging.Formatter):
    """A user's own formatter, like Flask's documented RequestFormatter: it reads what the calling thread knows."""

    def format(self, record: logging.LogRecord) -> str:
        record.where = f"{threading.get_ident()} {request_id.get()} {getattr(local, 'user', 'nobody')}"
        return super().format(record)


class RequestingJson(JsonFormatter):
    """The same of python-json-logger's."""

    def process_log_record(self, log_data: dict[str, Any]) -> dict[str, Any]:
        log_data["where"] = f"{threading.get_ident()} {request_id.get()} {getattr(local, 'user', 'nobody')}"
        return log_data


@pytest.mark.parametrize("kind", [Requesting, RequestingJson])
def test_a_users_own_formatter_runs_on_the_calling_thread(
    intake: LocalIntake, logger: logging.Logger, handler: Any, kind: type[Any]
) -> None:
    """A user's subclass may read thread-locals and context variables: it runs where they are."""
    handler.setFormatter(kind("%(where)s" if kind is Requesting else "%(message)s"))
    idents: list[int] = []

    def work() -> None:
        request_id.set("r-7")
        local.user = "amelie"
        idents.append(threading.get_ident())
        logger.info("order placed")

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    event = only(intake).event
    where = event["where"] if isinstance(event, dict) else event
    assert f"{idents[0]} r-7 amelie" == where


@pytest.mark.parametrize("kind", [logging.Formatter, JsonFormatter])
def test_well_known_formatters_run_on_the_listeners_thread(
    intake: LocalIntake, logger: logging.Logger, handler: Any, kind: type[Any]
) -> None:
    """logging's and python-json-logger's own classes cost the calling thread nothing: they run on another."""
    idents: list[int] = []

    def converter(seconds: float | None) -> time.struct_time:
        idents.append(threading.get_ident())
        return time.gmtime(seconds)

    formatter = kind("%(asctime)s %(message)s")
    formatter.converter = converter  # both call it for `asctime`
    handler.setFormatter(formatter)
    logger.info("order placed")
    only(intake)
    assert 1 == len(idents)
    assert threading.get_ident() != idents[0]


# ---- filters


def test_filters_run_on_the_calling_thread(intake: LocalIntake, logger: logging.Logger, handler: Any) -> None:
    """A filter may add what the calling thread knows, and what it says no to is in no book."""
    idents: list[int] = []

    def only_orders(record: logging.LogRecord) -> bool:
        idents.append(threading.get_ident())
        record.tenant = "t-7"
        return "order" in record.getMessage()

    handler.addFilter(only_orders)
    assert [False, True] == [bool(handler.handle(make_record(msg=message))) for message in ("noise", "order placed")]
    event = only(intake)
    assert [threading.get_ident()] * 2 == idents
    assert "t-7" == {**event.fields, **(event.event if isinstance(event.event, dict) else {})}["tenant"]
    assert 1 == handler.stats().accepted


def test_a_filter_that_was_removed_runs_no_more(intake: LocalIntake, logger: logging.Logger, handler: Any) -> None:
    """`removeFilter` works as on any handler."""
    nothing = logging.Filter("nowhere")
    handler.addFilter(nothing)
    logger.info("first")
    handler.removeFilter(nothing)
    logger.info("second")
    assert "second" == only(intake).message


@pytest.mark.skipif(sys.version_info < (3, 12), reason="since Python 3.12 a filter may return a record")
def test_a_filter_may_replace_the_record(intake: LocalIntake, logger: logging.Logger, handler: Any) -> None:
    """Since 3.12 the record that a filter returns is sent in place of the one that was logged."""
    handler.addFilter(lambda record: make_record(msg=f"replaced {record.getMessage()}", created=CREATED))
    logger.info("order placed")
    assert "replaced order placed" == only(intake).message


# ---- when they raise


class Broken(logging.Formatter):
    """A user's own formatter that cannot do it, on the calling thread."""

    def format(self, record: logging.LogRecord) -> str:
        if record.msg == "bad":
            raise RuntimeError("formatter")
        return super().format(record)


class BrokenJson(JsonFormatter):
    """The same of python-json-logger's."""

    def process_log_record(self, log_data: dict[str, Any]) -> dict[str, Any]:
        if log_data["message"] == "bad":
            raise RuntimeError("formatter")
        return log_data


RAISING: dict[str, Callable[[], logging.Formatter]] = {
    "own": Broken,
    "own json": BrokenJson,
    # These two run on the listener's thread: a field that "bad" records lack, an object that is not serialized.
    "text": lambda: logging.Formatter("%(message)s %(order)s"),
    "json": lambda: JsonFormatter("%(message)s %(order)s", json_serializer=picky_serializer),
}


def picky_serializer(document: dict[str, Any], **_: Any) -> str:
    if document["message"] == "bad":
        raise RuntimeError("formatter")
    return json.dumps(document)


@pytest.mark.parametrize("name", list(RAISING))
def test_a_formatter_that_raises(
    intake: LocalIntake, logger: logging.Logger, handler: Any, errors: list[logging.LogRecord], name: str
) -> None:
    """A formatter that raises: `handleError` is called with the record, which is counted; the next ones arrive."""
    handler.setFormatter(RAISING[name]())
    logger.info("good", extra={"order": 1})
    logger.info("bad")
    logger.info("good", extra={"order": 2})
    assert handler.flush(30) is True
    wait_until(lambda: handler.stats().dropped)
    stats = handler.stats()
    assert (3, 2, 0, {"encoding": 1}) == (stats.accepted, stats.delivered, stats.pending, dict(stats.dropped))
    assert ["bad"] == [record.getMessage() for record in errors]
    assert 2 == len([event for event in intake.events if event.message.startswith("good")])


@pytest.mark.parametrize("name", ["own", "text"])
def test_handle_error_says_on_stderr_what_logging_says(
    intake: LocalIntake, logger: logging.Logger, handler: Any, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    """The default `handleError` prints the formatter's traceback on stderr, as with any handler."""
    handler.setFormatter(RAISING[name]())
    logger.info("bad")
    assert handler.flush(30) is True
    said = capsys.readouterr().err
    assert said.startswith("--- Logging error ---")
    assert "Message: 'bad'" in said


@pytest.mark.parametrize("name", list(RAISING))
def test_a_handle_error_that_raises_does_not_upset_the_books(
    intake: LocalIntake, logger: logging.Logger, handler: Any, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """A user's `handleError` may raise, as in many test suites: the record is counted once, and delivery goes on."""

    def fail(self: logging.Handler, record: logging.LogRecord) -> None:
        raise AssertionError("a log record could not be handled")

    monkeypatch.setattr(type(handler), "handleError", fail)
    handler.setFormatter(RAISING[name]())
    logger.info("bad")  # nothing is raised into the program, whichever thread the formatter runs on
    logger.info("good", extra={"order": 2})
    assert handler.flush(30) is True
    stats = handler.stats()
    assert (2, 1, 0, {"encoding": 1}) == (stats.accepted, stats.delivered, stats.pending, dict(stats.dropped))


@pytest.mark.parametrize("result", [None, b"bytes", {"a": 1}, 7], ids=repr)
def test_a_formatter_whose_result_is_no_text(
    intake: LocalIntake, logger: logging.Logger, handler: Any, errors: list[logging.LogRecord], result: Any
) -> None:
    """A result that is no text is the formatter's fault, and is told as such; the next record arrives."""

    class Odd(logging.Formatter):
        def format(self, record: logging.LogRecord) -> str:
            return result if record.msg == "bad" else super().format(record)  # type: ignore[no-any-return]

    handler.setFormatter(Odd())
    logger.info("bad")
    logger.info("good")
    assert handler.flush(30) is True
    assert ["bad"] == [record.getMessage() for record in errors]
    assert {"encoding": 1} == dict(handler.stats().dropped)
    assert "good" in [event.message for event in intake.events]


def test_a_filter_that_raises(
    intake: LocalIntake, logger: logging.Logger, handler: Any, errors: list[logging.LogRecord]
) -> None:
    """A filter that raises: `handleError` is called with the record, which is counted; the next ones arrive."""

    def fussy(record: logging.LogRecord) -> bool:
        if record.msg == "bad":
            raise RuntimeError("filter")
        return True

    handler.addFilter(fussy)
    logger.info("bad")
    logger.info("good")
    assert handler.flush(30) is True
    stats = handler.stats()
    assert (2, 1, {"encoding": 1}) == (stats.accepted, stats.delivered, dict(stats.dropped))
    assert ["bad"] == [record.getMessage() for record in errors]
    assert "good" in [event.message for event in intake.events]


def test_lost_records_are_told_to_the_intake(
    intake: LocalIntake, logger: logging.Logger, handler: Any, errors: list[logging.LogRecord]
) -> None:
    """What a formatter lost is told to the intake by one event: how many records, and why."""
    handler.setFormatter(Broken())
    for _ in range(3):
        logger.info("bad")
    logger.info("good")
    events = intake.wait_for(2)
    assert "good" == events[0].message
    assert "3 records lost (3 encoding)" in events[1].message


def test_a_formatter_that_logs_does_not_lock_up(intake: LocalIntake, logger: logging.Logger, handler: Any) -> None:
    """A formatter that logs to the same logger, once, loses nothing and blocks nobody."""

    class Chatty(logging.Formatter):
        def format(self, record: logging.LogRecord) -> str:
            if record.msg == "order placed":
                logger.info("I am formatting")
            return super().format(record)

    handler.setFormatter(Chatty())
    logger.info("order placed")
    assert handler.flush(30) is True
    assert ["I am formatting", "order placed"] == [event.message for event in intake.events]
