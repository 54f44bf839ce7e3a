"""What was logged is what is sent, by way of the public handler, where short cuts for the usual record could differ.

The usual record is captured by what is known of its line, put without a lock, and encoded by a form. So each
test logs usual ones first, and from the same line, and then what is not usual.
"""

from __future__ import annotations

import datetime as dt
import enum
import gc
import logging
import subprocess
import sys
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from conftest import Factory, make_record

from loghttp import _capture
from loghttp.testing import LocalIntake, ReceivedEvent

FIELDS = ("level", "logger", "module", "function", "line", "process", "thread", "sequence")

Send = Callable[..., list[ReceivedEvent]]

# ---- helpers


@pytest.fixture(autouse=True)
def _nothing_known() -> None:
    """No line has been met before."""
    _capture._extras_at.clear()


@pytest.fixture
def send(intake: LocalIntake, humio: Factory) -> Send:
    """Hands records to a handler, and tells what has arrived of them."""

    def send(*records: logging.LogRecord, **options: Any) -> list[ReceivedEvent]:
        handler = humio(flush_interval=60, **options)
        for record in records:
            handler.handle(record)
        assert handler.flush(10.0)
        assert [""] * len(intake.requests) == [request.refusal for request in intake.requests]
        return list(intake.events)

    return send


def extras(event: ReceivedEvent) -> dict[str, Any]:
    return {name: value for name, value in event.fields.items() if name not in FIELDS}


def formatted(record: logging.LogRecord) -> logging.LogRecord:
    """As an earlier handler leaves it, with `message` on it."""
    logging.Formatter().format(record)
    return record


class Colour(str, enum.Enum):
    RED = "red"


class Safe(str):
    """Text that insists on its class, as Django's SafeString does."""

    __slots__ = ()

    def __str__(self) -> str:
        return self


# ---- many at a time


def test_a_storm_is_sent_as_it_was_logged(send: Send) -> None:
    """Stretches of one call site, which are written together, and whatever comes between them: each in its place."""
    stretches = {
        "order %d placed": (1, 300, {"basket": 7}),
        "order %d failed": (2, 40, {"exc_info": (ValueError, ValueError("no"), None)}),
        "order %d paid": (3, 150, {"price": 1.5, "by": 'vi\u00e9 "%s"'}),
        "\udc80 %d": (4, 20, {}),
        "order %d shipped": (5, 9, {"to": None}),
        "order %d returned": (6, 3, {"whole": True}),
        "order %d lost %s": (7, 20, {"words": "x" * 500}),
    }
    records = []
    for message, (line, number, attributes) in [*stretches.items(), *reversed(stretches.items())]:
        args: tuple[Any, ...] = ("or found",) if "%s" in message else ()
        records += [
            make_record(msg=message, args=(at, *args), lineno=line, levelno=logging.INFO, **attributes)
            for at in range(number)
        ]
    found = send(*records)
    assert [*range(1, len(records) + 1)] == [event.fields["sequence"] for event in found]
    for record, event in zip(records, found, strict=True):
        message = record.getMessage().replace("\udc80", "\\udc80")
        assert (message, record.created) == (str(event.event).partition("\n")[0], event.time)
        for name in {"basket", "price", "by", "whole", "words"} & vars(record).keys():
            assert vars(record)[name] == event.fields[name]
        assert (record.exc_info is None) == ("exc_type" not in event.fields)


def test_a_storm_of_errors_leaves_at_once(intake: LocalIntake, humio: Factory) -> None:
    """What is written together is as urgent as each of it, and nobody has to flush."""
    handler = humio(flush_interval=60)
    errors = [make_record(msg="order failed", levelno=logging.ERROR) for _ in range(52)]
    for number, record in enumerate(errors[:2], 1):  # the site becomes known
        handler.handle(record)
        intake.wait_for(number)
    with handler._books.lock:  # the listener finds all that come now, and takes them at a time
        for record in errors[2:]:
            handler.handle(record)
    assert 52 == len(intake.wait_for(52))


# ---- extras


