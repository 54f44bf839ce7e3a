"""Whatever is logged, nothing is raised, nothing is said on stderr, and a strict intake takes every record.

The scars behind it: one bad record made every batching peer lose the 99 good ones beside it; NaN in an extra blocked
one's delivery for ever; a lone surrogate silently lost a batch in another; a bad `%` format, a tuple as a key or a huge
integer raised into the program in six (loki-logger-handler#25, splunk-otel-collector-chart#696).
"""

from __future__ import annotations

import builtins
import collections
import contextlib
import dataclasses
import datetime
import decimal
import enum
import fractions
import io
import logging
import math
import os
import sys
import threading
import types
import uuid
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import pytest
from cases import each
from conftest import Factory, Handler, make_record
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from pythonjsonlogger.json import JsonFormatter

import loghttp
from loghttp.testing import LocalIntake, ReceivedEvent

KINDS = {
    "hec-string": (loghttp.HumioHECHandler, {}),
    "hec-object": (loghttp.HumioHECHandler, {"event_format": "object"}),
    "hec-tags": (loghttp.HumioHECHandler, {"tag_attributes": ("time", "user", "level"), "redact": ("host",)}),
    "sekoia-batch": (loghttp.SekoiaHandler, {}),
    "sekoia-array": (loghttp.SekoiaHandler, {"endpoint": "/array", "redact": ("host",)}),
}

# One intake and one handler serve many examples, so the settings look at behaviour and not at the clock.
hostile = settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.large_base_example],
)


# ---- what a program may log


class Unprintable:
    """Neither `str` nor `repr` of it works."""

    def __str__(self) -> str:
        raise ValueError("no text for you")

    __repr__ = __str__


class Moody:
    """Nothing of it works that a curious library might try."""

    def __getattribute__(self, name: str) -> Any:
        raise RuntimeError(name)

    def __str__(self) -> str:
        raise RuntimeError("str")

    def __bool__(self) -> bool:
        raise RuntimeError("bool")

    def __eq__(self, other: object) -> bool:
        raise RuntimeError("eq")

    __hash__ = object.__hash__
    __repr__ = __str__


class Endless:
    """Its `repr` never comes to an end."""

    def __repr__(self) -> str:
        return repr([self])


class OddText(str):
    """Text whose methods lie or raise."""

    __slots__ = ()

    def __str__(self) -> str:
        raise RuntimeError("str")

    def encode(self, *_: Any) -> bytes:
        raise RuntimeError("encode")

    def isascii(self) -> bool:
        raise RuntimeError("isascii")


class OddInteger(int):
    """A number that does not convert."""

    def __int__(self) -> int:
        raise RuntimeError("int")

    __index__ = __int__

    def __str__(self) -> str:
        raise RuntimeError("str")

    __repr__ = __str__


class OddDict(dict):  # type: ignore[type-arg]
    """A dict that cannot be read."""

    def items(self) -> Any:
        raise RuntimeError("items")

    __iter__ = keys = items


class OddList(list):  # type: ignore[type-arg]
    """A list that cannot be read."""

    def __iter__(self) -> Any:
        raise RuntimeError("iter")


class OddZone(datetime.tzinfo):
    """A time zone that fails when it is asked."""

    def utcoffset(self, when: datetime.datetime | None) -> datetime.timedelta:
        raise RuntimeError("which way is Greenwich?")

    tzname = dst = utcoffset  # type: ignore[assignment]


class UnprintableError(Exception):
    """An exception without a text."""

    def __str__(self) -> str:
        raise ValueError("no text for you")

    __repr__ = __str__


class Colour(enum.Enum):
    RED = "red"
    ODD = ({"nested": {1, 2}}, float("nan"))


@dataclasses.dataclass
class Order:
    number: Any
    items: Any = None


@dataclasses.dataclass(init=False)
class HalfMade:
    never_set: int


def cycle() -> dict[str, Any]:
    """A dict that holds itself."""
    ring: dict[str, Any] = {"name": "ring"}
    ring["self"] = ring
    ring["list"] = [ring, [ring]]
    return ring


def deep(levels: int, wrap: Callable[[Any], Any]) -> Any:
    """A value inside so many containers."""
    value: Any = "bottom"
    for _ in range(levels):
        value = wrap(value)
    return value


