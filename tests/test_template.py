"""A form gives, byte for byte, what the reader and the intake would give; or nothing.

The judge is the long way itself: each record is captured twice, and one copy is read and shaped.
"""

from __future__ import annotations

import json
import logging
import math
import sys
from collections.abc import Callable, Mapping, Sequence
from enum import IntEnum
from typing import Any

import pytest
from cases import each
from conftest import make_record
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

import loghttp
from loghttp import _capture, _encoding, _entry, _form, _template
from loghttp._batch import LARGE
from loghttp._capture import LATEST, Bare, Plain, capture, capture_plain
from loghttp._entry import Entry, Reader
from loghttp._options import Limits
from loghttp._template import Templates
from loghttp.intakes import Intake, humio, sekoia

STATIC = {"service": "shop", "user": "nobody", "level": "none", "price": 1.5, "#team": 7}
TAGS: dict[str, Any] = {
    "tags": {"env": "prod", "zone": 3},
    "tag_attributes": ("levelname", "thread", "service", "user", "password"),
}
DIALECTS: dict[str, tuple[type[Any], dict[str, Any]]] = {
    "hec": (loghttp.HumioHECHandler, {}),
    "hec-object": (loghttp.HumioHECHandler, {"event_format": "object"}),
    "hec-all": (
        loghttp.HumioHECHandler,
        {**TAGS, "fields": STATIC, "redact": ("password",), "index": "i", "timezone": 'Europe/"Paris"'},
    ),
    "hec-object-all": (
        loghttp.HumioHECHandler,
        {**TAGS, "event_format": "object", "fields": STATIC, "redact": ("PASSWORD", "user")},
    ),
    "hec-bare": (loghttp.HumioHECHandler, {"attributes": ()}),
    "hec-other-attributes": (
        loghttp.HumioHECHandler,
        {"attributes": ("levelno", "pathname", "stack_info", "exc_text", "processName", "user", "sequence")},
    ),
    "sekoia": (loghttp.SekoiaHandler, {}),
    "sekoia-all": (loghttp.SekoiaHandler, {"fields": STATIC, "redact": ("password",)}),
    "sekoia-array": (loghttp.SekoiaHandler, {"endpoint": "/array", "fields": STATIC}),
    "sekoia-single": (loghttp.SekoiaHandler, {"endpoint": "/", "attributes": ("level", "sequence")}),
}

# ---- helpers


def parts(kind: type[Any], **options: Any) -> tuple[Reader, Intake]:
    """The reader and the intake that a handler with these options has."""
    secret = "token" if kind is loghttp.HumioHECHandler else "intake_key"
    handler = kind(url="https://localhost", **{secret: "secret"}, **options)
    return handler._reader, handler._intake


PARTS = {dialect: parts(kind, **options) for dialect, (kind, options) in DIALECTS.items()}


class Site:
    """One call site whose records are encoded by a form, where there is one, and judged by the long way."""

    def __init__(self, reader: Reader, intake: Intake) -> None:
        self.reader, self.intake = reader, intake
        self.templates = Templates(reader, intake)
        _capture._extras_at.clear()  # which may know the same extras in another order
        self.number = 0

    def form(self, **attributes: Any) -> bytes | None:
        """What a form makes of the next record: what it should be, or None."""
        self.number += 1
        record = make_record(**attributes)
        whole = capture(record)  # knows nothing of plain records
        whole.sequence = self.number
        expected = self.intake.shape(self.reader.read(whole))
        if (plain := self.plain(record)) is None:
            return None
        assert expected == self.intake.shape(self.reader.read(plain))
        event = self.templates.encode(plain)
        assert event is None or expected == event
        return event

    def plain(self, record: logging.LogRecord) -> Plain | None:
        bare = self.bare(record)
        return Plain(*bare) if bare else None

    def bare(self, record: logging.LogRecord) -> Bare | None:
        return self.reader.site_of and capture_plain(record, self.reader.site_of, lambda: self.number)

    def table(self, several: Sequence[dict[str, Any]]) -> int:
        """How many of the first of these records, if all are small, a table makes; each is what it should be."""
        records: list[Bare] = []
        expected: list[bytes] = []
        for attributes in several:
            self.number += 1
            bare = self.bare(make_record(**attributes))
            if type(bare) is not tuple:
                return 0
            records.append(bare)
            expected.append(self.intake.shape(self.reader.read(Plain(*bare))))
        if (written := self.templates.encode_alike(records)) is None:
            return 0
        lines, times = written
        assert expected[: len(times)] == lines.split(b"\n")
        assert [record[4] for record in records[: len(times)]] == [*times]
        assert LARGE > max(map(len, expected[: len(times)]))
        return len(times)