def test_extras_that_change_a_moment_later(logger: logging.Logger, intake: LocalIntake, humio: Factory) -> None:
    """A usual record, and then from the same line a list, a dict and an object that change at once."""

    class Cart:
        total = 1

        def __str__(self) -> str:
            return f"cart of {self.total}"

    handler = humio(flush_interval=60)
    items, user, cart = ["pen"], {"id": 7}, Cart()
    for values in ((1, "ann", "cart"), (2, "bob", "cart"), (items, user, cart), (3, "eve", "cart")):
        logger.info("placed %s", cart, extra=dict(zip(("items", "user", "cart"), values, strict=True)))
        items.append("ink")
        user["id"] += 1
        cart.total += 1
    assert handler.flush(10.0)
    assert [
        {"items": 1, "user": "ann", "cart": "cart"},
        {"items": 2, "user": "bob", "cart": "cart"},
        {"items": '["pen","ink","ink"]', "user.id": 9, "cart": "cart of 3"},
        {"items": 3, "user": "eve", "cart": "cart"},
    ] == [extras(event) for event in intake.events]
    assert [f"placed cart of {number}" for number in (1, 2, 3, 4)] == [event.message for event in intake.events]


def test_two_call_sites_on_one_line_number(send: Send) -> None:
    """Files have the same line numbers: whichever was met first, each record has its own extras."""
    given: list[dict[str, Any]] = [{"a": 1}, {"b": 2}, {}, {"a": 3, "b": 4}, {"b": 5, "a": 6}, {"c": None}, {"a": "7"}]
    events = send(*[make_record(lineno=10, **some) for some in given * 3])
    assert [{name: value for name, value in some.items() if value is not None} for some in given * 3] == [
        extras(event) for event in events
    ]


def test_as_many_attributes_but_others(send: Send) -> None:
    """An earlier handler has formatted some records of a line, others have an extra more: all extras are sent."""
    sites: list[tuple[dict[str, Any], dict[str, Any]]] = [({}, {"a": 1}), ({"a": 1}, {"a": 1, "b": 2})]
    records, given = [], []
    for line, (fewer, more) in enumerate(sites):
        for some in (fewer, more, fewer):
            record = make_record(lineno=line, **some)
            records.append(record if some is more else formatted(record))
            given.append(some)
    assert given == [extras(event) for event in send(*records)]


@pytest.mark.parametrize("first", ["formatted", "lacking"])
def test_as_many_attributes_and_the_same_last_one(send: Send, first: str) -> None:
    """A filter of the handler adds the last extra, and other records of that line have one before it."""
    fewer = formatted(make_record(lineno=9)) if first == "formatted" else make_record(lineno=9)
    more = make_record(lineno=9, user=7) if first == "formatted" else lacking("module", lineno=9, user=7)
    fewer.request = more.request = "r-1"
    assert [{"request": "r-1"}, {"user": 7, "request": "r-1"}] == [extras(event) for event in send(fewer, more)]


def lacking(name: str, **attributes: Any) -> logging.LogRecord:
    record = make_record(**attributes)
    record.__dict__.pop(name, None)
    return record


def test_an_attribute_taken_away_for_an_extra(send: Send) -> None:
    """A filter takes a standard attribute away from the second record of a line, which has an extra more."""
    records = [make_record(lineno=5, a=1), lacking("processName", lineno=5, a=1, b=2), make_record(lineno=5, a=1)]
    assert [{"a": 1}, {"a": 1, "b": 2}, {"a": 1}] == [extras(event) for event in send(*records)]


def test_numbers_have_no_gap(send: Send) -> None:
    """Records of all kinds are numbered in one row, whichever way they are captured."""
    kinds: list[dict[str, Any]] = [{}, {"items": [1]}, {"msg": "%d", "args": ("x",)}, {"msg": "x" * 5_000}, {"n": 1}]
    records = [make_record(**kind) for kind in kinds * 3]
    assert list(range(1, 16)) == [event.fields["sequence"] for event in send(*records)]


# ---- attributes