def raised(error: BaseException) -> BaseException:
    """`error` with a traceback."""
    try:
        raise error
    except BaseException as caught:  # noqa: BLE001 - exactly what is wanted
        return caught


def chained(length: int) -> BaseException:
    """An exception with so many causes."""
    error: BaseException = ValueError("first")
    for number in range(length):
        following = KeyError(number)
        following.__cause__ = error
        error = following
    return error


def looped() -> BaseException:
    """Two exceptions, each the cause of the other."""
    one, other = ValueError("egg"), ValueError("hen")
    one.__cause__, other.__cause__ = other, one
    return one


def noted(*notes: Any) -> BaseException:
    """An exception with odd notes."""
    error = ValueError("see the notes")
    error.__notes__ = list(notes)  # type: ignore[attr-defined]
    return error


def group() -> BaseException:
    """An ExceptionGroup where there is such a thing."""
    if sys.version_info < (3, 11):
        return ValueError("no groups yet")
    kind = vars(builtins)["ExceptionGroup"]
    return raised(kind("several", [UnprintableError(), kind("inner", [raised(KeyError("\ud800"))])]))


OBJECTS: list[Any] = [
    Unprintable(),
    Moody(),
    Endless(),
    OddText("odd"),
    OddInteger(7),
    OddDict(a=1),
    OddList([1, 2]),
    datetime.datetime(2026, 1, 1, tzinfo=OddZone()),
    datetime.time(12, tzinfo=OddZone()),
    UnprintableError(),
    raised(KeyError("admin")),
    Colour.RED,
    Colour.ODD,
    Order,
    Order(2**70, [Order(math.nan), Order(Unprintable())]),
    HalfMade(),
    cycle(),
    deep(5_000, lambda value: [value]),
    deep(200, lambda value: {"a": value}),
    dict.fromkeys(range(5_000), "many"),
    list(range(5_000)),
    {("tuple", 1): "a", None: "b", 1.5: "c", b"k": "d", frozenset(): "e", Colour.RED: "f", "": "g", "\ud800": "h"},
    {"": {"": {"": 1}}, ".": {".": 2}, "a.b": 1, "a": {"b": 2}, "#": 3, "#x": 4, "# ": [5]},
    {math.nan, math.inf, 1},
    frozenset({b"\xff", "\udc80"}),
    [math.nan, -math.inf, 2**70, -(2**70), 10**400, 1e308, -0.0, 5e-324],
    10**5_000,
    decimal.Decimal("NaN"),
    decimal.Decimal("1e9999"),
    fractions.Fraction(10**5_000, 3),
    complex(math.nan, math.inf),
    bytearray(b"\x00\xff"),
    memoryview(b"\x00\xff"),
    memoryview(b"12345678").cast("I"),
    collections.deque([1, 2], maxlen=2),
    collections.Counter("abca"),
    collections.defaultdict(list, {"a": [1]}),
    collections.ChainMap({"a": 1}, {"b": 2}),
    collections.namedtuple("Point", "x y")(1, math.nan),
    types.MappingProxyType({"a": math.nan}),
    types.SimpleNamespace(a=1),
    (number for number in range(3)),
    range(3),
    object,
    len,
    sys,
    threading.Lock(),
    NotImplemented,
    ...,
    "nul \x00 and \ufeff and \uffff",
    "\ud83d\ude00 as two surrogates",
    "\ud83d alone",
]