def by_default(intake: Any = None) -> Site:
    """The call site of a handler without options; or the same at another intake."""
    reader, own = PARTS["hec"]
    return Site(reader, intake or own)


@pytest.fixture(params=["json", "orjson"])
def encoder(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each encoder in turn, in use everywhere."""
    if request.param == "json":
        monkeypatch.setitem(sys.modules, "orjson", None)
        dumps, dumps_whole, orjson = _encoding._json_dumps(), None, None
    else:
        orjson = pytest.importorskip("orjson", reason="the `fast` extra is not installed")
        dumps, dumps_whole = _encoding._orjson_dumps(orjson), orjson.dumps
    for module in (_encoding, _entry, humio, sekoia):
        monkeypatch.setattr(module, "dumps", dumps)
    monkeypatch.setattr(_form, "dumps_whole", dumps_whole)
    monkeypatch.setattr(_form, "text_of_number", _encoding._number_text(orjson))
    monkeypatch.setattr(_form, "texts_of_numbers", _encoding._number_texts(orjson))


# ---- what a program may log

texts = st.one_of(
    st.text(max_size=40),
    st.text(alphabet=st.sampled_from("\"\\/%{}'\x00\x1f\x7f\x85\u2028\ud800\udfff\U0001f600é a-1"), max_size=40),
)
NAMES = """user service password PassWord level levelname sequence logger thread #env #user # #_ _private a.b a a_
    event fields time @timestamp json text plain extras values when with_values getMessage loghttp_changed q" b\\s"""
names = st.one_of(
    st.sampled_from(["", "\udc80", *NAMES.split()]),
    st.text(min_size=1, max_size=8),
).filter(lambda name: name not in vars(make_record()) and name not in ("message", "asctime"))
integers = st.one_of(st.integers(-(2**65), 2**65), st.sampled_from([2**63, 2**63 - 1, -(2**63), -(2**63) - 1, 0]))
floats = st.one_of(st.floats(), st.sampled_from([1e22, 1e16, -0.0, 5e-324, 1e-7, 0.1, 1e-5, 123456789012345680.0]))
kinds = st.sampled_from([texts, texts, integers, floats, st.booleans(), st.none()])
times = st.one_of(
    st.floats(0, LATEST),
    st.sampled_from([0.0, -0.0, 1e-9, 1_700_000_000.1, 1_700_000_000, LATEST]),
    st.sampled_from([LATEST + 1, -1.0, math.nan, math.inf, True, "now", None]),
)


@st.composite
def records_of_one_site(draw: st.DrawFn) -> list[dict[str, Any]]:
    """What differs among some records: their times, their messages, and the values of the same extras."""
    extras = draw(st.dictionaries(names, kinds, max_size=4))
    return [
        {"created": draw(times), "msg": draw(texts)} | {name: draw(kind) for name, kind in extras.items()}
        for _ in range(draw(st.integers(1, 3)))
    ]


# ---- the same as without


@settings(
    max_examples=200,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.filter_too_much, HealthCheck.too_slow],
)
@example("hec-all", [{"msg": "x", "user": "a", "#user": "b", "password": "c", "#": 1.5, "": True, "level": None}])
@example("hec-object-all", [{"msg": "loghttp-", "user": 2**63 - 1, "a.b": 1, "a": -0.0, "q": "_", "fields": "f"}])
@example("sekoia-array", [{"msg": '"\\"', "@timestamp": "t", "m": "\\u0000\x00", "service": False, "json": 1e22}])
@given(st.sampled_from(sorted(DIALECTS)), records_of_one_site())
def test_a_form_gives_what_shaping_gives(encoder: None, dialect: str, records: list[dict[str, Any]]) -> None:
    """Whatever the message, the extras and the time are: the same bytes come out, or the record is left to others.

    The first of these records draws the form; so each of the others is proof of it that the drawing did not have.
    """
    site = Site(*PARTS[dialect])
    for record in (records[0], *records, records[0]):
        site.form(**record)
    for record in records:
        site.table([record, *records] * 6)
        site.table([record] * 6)