@pytest.mark.parametrize(
    "missing",
    [
        *("name", "levelname", "levelno", "pathname", "filename", "module", "exc_text", "stack_info", "funcName"),
        *("created", "msecs", "relativeCreated", "thread", "threadName", "processName", "process"),
        "lineno",
    ],
)
def test_a_record_that_lacks_an_attribute_is_sent_without_it(send: Send, missing: str) -> None:
    """Among usual records of the same line, one that lacks something is sent without it, and with its extras."""
    usual = [make_record(lineno=3, user="ann") for _ in range(3)]
    odd = make_record(lineno=3, user="bob")
    del odd.__dict__[missing]
    if missing == "name":  # `logging` and loghttp's own filter ask for it, and so it is lost, and counted
        odd.name = "shop.orders"
    events = send(*usual, odd, *usual)
    assert ["ann"] * 3 + ["bob"] + ["ann"] * 3 == [event.fields["user"] for event in events]


@pytest.mark.parametrize(
    ("attributes", "sent"),
    [
        ({"lineno": True}, {"line": True}),
        ({"lineno": 1.0}, {"line": 1}),
        ({"lineno": "1"}, {"line": "1"}),
        ({"lineno": None}, {}),
        ({"lineno": [1]}, {"line": "[1]"}),
        ({"levelname": Colour.RED}, {"level": "red"}),
        ({"threadName": Safe("main")}, {"thread": "main"}),
        ({"funcName": b"place"}, {"function": "place"}),
    ],
    ids=repr,
)
def test_attributes_of_odd_types(send: Send, attributes: dict[str, Any], sent: dict[str, Any]) -> None:
    """A line number of True, text of a class of its own: each as it is, in the first such record and in the next."""
    usual = {"lineno": 2, "threadName": "main", "user": "ann"}
    records = [make_record(**{**usual, **some}) for some in ({}, attributes, attributes, {}, attributes)]
    events = send(*records)
    for event, odd in zip(events, (False, True, True, False, True), strict=True):
        expected = sent if odd else {"line": 2, "thread": "main"}
        assert {**expected} == {name: event.fields[name] for name in expected}
        assert ("line" in event.fields) is (not odd or attributes.get("lineno", 2) is not None)
        assert "ann" == event.fields["user"]


# ---- messages


def test_args_of_any_kind_from_one_line(logger: logging.Logger, intake: LocalIntake, humio: Factory) -> None:
    """Usual args, a mapping, text of a class of its own, args that do not fit: each message as `logging` makes it."""
    handler = humio(flush_interval=60)
    calls: list[tuple[Any, ...]] = [
        ("order %s", 1),
        ("order %s", "two"),
        ("order %(number)s", {"number": 3}),
        ("order %s", Safe("<4>")),
        ("%s", Safe("<5>")),
        ("%s", Safe("<6>")),
        (Safe("order %s"), 7),
        ("100 %",),
        ("%s and %s", 1),
        ("",),
        (Colour.RED,),
        (8.5,),
        ("%d", dt.timedelta),
    ]
    for call in calls:
        logger.info(*call)
    assert handler.flush(10.0)
    messages = [event.message for event in intake.events]
    expected = ["order 1", "order two", "order 3", "order <4>", "<5>", "<6>", "order 7", "100 %"]
    assert expected == messages[:8]
    assert "%s and %s" in messages[8]
    assert ["(empty message)", str(Colour.RED), "8.5"] == messages[9:12]
    assert "%d" in messages[12]


@pytest.mark.parametrize("where", ["message", "extra"])
def test_what_has_to_be_changed_says_so_among_usual_ones(send: Send, where: str) -> None:
    """A lone surrogate among records that a form encodes: it is changed and marked, the others are not."""
    texts = ["a", "b", "c\udc80", "d"]
    events = send(*[make_record(**{"msg" if where == "message" else "user": text}) for text in texts])
    got = [event.message if where == "message" else event.fields["user"] for event in events]
    assert ["a", "b", "c\\udc80", "d"] == got
    name = "message" if where == "message" else "user"
    assert [None, None, name, None] == [event.fields.get("loghttp_changed") for event in events]


# ---- records of other makes


@pytest.fixture
def record_factory() -> Iterator[Callable[[Any], None]]:
    before = logging.getLogRecordFactory()
    yield logging.setLogRecordFactory
    logging.setLogRecordFactory(before)