any_text = st.text(st.characters(exclude_categories=()), max_size=40)
atoms = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.sampled_from([2**63 - 1, 2**63, 2**64, 2**70, -(2**63), -(2**63) - 1]),
    st.floats(),
    any_text,
    st.binary(max_size=20),
    st.complex_numbers(),
    st.decimals(),
    st.fractions(),
    st.uuids(),
    st.datetimes(timezones=st.none() | st.just(datetime.timezone.utc)),
    st.dates(),
    st.times(),
    st.timedeltas(),
    # By number, for Hypothesis shows what it chooses from, and some of these cannot be shown.
    st.integers(0, len(OBJECTS) - 1).map(lambda number: OBJECTS[number]),
)
keys = st.one_of(any_text, st.integers(), st.floats(), st.none(), st.tuples(st.integers(), any_text), st.binary())
values = st.recursive(
    atoms,
    lambda inner: st.one_of(
        st.lists(inner, max_size=4),
        st.tuples(inner, inner),
        st.dictionaries(keys, inner, max_size=4),
        st.builds(Order, inner, inner),
        st.builds(collections.UserDict, st.dictionaries(any_text, inner, max_size=3)),
    ),
    max_leaves=12,
)
# Names that mean something in HEC, in SEKOIA.IO's JSON or to loghttp, and names that mean nothing anywhere.
NAMES = [
    "time",
    "event",
    "host",
    "source",
    "sourcetype",
    "index",
    "timezone",
    "fields",
    "#x",
    "#",
    "@timestamp",
    "json",
]
NAMES += [
    "level",
    "logger",
    "sequence",
    "line",
    "function",
    "exc_type",
    "user",
    "a.b",
    "",
    " ",
    "\ud800",
    "\x00",
    "_",
    "__x",
]
NAMES += ["loghttp_changed", "loghttp_cut", "intake_key", "timestamp", "jsons", "self", "record", "size", "formatter"]
NAMES += ["exception", "text", "exc_message"]
TAKEN = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}  # logging itself refuses these
extras = st.dictionaries(st.sampled_from(NAMES) | any_text.filter(lambda name: name not in TAKEN), values, max_size=6)
formats = st.one_of(
    any_text, st.sampled_from(["%s", "%d", "%d %d", "%(a)s", "%", "%%", "%q", "{}", "%.200s", "%c", ""])
)
# A lone Mapping as the only argument is asked for its truth by logging itself, so an odd one raises there.
arguments = st.lists(values, max_size=3).filter(lambda args: not (len(args) == 1 and isinstance(args[0], Mapping)))
ERRORS: list[Any] = [
    None,
    True,
    UnprintableError(),
    raised(UnprintableError()),
    raised(ValueError("\ud800", b"\xff")),
    raised(RecursionError("deep")),
    chained(30),
    looped(),
    noted("a", 7, Unprintable(), "\ud800"),
    group(),
    KeyboardInterrupt("stop"),
    SyntaxError("bad", ("file.py", 3, 2, "a = = 1\n")),
    SyntaxError("worse", (None, "a", [], 7)),
    SyntaxError("worst", ("\ud800", -1, 10**30, "\ud800")),
    UnicodeDecodeError("utf-8", b"\xff", 0, 1, "\ud800"),
    OSError(2, Unprintable(), Unprintable()),
    (None, None, None),
]


# ---- the intake and the handlers, which serve many examples


@dataclasses.dataclass
class Bench:
    """A handler on a strict intake, and the watch over what it must never do."""

    intake: LocalIntake
    handler: Handler
    logger: logging.Logger
    said: list[logging.LogRecord]

    @contextlib.contextmanager
    def all_arrives(self) -> Iterator[list[ReceivedEvent]]:
        """What is logged inside arrives, untroubled; the list is filled with it at the end."""
        self.intake.clear()
        self.said.clear()
        before = self.handler.stats()
        events: list[ReceivedEvent] = []
        stderr = io.StringIO()
        with contextlib.redirect_stderr(stderr):
            yield events
            assert self.handler.flush(30) is True
        after = self.handler.stats()
        accepted = after.accepted - before.accepted
        assert "" == stderr.getvalue()
        assert [] == [record.getMessage() + (record.exc_text or "") for record in self.said]
        assert dict(before.dropped) == dict(after.dropped)
        assert accepted == after.delivered - before.delivered
        assert [] == [request.refusal for request in self.intake.requests if request.refusal]
        events += self.intake.events
        assert accepted == len(events) > 0

    def changed(self, event: ReceivedEvent) -> list[str]:
        """The names of what the event says was changed in it."""
        text = event.fields.get("loghttp_changed", "")
        if isinstance(event.event, dict):
            text = event.event.get("loghttp_changed", text)
        return text.split(", ")  # type: ignore[no-any-return]


class Overheard(logging.Handler):
    """Keeps what loghttp says of its own trouble: in these tests it has none."""

    def __init__(self, said: list[logging.LogRecord]) -> None:
        super().__init__()
        self.said = said

    def emit(self, record: logging.LogRecord) -> None:
        if record.exc_info:
            record.exc_text = logging.Formatter().formatException(record.exc_info)
        self.said.append(record)