@each("dialect", DIALECTS)
def test_the_second_record_of_a_site_makes_a_form(encoder: None, dialect: str) -> None:
    """What comes once is not worth a form; from the second record on, all of a site have one, in every dialect."""
    site = Site(*PARTS[dialect])
    rows = [("ann", 1, 0.5, True), ('b"o\\b', -(2**63), 1e18, False), ("\U0001f600\x00", 2**63 - 1, -0.0, True)]
    made = [
        site.form(
            **{"msg": f"order of {user}", "user": user, "password": user, "#x": n, "_private": n},
            **{"n": n, "ratio": ratio, "ok": ok, "nothing": None},
        )
        for user, n, ratio, ok in rows
    ]
    assert [True, False, False] == [body is None for body in made]


# ---- tables


@each("dialect", DIALECTS)
def test_many_records_of_a_site_are_written_as_a_table(encoder: None, dialect: str) -> None:
    """What a loop logs, or a storm of errors, is written column by column, in every dialect."""
    site = Site(*PARTS[dialect])
    rows: list[dict[str, Any]] = [
        {
            "msg": f'order {n}: \u00e9 % \\ "',
            "created": 1_700_000_000 + n / 7,
            "n": n,
            "ok": n > 50,
            "ratio": n / 3,
            "nothing": None,
        }
        for n in range(100)
    ]
    for row in rows[:2]:
        site.form(**row)
    assert 100 == site.table(rows)
    assert [0, 6] == [site.table(rows[:5]), site.table(rows[:6])]  # fewer are not worth it


A: dict[str, Any] = {"lineno": 1, "msg": "order placed", "n": 1}
B: dict[str, Any] = {"lineno": 2, "msg": "order paid"}


@each(
    ("several", "alike"),
    [
        ([A] * 10 + [B] * 7, 10),
        ([B] * 7 + [A] * 10, 7),
        ([A, B] * 10, 0),
        ([A] * 10 + [B] + [A], 0),
        ([A] * 10 + [{**A, "other": 1}] * 7, 10),
        ([A] * 10 + [{**A, "threadName": "worker-2"}] * 7, 10),
        ([A] * 10 + [{**A, "n": "1"}], 0),
        ([A] * 10 + [{**A, "n": None}], 0),
        ([A] * 10 + [{**A, "n": True}], 0),
        ([A] * 10 + [{**A, "msg": " \u2028"}], 0),
        ([A] * 10 + [{**A, "msg": ""}], 0),
        ([A] * 10 + [{**A, "msg": "\udfff"}], 0),
        ([{**A, "lineno": 3}] * 10, 0),
    ],
    ids=[
        *["two sites", "the other way round", "in turns", "one comes back", "other extras", "another thread"],
        *["a text", "nothing", "a bool", "blank", "empty", "a lone surrogate", "not met"],
    ],
)
def test_the_first_of_one_site_are_written_together(several: list[dict[str, Any]], alike: int) -> None:
    """As far as one site goes, and if all of its records are of a kind; others are written one by one."""
    site = by_default()
    for record in (A, B, A, B, A | {"n": "1"}):
        site.form(**record)
    assert alike == site.table(several)


@each("dialect", DIALECTS)
@each("message", ["\x00" * 300, '"' * 300, "\U0001f600" * 300, "\\" * 300])
def test_no_event_of_a_table_is_large(dialect: str, message: str) -> None:
    """However long its JSON becomes: those that are must be runs of their own."""
    site = Site(*PARTS[dialect])
    usual = {"msg": "order placed", **{f"x{n}": -2.2250738585072014e-308 for n in range(16)}}
    for _ in range(2):
        site.form(**usual)
    assert 6 == site.table([{**usual, "msg": message}] * 6)


def test_where_an_event_may_be_large_there_is_no_table() -> None:
    """With long static fields, that is; a form there is."""
    site = Site(*parts(loghttp.HumioHECHandler, fields={"static": "x" * 2_000}))
    assert [True, False] == [site.form(**A) is None for _ in range(2)]
    assert 0 == site.table([A] * 10)