def test_records_of_a_subclass(
    logger: logging.Logger, intake: LocalIntake, humio: Factory, record_factory: Callable[[Any], None]
) -> None:
    """A record class of the program's own forms its messages, and its attributes are extras."""

    class Brace(logging.LogRecord):
        def __init__(self, *args: Any, **kwargs: Any) -> None:
            self.request = "r-1"  # before the standard ones
            super().__init__(*args, **kwargs)
            self.tenant = "t-1"

        def getMessage(self) -> str:
            return str(self.msg).format(*self.args or ())

    handler = humio(flush_interval=60)
    for number in range(4):
        record_factory(Brace if number % 2 else logging.LogRecord)
        logger.info("order {}" if number % 2 else "order %s", number, extra={"n": number})
    assert handler.flush(10.0)
    assert [f"order {number}" for number in range(4)] == [event.message for event in intake.events]
    theirs = {"request": "r-1", "tenant": "t-1"}
    assert [{"n": 0}, {**theirs, "n": 1}, {"n": 2}, {**theirs, "n": 3}] == [extras(event) for event in intake.events]


EARLY = """
import logging

class Record(logging.LogRecord):
    def __init__(self, name, *args, **kwargs):
        super().__init__(name, *args, **kwargs)
        self.app = name.split(".")[0]

logging.setLogRecordFactory(Record)
from loghttp._capture import capture
print(*capture(Record("shop.orders", 20, "p", 1, "m", (), None)).extras)
"""


def test_a_record_factory_that_was_there_before() -> None:
    """loghttp is imported after the program has set its record factory: what that adds are extras all the same."""
    ended = subprocess.run([sys.executable, "-c", EARLY], capture_output=True, text=True, timeout=30, check=False)
    assert (0, "app\n", "") == (ended.returncode, ended.stdout, ended.stderr)


def test_a_filter_that_gives_a_record_a_message_of_its_own(send: Send) -> None:
    """A program may replace `getMessage` on one record, to hide a password: what it says is sent, and no more."""
    secret = make_record(msg="password %s", args=("hunter2",))
    secret.getMessage = lambda: "password ***"  # type: ignore[method-assign]
    events = send(make_record(msg="password %s", args=("none",)), secret)
    assert ["password none", "password ***"] == [event.message for event in events]
    assert [{}, {}] == [extras(event) for event in events]


@pytest.mark.skipif(sys.version_info < (3, 12), reason="taskName came with Python 3.12")
def test_a_task_s_name_is_sent_on_request(send: Send) -> None:
    """taskName is a standard attribute and no extra; a record from an older Python lacks it."""
    records = [make_record(taskName="t-1"), make_record(taskName="t-1"), lacking("taskName"), make_record(user=1)]
    events = send(*records, attributes=("taskName",))
    assert ["t-1", "t-1", None, None] == [event.fields.get("taskName") for event in events]
    assert [None, None, None, 1] == [event.fields.get("user") for event in events]


# ---- garbage


def test_a_del_that_logs_while_others_are_captured(logger: logging.Logger, intake: LocalIntake, humio: Factory) -> None:
    """Garbage is collected at any allocation, so its last words are logged in the middle of our own steps."""
    handler = humio(flush_interval=60)

    class Talkative:
        def __init__(self, number: int) -> None:
            self.number, self.cycle = number, self

        def __del__(self) -> None:
            logger.info("gone %d", self.number, extra={"number": self.number})

    before = gc.get_threshold()
    gc.set_threshold(5, 2, 2)
    try:
        for number in range(100):
            Talkative(number)
            logger.info("made %d", number, extra={"number": number, "list": [number]} if number % 2 else {})
    finally:
        gc.set_threshold(*before)
    gc.collect()
    assert handler.flush(10.0)
    messages = [event.message for event in intake.events]
    assert sorted(f"{what} {number}" for what in ("made", "gone") for number in range(100)) == sorted(messages)
    for event in intake.events:
        what, number = event.message.split()
        if what == "gone" or int(number) % 2:
            assert int(number) == event.fields["number"]
    assert list(range(1, 201)) == sorted(event.fields["sequence"] for event in intake.events)