@pytest.fixture(scope="module", params=list(KINDS))
def bench(request: pytest.FixtureRequest) -> Iterator[Bench]:
    kind, options = KINDS[request.param]
    said: list[logging.LogRecord] = []
    overheard = Overheard(said)
    logging.getLogger("loghttp").addHandler(overheard)
    with LocalIntake() as intake:
        secret = {"token": intake.token} if kind is loghttp.HumioHECHandler else {"intake_key": intake.intake_key}
        handler = kind(url=intake.url, **secret, **options)
        logger = logging.Logger("shop.orders", logging.DEBUG)
        logger.addHandler(handler)
        yield Bench(intake, handler, logger, said)
        handler.close()
    logging.getLogger("loghttp").removeHandler(overheard)


# ---- everything at once


@hostile
@given(message=formats | values, args=arguments, extra=extras)
@example(message="%d", args=["x"], extra={})
@example(message="%d", args=[[]], extra={})
@example(message="%s %s", args=["too few"], extra={})
@example(message="too many", args=["a", "b"], extra={})
@example(message={}, args=[], extra={})
@example(message={"a": math.nan, "message": None, "@timestamp": [], "time": {}}, args=[], extra={"a": "extra"})
@example(message={"": 1}, args=["x"], extra={"": 2})
def test_any_message_with_any_arguments_and_extras_arrives(
    bench: Bench, message: Any, args: list[Any], extra: dict[str, Any]
) -> None:
    """Whatever the message, its arguments and its extras are, the record arrives and nobody notices a thing."""
    with bench.all_arrives():
        bench.logger.info(message, *args, extra=extra)


@each("number", range(len(OBJECTS)), ids=lambda number: f"{number}-{type(OBJECTS[number]).__name__}")
def test_each_odd_object_arrives_in_every_place(bench: Bench, number: int) -> None:
    """An odd object as message, argument, extra, inside containers and as a key: the record arrives."""
    thing = OBJECTS[number]
    places: dict[str, Any] = {"plain": thing, "listed": [thing, [thing]], "nested": {"deeper": {"deepest": thing}}}
    with contextlib.suppress(Exception):  # not all can be keys
        places["key"] = {thing: thing}
    with bench.all_arrives() as events:
        bench.logger.info("extras", extra=places)
        bench.logger.info("%s and %r", thing, "text")
        bench.logger.info("%s and %r", [thing], thing)
        bench.logger.info(thing)
        bench.logger.info({"dict": thing})
    assert 5 == len(events)


@each("number", range(len(ERRORS)), ids=lambda number: f"{number}-{type(ERRORS[number]).__name__}")
def test_any_exception_arrives(bench: Bench, number: int) -> None:
    """Whatever `exc_info` is, the record arrives with its message."""
    with bench.all_arrives() as events:
        bench.logger.error("payment failed", exc_info=ERRORS[number])
    assert events[0].message.startswith("payment failed")


ABSURD: dict[str, list[Any]] = {
    "created": [math.nan, math.inf, -math.inf, -1, -1e300, 1e300, 1e11, 10**30, "yesterday", None, True, b"", []],
    "levelname": [None, 7, Unprintable(), "\ud800", "x" * 10_000, b"", {}, "", cycle()],
    "levelno": [None, "ERROR", math.nan, 2**80, Unprintable(), -5],
    "lineno": [None, "x", -1, 2**80, math.nan, Unprintable()],
    "name": [None, 7, "\ud800", "", b"\xff", Unprintable()],
    "args": [None, 0, "text", [1], {"a": 1}, {}, ((),), ("a", "b"), Unprintable()],
    "msg": [None, "", b"", 0, " \n", Unprintable(), "%"],
    "exc_info": [
        None,
        True,
        1,
        "text",
        (),
        (1, 2, 3),
        (None, None, None),
        ValueError("no tuple"),
        (ValueError, None, None),
    ],
    "exc_text": ["cached", "\ud800", 7, Unprintable(), "", ["a", "b"]],
    "stack_info": ["\ud800", 7, Unprintable(), "", b""],
    "threadName": [None, "\ud800", 7, Unprintable()],
    "process": [None, "x", 2**70, -1],
    "module": [None, 7, Unprintable()],
    "funcName": [None, 7, Unprintable()],
    "msecs": [None, "x", math.nan],
}