def test_events_of_several_lines_have_no_table(monkeypatch: pytest.MonkeyPatch) -> None:
    """What an intake writes over several lines stays as it is."""

    class Pretty(Foreign):
        def shape(self, entry: Entry) -> bytes:
            return json.dumps(self.document(entry), indent=1, ensure_ascii=False).encode()

    monkeypatch.setattr(_form, "dumps_whole", None)  # which would write one line
    site = by_default(Pretty(lambda entry: {"log": entry.message}))
    assert [True, False] == [site.form(**A) is None for _ in range(2)]
    assert 0 == site.table([A] * 10)


def test_a_level_that_equals_a_number_is_written_as_it() -> None:
    """A program's own enum of levels: its members equal ints, so they meet the form that an int has made."""

    class Level(IntEnum):
        INFO = 20

    site = Site(*PARTS["hec-other-attributes"])
    assert [True, False, False] == [site.form(levelno=level) is None for level in (20, 20, Level.INFO)]
    event = site.form(levelno=Level.INFO)
    assert event is not None
    assert 20 == json.loads(event)["fields"]["levelno"]
    assert 10 == site.table([{"levelno": Level.INFO}] * 10)


# ---- no form


@each(
    "odd",
    [
        *[{"n": value} for value in (2**63, -(2**63) - 1)],
        *[{"x": value} for value in (math.nan, math.inf, -math.inf)],
        *[{"msg": value} for value in ("\udfff", "", " \n\x1c\u2028")],
        *[{"created": value} for value in (5, math.nan, "now", -1.0, LATEST + 1)],
        *[{"s": "\ud800"}, {"threadName": ["no", "key"]}],
    ],
    ids=repr,
)
def test_what_json_cannot_carry_is_left_to_the_long_way(encoder: None, odd: dict[str, Any]) -> None:
    """A record whose value has to be changed to be sent is shaped by itself, for it has to say so; others go on."""
    site = by_default()
    usual = {"msg": "order placed", "n": 1, "x": 0.5, "s": "text"}
    assert site.form(**usual) is None
    assert site.form(**usual) is not None
    assert site.form(**{**usual, **odd}) is None
    assert site.form(**usual) is not None


@each("name", ["created", "msecs", "relativeCreated", "msg", "args"])
def test_attributes_that_vary_give_no_form(name: str) -> None:
    """Who asks for an attribute that is another in each record gets each record shaped by itself."""
    site = Site(Reader(("level", name)), PARTS["hec"][1])
    assert site.reader.site_of is None
    assert [None, None, None] == [site.form(msg=f"order {number}") for number in range(3)]


def test_a_static_field_that_equals_a_stand_in_is_not_replaced() -> None:
    """A form that would put a record's time, or its number, into a static field is found out."""
    for stand_in in (
        _form._CREATED,
        *(kind + at for kind in (_form._INT, _form._FLOAT) for at in range(5)),
    ):
        site = Site(*parts(loghttp.HumioHECHandler, fields={"static": stand_in}))
        for number in (1, 1, 2):
            site.form(n=number, x=0.5)


def test_a_deleted_attribute_gives_no_form() -> None:
    """A record that lacks what the form's key is made of is left to others."""
    site = by_default()
    for name in vars(make_record()):
        record = make_record()
        delattr(record, name)
        assert site.plain(record) is None


def test_a_large_event_has_no_form() -> None:
    """Where others of its site may have to be cut, none has a form."""
    for kind, size in ((loghttp.HumioHECHandler, 500_000), (loghttp.SekoiaHandler, 125_000)):
        site = Site(*parts(kind, fields={"static": "x" * size}))
        assert [None, None, None] == [site.form(msg="order placed") for _ in range(3)]


# ---- which records share a form


@each(
    "change",
    [
        *[
            {"levelname": "ERROR"},
            {"name": "shop.carts"},
            {"lineno": 8},
            {"threadName": "worker-2"},
            {"funcName": "pay"},
        ],
        *[{"n": "1"}, {"n": 1.0}, {"n": True}, {"n": None}, {"other": 1}, {"process": None}, {"module": "\udc80"}],
    ],
    ids=repr,
)
def test_a_record_of_another_site_has_a_form_of_its_own(change: dict[str, Any]) -> None:
    """Another level, logger, line, thread or type of an extra is another site: its first record has no form yet."""
    site = by_default()
    usual = {"lineno": 7, "funcName": "place", "n": 1}
    site.form(**usual)
    assert site.form(**usual) is not None
    changed = {**usual, **change}
    assert site.form(**changed) is None
    assert site.form(**changed) is not None
    assert site.form(**usual) is not None


def test_fifty_extras_are_no_cliff() -> None:
    """A record with many extras is as plain as one with few: it costs so much more an extra, and no more than that."""
    site = by_default()
    extras = {f"of_the_shopping_basket_{n}": n for n in range(50)}
    assert [True, False] == [site.form(**extras) is None for _ in range(2)]


def test_extras_of_other_names_have_a_form_of_their_own() -> None:
    """One line may log other extras of the same types, or the same ones in another order."""
    site = by_default()
    for extras in ({"a": 1, "b": 2}, {"a": 1, "c": 2}, {"b": 1, "a": 2}):
        assert [True, False] == [site.form(**extras) is None for _ in range(2)]


@pytest.mark.parametrize("line", [True, 1.0], ids=repr)
def test_what_only_compares_equal_is_not_the_same(line: Any) -> None:
    """A line number of True is not 1, though Python says so: each is sent as it is."""
    site = by_default()
    for value in (1, 1, line, line, 1, line):
        site.form(lineno=value)


def test_an_attribute_that_changes_its_text_is_sent_as_it_is() -> None:
    """An object in the place of a thread's name is asked each time, not remembered."""

    class Worker:
        job = "first"

        def __str__(self) -> str:
            return self.job

    site, worker = by_default(), Worker()
    for job in ("first", "first", "second", "second"):
        worker.job = job
        site.form(threadName=worker)


class Sullen:
    """Cannot be a key: it raises what nobody expects there."""

    def __hash__(self) -> int:
        raise RuntimeError("no")


def test_an_attribute_that_cannot_be_a_key_raises_nothing() -> None:
    """A record with an odd attribute is left to others, and raises nothing that would take others with it."""
    site = by_default()
    assert [None, None] == [site.form(threadName=Sullen()) for _ in range(2)]


def test_the_number_of_forms_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """A program with more call sites (or thread names) than are remembered begins afresh, and has forms again."""
    monkeypatch.setattr(_template, "_MOST", 10)
    site = by_default()
    for lineno in range(50):
        assert [site.form(lineno=lineno) for _ in range(3)][-1] is not None
        assert 10 >= max(len(site.templates._met), len(site.templates._forms), len(site.templates._tables))
    for lineno in range(50):  # met once only
        site.form(funcName=f"f{lineno}")
        assert 10 >= max(len(site.templates._met), len(site.templates._forms))
    assert site.form(lineno=1_000) is None
    assert site.form(lineno=1_000) is not None


@pytest.mark.parametrize(
    ("habit", "odd"),
    [("lengths", {}), ("message twice", {"msg": "\udfff"})],
    ids=["no form", "a lone surrogate"],
)
def test_a_site_without_a_form_is_drawn_once(habit: str, odd: dict[str, Any]) -> None:
    """Where no form can be drawn, drawing is not tried for each record: only at the second is the intake asked."""

    class Counting(Foreign):
        shaped = 0

        def shape(self, entry: Entry) -> bytes:
            self.shaped += 1
            return super().shape(entry)

    intake = Counting(FOREIGN[habit])
    site = by_default(intake)
    asked = []
    for _ in range(6):
        plain = site.plain(make_record(**odd))
        assert plain is not None
        intake.shaped = 0
        assert site.templates.encode(plain) is None
        asked.append(intake.shaped > 0)
    assert [False, True, False, False, False, False] == asked


def test_a_form_outlives_the_sites_that_were_met_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """When too many sites have been met, those that have a form keep it."""
    monkeypatch.setattr(_template, "_MOST", 10)
    site = by_default()
    assert [True, False] == [site.form(lineno=1) is None for _ in range(2)]
    for lineno in range(100, 130):
        site.form(lineno=lineno)
        assert site.form(lineno=1) is not None


# ---- intakes that are not ours