@each(("name", "number"), [(name, number) for name, absurd in ABSURD.items() for number in range(len(absurd))])
def test_absurd_attributes_arrive(bench: Bench, name: str, number: int) -> None:
    """A record whose own attributes were set by hand to nonsense arrives, and so do those around it."""
    with bench.all_arrives() as events:
        bench.handler.handle(make_record(msg="before"))
        bench.handler.handle(make_record(**{"msg": "odd", name: ABSURD[name][number]}))
        bench.handler.handle(make_record(msg="after"))
    assert ["before", "after"] == [events[0].message, events[-1].message]


def pick(absurd: list[Any]) -> st.SearchStrategy[Any]:
    """One of them, chosen by its number."""
    return st.integers(0, len(absurd) - 1).map(lambda number: absurd[number])


@hostile
@given(attributes=st.fixed_dictionaries({}, optional={name: pick(absurd) for name, absurd in ABSURD.items()}))
def test_absurd_attributes_together_arrive(bench: Bench, attributes: dict[str, Any]) -> None:
    """Any mixture of absurd attributes arrives."""
    with bench.all_arrives():
        bench.handler.handle(make_record(**attributes))


@each("name", ["taskName", "processName", "thread", "exc_text", "msecs", "relativeCreated"])
def test_a_missing_attribute_hides_nothing(bench: Bench, name: str) -> None:
    """A record that lost one of its standard attributes on its way keeps its extras, and they stay as they were."""
    record = make_record(totals=[7])
    record.__dict__.pop(name, None)
    with bench.all_arrives() as events:
        bench.handler.handle(record)
        record.totals.append("changed")  # type: ignore[attr-defined]
    [event] = events
    members = event.event if isinstance(event.event, dict) else event.fields
    assert members.get("totals") in ([7], "[7]")


@pytest.mark.parametrize("name", ["name", "msg", "args", "exc_info", "created", "levelno", "levelname"])
@pytest.mark.parametrize("kind", list(KINDS))
def test_a_record_without_what_all_have_raises_nothing(
    open_handler: Factory, intake: LocalIntake, kind: str, name: str
) -> None:
    """A record that lacks what every record has is taken or counted as lost; it raises nothing into the program."""
    handler_class, options = KINDS[kind]
    handler = open_handler(handler_class, **options)
    record = make_record()
    del record.__dict__[name]
    with contextlib.redirect_stderr(io.StringIO()):  # handleError may speak, as it does in logging
        handler.handle(record)
        handler.handle(make_record(msg="the next one"))
        assert handler.flush(30) is True
    stats = handler.stats()
    assert 2 == stats.accepted == stats.delivered + sum(stats.dropped.values())
    assert "the next one" in [event.message for event in intake.events]


# ---- what had to be changed says so


@each(
    "value",
    [
        math.nan,
        math.inf,
        -math.inf,
        2**63,
        2**70,
        -(2**70),
        10**5_000,
        "lone \ud800",
        Unprintable(),
        cycle(),
        OddDict(a=1),
        HalfMade(),
        [1, math.nan],
        {"a": {"b": 2**70}},
        (2**70,),
        deep(100, lambda value: [value]),
        list(range(5_000)),
    ],
    ids=lambda value: f"{type(value).__name__}",
)
def test_what_had_to_be_changed_is_named(bench: Bench, value: Any) -> None:
    """An extra that strict JSON cannot carry is changed, and `loghttp_changed` names it."""
    with bench.all_arrives() as events:
        bench.logger.info("order placed", extra={"total": value})
    names = {name.partition(".")[0].partition("[")[0] for name in bench.changed(events[0])}
    assert {"total"} == names


@each(
    ("value", "text"),
    [(math.nan, "NaN"), (math.inf, "Infinity"), (-math.inf, "-Infinity"), (2**70, str(2**70)), ("a\udc80", "a\\udc80")],
)
def test_what_had_to_be_changed_is_readable(bench: Bench, value: Any, text: str) -> None:
    """A number or text that strict JSON cannot carry is sent as the text a reader expects."""
    with bench.all_arrives() as events:
        bench.logger.info("order placed", extra={"total": value})
    [event] = events
    members = event.event if isinstance(event.event, dict) else event.fields
    assert text == members["total"]