class Foreign:
    """An intake with habits of its own."""

    uniform = True
    limits = Limits(batch_events=1, batch_bytes=1_000_000, event_bytes=100_000)

    def __init__(self, document: Callable[[Entry], Any]) -> None:
        self.document = document

    def shape(self, entry: Entry) -> bytes:
        return json.dumps(self.document(entry), ensure_ascii=False, separators=(",", ":")).encode()


def test_an_intake_that_does_not_say_it_is_uniform_shapes_each_record() -> None:
    """What it does with one value says nothing of the next: no two events prove what a third will be."""

    class ByValue(Foreign):
        uniform = False

    def document(entry: Entry) -> Any:
        alert = {"alert": True} if entry.extras["status"] == 503 else {}
        return {"log": entry.message[:1_000], **alert, **{name: value for name, value in entry.extras.items() if value}}

    site = by_default(ByValue(document))
    for status, message in ((200, "x"), (200, "x"), (503, "x"), (200, "x" * 1_001), (0, "x")):
        assert site.form(status=status, msg=message) is None
        assert 0 == site.table([{"status": status, "msg": message}] * 10)


def spoken(values: Mapping[str, Any], write: Callable[[Any], Any]) -> dict[str, Any]:
    return {name: write(value) for name, value in values.items()}


FOREIGN: dict[str, Callable[[Entry], Any]] = {
    "message within a text": lambda entry: {"log": f"{entry.attributes['level']}: {entry.message}!"},
    "message twice": lambda entry: [entry.message, {"again": entry.message}],
    "message as a key": lambda entry: {entry.message: 1},
    "upper case": lambda entry: spoken({"log": entry.message, **entry.extras}, lambda value: str(value).upper()),
    "numbers as texts": lambda entry: {"log": entry.message, **spoken(entry.extras, str)},
    "shortened": lambda entry: {"log": entry.message[:10]},
    "words of the message": lambda entry: entry.message.split("-"),
    "lengths": lambda entry: {"log": entry.message, "length": len(entry.message)},
    "milliseconds": lambda entry: {"log": entry.message, "at": int(entry.created * 1_000)},
    "whole seconds": lambda entry: {"log": entry.message, "at": round(entry.created)},
    "a day's index": lambda entry: {"log": entry.message, "index": f"day-{entry.created // 86_400:.0f}"},
    "no message": lambda entry: {"n": entry.attributes["sequence"], "extras": entry.extras},
    "every other": lambda entry: {"log": entry.message, "even": entry.attributes["sequence"] % 2},
    "hexadecimal": lambda entry: {"log": entry.message, "n": f"{entry.attributes['sequence']:x}"},
    "JSON in JSON in JSON": lambda entry: json.dumps(json.dumps({"log": entry.message, **entry.extras})),
    "extras in one text": lambda entry: " ".join(f"{name}={value}" for name, value in entry.extras.items()),
    "yes and no": lambda entry: {"log": entry.message, "ok": "yes" if entry.extras["ok"] else "no"},
    "two decimals": lambda entry: {"log": entry.message, "x": float(f"{entry.extras['x']:.2f}")},
}


@each("habit", FOREIGN)
def test_an_intake_with_strange_habits_is_right_or_has_no_form(habit: str) -> None:
    """A form knows no dialect: what it cannot cut at its stand-ins, or cannot prove, it leaves to the intake."""
    site = by_default(Foreign(FOREIGN[habit]))
    values: Sequence[dict[str, Any]] = [
        {"msg": "order placed", "ok": True, "x": 1.25, "n": 7},
        {"msg": "order placed", "ok": True, "x": 1.25, "n": 7},
        {"msg": "x", "ok": False, "x": 1.256, "n": 8},
        {"msg": "", "ok": True, "x": 0.1, "n": 9},
        {"msg": 'a "longer" one \\ than the others-are', "ok": False, "x": 1e22, "n": 0},
        {"msg": "é\U0001f600", "ok": True, "x": -0.0, "n": -1},
    ]
    for number, value in enumerate(values):
        site.form(created=1_700_000_000.25 + number * 100_000, **value)
    site.table([{"created": 1_700_000_000.25, **value} for value in values for _ in range(6)])
    site.table([{"created": 1_700_000_000.25 + number, **values[4]} for number in range(6)])