@each(
    "value",
    [
        *(1, -(2**63), 2**63 - 1, 1.5, True, None, "text", "☕", b"bytes"),
        *([1, "a"], {"a": [1]}, (), {}, Colour.RED, Order(1, [2])),
        *(uuid.UUID(int=7), decimal.Decimal("9.90"), datetime.date(2026, 1, 1)),
    ],
    ids=repr,
)
def test_what_was_not_changed_is_not_named(bench: Bench, value: Any) -> None:
    """A record that is sent as it was bears no mark."""
    with bench.all_arrives() as events:
        bench.logger.info("order placed", extra={"total": value})
    assert [""] == bench.changed(events[0])


@each(("message", "args"), [("%d", ("x",)), ("%d", ([],)), ("%s %s", ("x",)), ("a", ("b",)), ("%", (1,))])
def test_arguments_that_do_not_fit_are_shown_and_marked(bench: Bench, message: str, args: tuple[Any, ...]) -> None:
    """Where message and arguments do not fit, the event shows both and says that it is no ordinary message."""
    with bench.all_arrives() as events:
        bench.logger.info(message, *args)
    [event] = events
    assert event.message.startswith(f"{message} <args {args} do not fit: ")
    assert ["message"] == bench.changed(event)


@each("message", ["", " ", "\n\t", None])
def test_an_empty_message_arrives(bench: Bench, message: Any) -> None:
    """A message without text, which strict servers refuse for the whole batch, arrives as one that says so."""
    with bench.all_arrives() as events:
        bench.logger.info("%s", message or "") if message is None else bench.logger.info(message)
    assert "(empty message)" == events[0].message
    assert ["message"] == bench.changed(events[0])


def test_two_keys_of_one_text_are_both_sent(bench: Bench) -> None:
    """Keys that read the same as text do not overwrite one another."""
    with bench.all_arrives() as events:
        bench.logger.info("order placed", extra={"by": {1: "number", "1": "text"}})
    assert [True, True] == [word in repr(events[0].body) for word in ("number", "text")]


def test_a_mapping_that_is_a_database_is_not_read_whole(bench: Bench) -> None:
    """A mapping that fetches its values (a `shelve.Shelf`, say) is read as far as it is sent, not to its end."""
    fetched = []

    class Shelf(Mapping[str, int]):
        def __getitem__(self, key: str) -> int:
            fetched.append(key)
            return len(key)

        def __iter__(self) -> Iterator[str]:
            return map(str, range(100_000))

        def __len__(self) -> int:
            return 100_000

    with bench.all_arrives():
        bench.logger.info("order placed", extra={"shelf": Shelf()})
    assert len(fetched) <= 2_000


# ---- sizes


@pytest.mark.parametrize(
    "letter",
    ["x", "☕", "😀", "\x00", '"', "\ud800", "a b\n"],
    ids=["ascii", "3-byte", "4-byte", "nul", "quote", "lone", "lines"],
)
def test_a_message_of_many_megabytes_is_cut_and_marked(bench: Bench, letter: str) -> None:
    """A message beyond the intake's limit is cut by us, where it is told, not by the server or not at all."""
    size = 10_000_000 if letter == "x" else 2_000_000
    with bench.all_arrives() as events:
        bench.logger.info("short before")
        bench.logger.info(letter * (size // len(letter)), extra={"order": 1042})
        bench.logger.info("short after")
    assert ["short before", "short after"] == [events[0].message, events[2].message]
    cut = events[1]
    members = {**cut.fields, **(cut.event if isinstance(cut.event, dict) else {})}
    assert members.get("loghttp_cut") in (True, "true")
    assert 1042 == members.get("order")
    assert "cut by loghttp" in cut.message
    kept = letter if letter != "\ud800" else "\\ud800"
    assert cut.message.startswith(kept * 20_000)  # what was cut is the end, and no more than was needed


def test_a_huge_extra_leaves_the_message_whole(bench: Bench) -> None:
    """A huge value is cut; the message and the other extras beside it stay as they are."""
    with bench.all_arrives() as events:
        bench.logger.info("order placed", extra={"body": "x" * 10_000_000, "order": 1042})
    [event] = events
    members = {**event.fields, **(event.event if isinstance(event.event, dict) else {})}
    assert members["loghttp_cut"] in (True, "true")
    assert ("order placed", 1042) == (event.message, members["order"])
    assert members["body"].startswith("x" * 100_000)


@each(
    "extra",
    [{"k" * 1_100_000: 1}, {f"field{number}": "x" * 100 for number in range(20_000)}, {"nested": {"k" * 1_100_000: 1}}],
    ids=["name", "many", "nested name"],
)
def test_what_cannot_be_cut_arrives_as_less(bench: Bench, extra: dict[str, Any]) -> None:
    """A record with huge names, or with too many, loses those; its message, level and time arrive and it says so."""
    with bench.all_arrives() as events:
        bench.handler.handle(make_record(msg="keep me", created=1537537729.25, **extra))
    [event] = events
    members = {**event.fields, **(event.event if isinstance(event.event, dict) else {})}
    assert ("keep me", "INFO") == (event.message, members.get("level", event.tags.get("level")))
    assert "loghttp_cut" in members or "loghttp_changed" in members
    assert 1537537729.25 == event.time or members["@timestamp"].startswith("2018-09-21T13:48:49.25")


# ---- what was logged is what is sent


def test_changes_after_logging_do_not_show(bench: Bench) -> None:
    """Arguments and extras that change a moment after the call are sent as they were."""
    listed, mapping, text = ["a"], {"b": {"c": [1]}}, bytearray(b"before")
    order = Order(1, [2])
    error = ValueError("before")
    release = threading.Event()
    with bench.all_arrives() as events:
        bench.logger.info(
            "%s %s %s", listed, mapping, order, extra={"l": listed, "m": mapping, "o": order, "t": text}, exc_info=error
        )
        bench.logger.info({"m": mapping})
        listed.append("changed")
        mapping["b"]["c"].append("changed")
        mapping["changed"] = {}
        order.number = "changed"
        text[:] = b"changed"
        error.args = ("changed",)
        release.set()
    assert "changed" not in repr([event.body for event in events]).replace("loghttp_changed", "")
    assert "before" in repr(events[0].body)


def test_changes_of_the_record_after_logging_do_not_show(bench: Bench) -> None:
    """A handler or filter that comes later may rewrite the record; what was taken stays as it was."""
    record = make_record(msg="order %s", args=("placed",), total=1)
    with bench.all_arrives() as events:
        bench.handler.handle(record)
        record.msg, record.args, record.total, record.levelname = "changed", (), "changed", "changed"  # type: ignore[attr-defined]
        del record.lineno
    assert "changed" not in repr(events[0].body)
    assert "order placed" == events[0].message


class Stamped(logging.Formatter):
    """A user's own formatter, which runs on the calling thread and writes on the record it is given."""

    def format(self, record: logging.LogRecord) -> str:
        record.levelname = f"[{record.levelname}]"
        record.stamp = "stamp"
        return super().format(record)


@each(
    "formatter",
    [None, logging.Formatter("%(asctime)s %(message)s"), Stamped("%(levelname)s %(message)s"), JsonFormatter()],
    ids=["none", "text", "own", "json"],
)
def test_the_record_that_others_see_is_not_changed(bench: Bench, formatter: logging.Formatter | None) -> None:
    """Every attribute of the record is the same object before and after, whatever formatter is set."""
    values = {"total": math.nan, "order": Order(1), "listed": [1, [2]], "mapping": cycle(), "#x": "tag"}
    records = [
        make_record(msg="order %s", args=([1],), exc_info=None, **values),
        make_record(msg={"a": {"b": 1}}, exc_info=sys.exc_info(), **values),
        make_record(exc_info=(ValueError, error := raised(ValueError("no")), error.__traceback__), stack_info="Stack"),
    ]
    before = [dict(vars(record)) for record in records]
    bench.handler.setFormatter(formatter)
    try:
        with bench.all_arrives():
            for record in records:
                bench.handler.handle(record)
    finally:
        bench.handler.setFormatter(None)
    for old, record in zip(before, records, strict=True):
        new = vars(record)
        assert list(old) == list(new)
        assert [] == [name for name in old if old[name] is not new[name]]


@settings(hostile, max_examples=20)
@given(message=formats | values, args=arguments, extra=extras)
def test_no_record_is_ever_changed(bench: Bench, message: Any, args: list[Any], extra: dict[str, Any]) -> None:
    """Whatever is logged, the record keeps its attributes: the same names, the same objects."""
    fields = {name: value for name, value in extra.items() if name not in TAKEN}
    record = make_record(msg=message, args=tuple(args), **fields)
    before = dict(vars(record))
    with bench.all_arrives():
        bench.handler.handle(record)
    assert [] == [name for name in {**before, **vars(record)} if before.get(name, 0) is not vars(record).get(name, 1)]


# ---- company


@pytest.mark.parametrize("kind", list(KINDS))
def test_odd_records_do_not_spoil_the_batch_they_are_in(
    open_handler: Factory, intake: LocalIntake, logger: logging.Logger, kind: str
) -> None:
    """Good records that share a batch with every odd one arrive, in order, in the first request."""
    handler_class, options = KINDS[kind]
    handler = open_handler(handler_class, **{"flush_interval": 60, "batch_events": 3 * len(OBJECTS), **options})
    for number, thing in enumerate(OBJECTS):
        logger.info("good %d", number)
        logger.info("odd", extra={"thing": thing})
        logger.info("odd %s %d", thing, "x")
    assert handler.flush(30) is True
    messages = [event.message for event in intake.wait_for(3 * len(OBJECTS))]
    assert [f"good {number}" for number in range(len(OBJECTS))] == [
        text for text in messages if text.startswith("good")
    ]
    assert {""} == {request.refusal for request in intake.requests}
    assert (3 * len(OBJECTS), {}, 0) == (
        handler.stats().delivered,
        dict(handler.stats().dropped),
        handler.stats().splits,
    )


@pytest.mark.parametrize("created", ["yesterday", None, math.nan, math.inf, -1e300])
@pytest.mark.parametrize("overflow", ["drop_oldest", "drop_newest"])
def test_an_absurd_time_in_a_full_buffer_raises_nothing(
    humio: Factory, intake: LocalIntake, overflow: str, created: Any
) -> None:
    """A record with an absurd time that is lost for want of room is counted, and raises nothing into the program."""
    intake.fail_when(status=503)
    handler = humio(buffer_events=3, overflow=overflow, close_timeout=0.2, retry_wait_max=0.05)
    for _ in range(10):
        handler.handle(make_record(created=created))
    stats = handler.stats()
    assert 10 == stats.accepted
    assert {"queue_full": 7} == dict(stats.dropped)
    intake.heal()
    assert handler.flush(10) is True
    handler.handle(make_record(msg="the next one"))
    assert handler.flush(10) is True
    assert "the next one" in [event.message for event in intake.events]


@pytest.mark.parametrize("created", ["yesterday", None, math.nan, math.inf, -1e300])
def test_an_absurd_time_lost_at_close_raises_nothing(
    humio: Factory, intake: LocalIntake, created: Any, capfd: pytest.CaptureFixture[str]
) -> None:
    """`close()` with records of absurd times still undelivered counts them and raises nothing."""
    intake.fail_when(status=503)
    handler = humio(close_timeout=0.1, flush_interval=60)
    for _ in range(3):
        handler.handle(make_record(created=created))
    handler.close()
    assert {"shutdown": 3} == dict(handler.stats().dropped)
    assert "3 records were lost at shutdown" in capfd.readouterr().err


def test_objects_of_the_program_are_let_go(humio: Factory, intake: LocalIntake) -> None:
    """Once encoded, a waiting record keeps nothing of the program's objects alive, even with the intake down."""
    intake.fail_when(status=503)
    handler = humio(close_timeout=0.2)

    class Precious:
        pass

    gone = threading.Event()
    thing = Precious()
    weak = __import__("weakref").ref(thing, lambda _: gone.set())
    try:
        raise ValueError(thing)
    except ValueError:
        handler.handle(make_record(exc_info=sys.exc_info(), thing=thing, msg="%s", args=(thing,)))
    del thing
    assert gone.wait(10), weak
    assert 1 == handler.stats().pending
    intake.heal()
    assert handler.flush(10) is True
    assert os.getpid() == intake.events[0].fields["process"]
