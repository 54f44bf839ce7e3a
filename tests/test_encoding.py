"""Whatever was logged comes out as JSON that the strictest server reads, in either dialect.

The judge here is Python's own `json`, told to accept nothing that RFC 8259 and I-JSON (RFC 7493) do not, and
both encoders stand before it: orjson, where the `fast` extra is installed, and `json`.
"""

from __future__ import annotations

import datetime as dt
import enum
import json
import logging
import math
import sys
from collections.abc import Callable
from decimal import Decimal
from fractions import Fraction
from types import ModuleType
from typing import Any
from uuid import UUID

import pytest
from cases import each
from hypothesis import given, settings
from hypothesis import strategies as st
from pythonjsonlogger.json import JsonFormatter

from loghttp import _encoding
from loghttp._capture import Mark, capture, freeze
from loghttp._checks import Secret
from loghttp._encoding import REDACTED, fit, flatten, nest, scalar, text
from loghttp._entry import DEFAULT_ATTRIBUTES, Reader
from loghttp._verdict import Delivered, Misconfigured, Refused, Reply, TooLarge, TryLater
from loghttp.intakes import Intake
from loghttp.intakes.humio import Humio
from loghttp.intakes.sekoia import Sekoia

examples = settings(deadline=None, max_examples=100)

# ---- helpers


def orjson() -> ModuleType:
    return pytest.importorskip("orjson", reason="the `fast` extra is not installed")


def encoders() -> dict[str, Callable[[Any], bytes]]:
    """Both encoders, or the one that is here."""
    found = _encoding._orjson()
    return {"json": _encoding._json_dumps(), **({"orjson": _encoding._orjson_dumps(found)} if found else {})}


ENCODERS = encoders()


@pytest.fixture(params=["json", "orjson"])
def dumps(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Callable[[Any], bytes]:
    """Each encoder in turn, in use everywhere."""
    if request.param not in ENCODERS:
        orjson()
    monkeypatch.setattr(_encoding, "dumps", ENCODERS[request.param])
    return ENCODERS[request.param]


def strict(body: bytes) -> Any:
    """Parse as the strictest server does; complain of everything that one would refuse."""

    def refuse(word: str) -> None:
        raise AssertionError(f"{word} is not JSON")

    def whole(digits: str) -> int:
        assert -(2**63) <= int(digits) < 2**63, f"{digits} is over 64 bit"
        return int(digits)

    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        assert len(pairs) == len(dict(pairs)), f"a name twice among {[name for name, _ in pairs]}"
        return dict(pairs)

    parsed = json.loads(body.decode("utf-8"), parse_constant=refuse, parse_int=whole, object_pairs_hook=unique)
    json.dumps(parsed, ensure_ascii=False).encode("utf-8")  # no escape hid a lone surrogate
    return parsed


def strictly(value: Any) -> Any:
    """`value` through both encoders and the judge; they must agree."""
    first, *others = (strict(encode(value)) for encode in ENCODERS.values())
    assert [first] * len(others) == others
    return first


def nested(value: Any, name: str = "extra", redact: Any = ()) -> tuple[Any, list[str]]:
    notes: list[str] = []
    return nest(freeze(value)[0], name, notes, redact), notes


def flat(value: Any, name: str = "extra", redact: Any = ()) -> tuple[dict[str, Any], list[str]]:
    notes: list[str] = []
    pairs = list(flatten(freeze(value)[0], name, notes, redact))
    return dict(pairs), notes


class Colour(enum.Enum):
    RED = "red"


class Number(enum.IntEnum):
    SEVEN = 7


class Unprintable:
    def __str__(self) -> str:
        raise RuntimeError("no")

    __repr__ = __str__


class SafeText(str):
    """Text that insists on its class, as Django's SafeString does."""

    __slots__ = ()

    def __str__(self) -> str:
        return self


class NoZone(dt.tzinfo):
    """A time zone that raises when it is asked."""

    def utcoffset(self, _: dt.datetime | None) -> dt.timedelta:
        raise RuntimeError("no")


any_text = st.text(st.characters(codec=None, exclude_categories=()), max_size=20)
atoms = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.integers(-(2**70), 2**70),
    st.floats(),
    any_text,
    st.binary(max_size=20),
    st.decimals(),
    st.fractions(),
    st.complex_numbers(),
    st.uuids(),
    st.datetimes(timezones=st.none() | st.timezones()),
    st.dates(),
    st.times(),
    st.timedeltas(),
    st.sampled_from([Colour.RED, Number.SEVEN, SafeText("safe")]),
    st.builds(lambda: 10**5_000),
    st.builds(lambda: Fraction(10**5_000, 3)),
    st.builds(Unprintable),
)
keys = st.one_of(any_text, atoms.filter(lambda value: not isinstance(value, Decimal) or not value.is_snan()))
anything = st.recursive(
    atoms,
    lambda inner: st.lists(inner, max_size=4) | st.tuples(inner, inner) | st.dictionaries(keys, inner, max_size=4),
    max_leaves=12,
)

documents = st.dictionaries(st.text(max_size=8), st.text(max_size=400) | st.integers(0, 9), max_size=5)

# ---- text


@each(
    ("value", "sent", "noted"),
    [
        ("", "", False),
        ("plain", "plain", False),
        ("naïve 日本語 🙂", "naïve 日本語 🙂", False),
        ("nul \0, bell \a, line \n", "nul \0, bell \a, line \n", False),
        ("half \ud83d of a smile", "half \\ud83d of a smile", True),
        ("file \udcff name", "file \\udcff name", True),
    ],
)
def test_text_is_kept_and_lone_surrogates_are_escaped(value: str, sent: str, noted: bool) -> None:
    """Only what UTF-8 cannot carry is changed, and the change is noted under the value's name."""
    notes: list[str] = []
    assert sent == text(value, "name", notes)
    assert ["name"] * noted == notes


@given(any_text)
@examples
def test_all_text_is_strict_json(value: str) -> None:
    """Both encoders write any text so that the strictest server reads the same text back."""
    sent = text(value, "name", [])
    assert sent == strictly(sent)


# ---- scalars


@each(
    ("value", "sent", "noted"),
    [
        pytest.param(None, None, False, id="None"),
        pytest.param(True, True, False, id="True"),
        pytest.param(0, 0, False, id="nought"),
        pytest.param(2**63 - 1, 2**63 - 1, False, id="largest integer"),
        pytest.param(2**63, "9223372036854775808", True, id="integer over 64 bit"),
        pytest.param(-(2**63), -(2**63), False, id="smallest integer"),
        pytest.param(-(2**63) - 1, "-9223372036854775809", True, id="integer under 64 bit"),
        pytest.param(10**5_000, hex(10**5_000), True, id="integer of 5,000 digits"),
        pytest.param(1.5, 1.5, False, id="float"),
        pytest.param(-0.0, -0.0, False, id="minus nought"),
        pytest.param(math.nan, "NaN", True, id="NaN"),
        pytest.param(math.inf, "Infinity", True, id="Infinity"),
        pytest.param(-math.inf, "-Infinity", True, id="-Infinity"),
        pytest.param(b"bytes \xff", "bytes \\xff", False, id="bytes"),
        pytest.param(Decimal("1.10"), "1.10", False, id="Decimal"),
        pytest.param(Decimal("sNaN"), "sNaN", False, id="signalling NaN"),
        pytest.param(Fraction(1, 3), "1/3", False, id="Fraction"),
        pytest.param(1 + 2j, "(1+2j)", False, id="complex"),
        pytest.param(UUID(int=1), "00000000-0000-0000-0000-000000000001", False, id="UUID"),
        pytest.param(dt.date(2026, 1, 31), "2026-01-31", False, id="date"),
        pytest.param(dt.datetime(2026, 1, 31, 12, 0), "2026-01-31T12:00:00", False, id="datetime"),
        pytest.param(dt.time(12, 0), "12:00:00", False, id="time"),
        pytest.param(dt.timedelta(days=1, seconds=1), "1 day, 0:00:01", False, id="timedelta"),
        pytest.param(Mark("<cycle>"), "<cycle>", True, id="mark"),
    ],
)
def test_a_scalar_is_sent_as_it_is_or_as_text(value: Any, sent: Any, noted: bool) -> None:
    """What JSON can carry keeps its type; what it cannot becomes readable text, and that is noted."""
    notes: list[str] = []
    assert sent == scalar(value, "name", notes)
    assert ["name"] * noted == notes
    assert sent == strictly(scalar(value, "name", notes))


@pytest.mark.parametrize(
    "value",
    [
        pytest.param(Fraction(10**5_000, 3), id="fraction of 5,000 digits"),
        pytest.param(dt.datetime(2026, 1, 31, tzinfo=NoZone()), id="time zone that raises"),
    ],
)
def test_a_scalar_that_cannot_be_written_becomes_a_mark(value: Any) -> None:
    """A value whose text cannot be had does not cost the event: plain text that says so stands in its place."""
    notes: list[str] = []
    sent = scalar(value, "name", notes)
    assert str is type(sent)
    assert type(value).__name__ in sent
    assert sent == strictly(sent)


# ---- structures


@given(anything)
@examples
def test_anything_nested_is_strict_json(value: Any) -> None:
    """Whatever a program passes as an extra, both encoders write the same strict JSON of it."""
    strictly(nested(value)[0])


@given(anything)
@examples
def test_anything_flattened_is_flat_strict_json(value: Any) -> None:
    """Flat fields are scalars only, never null, under names that are text: others make servers refuse the batch."""
    fields, _ = flat(value)
    assert fields == strictly(fields)
    assert [] == [name for name, field in fields.items() if not isinstance(field, str | int | float)]


def test_dicts_become_dotted_names() -> None:
    """`{"user": {"id": 7}}` is the field `user.id`, at any depth."""
    assert {"user.id": 7, "user.name.first": "Ada"} == flat({"id": 7, "name": {"first": "Ada"}}, "user")[0]


def test_none_is_an_absent_field() -> None:
    """A null value makes strict servers refuse the whole request; an absent field means the same."""
    assert {"user.id": 7} == flat({"id": 7, "name": None}, "user")[0]


def test_a_list_of_scalars_is_one_readable_field() -> None:
    """A list of scalars is its JSON text, so that one value is one field."""
    assert {"ids": '[1,"two",null,true]'} == flat([1, "two", None, True], "ids")[0]


def test_a_list_of_more_is_numbered() -> None:
    """A list of dicts or lists is numbered as LogScale numbers arrays."""
    assert {"items[0].id": 1, "items[1]": "x", "items[2]": "[2]"} == flat([{"id": 1}, "x", [2]], "items")[0]


def test_dicts_and_lists_are_kept_where_they_may_stand() -> None:
    """SEKOIA's quoted JSON and HEC's event object keep the program's own structure."""
    value = {"user": {"id": 7, "tags": ["a", None]}}
    assert value == nested(value)[0]


@each(
    "key",
    [
        pytest.param(7, id="int"),
        pytest.param((1, 2), id="tuple"),
        pytest.param(None, id="None"),
        pytest.param(b"k", id="bytes"),
        pytest.param(Colour.RED, id="enum"),
        pytest.param("half \ud83d", id="surrogate"),
        pytest.param(SafeText("safe"), id="a subclass of str"),
        pytest.param(Unprintable(), id="unprintable"),
        pytest.param(10**5_000, id="huge int"),
    ],
)
def test_any_key_becomes_text(key: Any, dumps: Callable[[Any], bytes]) -> None:
    """JSON's names are text; a key of any other kind becomes text, and its value is sent."""
    [value] = strict(dumps(nested({key: "value"})[0])).values()
    assert "value" == value
    [value] = strict(dumps(flat({key: "value"})[0])).values()
    assert "value" == value


def test_what_was_changed_is_noted_by_its_path() -> None:
    """The notes name what had to be changed as a reader finds it in the event."""
    assert ["order.user.score"] == nested({"user": {"score": math.nan}}, "order")[1]
    assert ["order.user.score"] == flat({"user": {"score": math.nan}}, "order")[1]


@each("shape", [nested, flat])
@each(
    ("value", "name"),
    [
        pytest.param("hunter2", "password", id="the extra itself"),
        pytest.param({"hunter2": 1}, "password", id="an extra that is a dict"),
        pytest.param([{"n": "hunter2"}], "password", id="an extra that is a list"),
        pytest.param({"password": "hunter2"}, "user", id="inside"),
        pytest.param({"PassWord": "hunter2"}, "user", id="any case"),
        pytest.param({"a": [{"b": [{"password": ["hunter2"]}]}]}, "user", id="any depth"),
        pytest.param({"db.password": "hunter2"}, "user", id="a dotted key"),
        pytest.param("hunter2", "db.password", id="a dotted name"),
    ],
)
def test_redacted_names_hide_their_values(shape: Callable[..., Any], value: Any, name: str) -> None:
    """A name in `redact` hides its value in every dialect, in any case, at any depth."""
    sent, _ = shape({name: value}, "extra", frozenset({"password", "db.password"}))
    assert "hunter2" not in str(sent)
    assert REDACTED in str(sent)


@each("redact", [frozenset(), frozenset({"password"})])
def test_redaction_costs_nothing_when_unused(redact: frozenset[str]) -> None:
    """Without `redact` no name is put in small letters to be compared; with it they are."""
    called: list[str] = []

    def hear(_: Any, event: str, function: Any) -> None:
        if event == "c_call":
            called.append(function.__name__)

    extras = {"user": {"id": 7, "Name": "ann"}}
    before = sys.getprofile()
    sys.setprofile(hear)
    try:
        list(flatten(extras, "", [], redact))
        nest(extras, "", [], redact)
    finally:
        sys.setprofile(before)
    assert bool(redact) == ("lower" in called)


# ---- fit


@given(
    st.dictionaries(st.text(max_size=8), st.text(max_size=400) | st.integers(0, 9), max_size=5), st.integers(300, 900)
)
@examples
def test_what_fits_is_strict_and_within_the_limit(document: dict[str, Any], limit: int) -> None:
    """A document either comes out within the limit as strict JSON, or not at all."""
    body = fit(document, limit)
    if body is not None:
        assert limit >= len(body)
        strict(body)


def test_what_fits_is_not_touched() -> None:
    """A document within its limit is sent as it is, to the byte."""
    document = {"message": "x" * 100}
    limit = len(ENCODERS["json"](document))
    assert document == strict(fit(dict(document), limit) or b"null")


@each("letter", ["x", "é", "日", "🙂", '"', "\0"], ids=lambda letter: f"U+{ord(letter):04X}")
def test_the_longest_text_is_cut_and_marked(letter: str, dumps: Callable[[Any], bytes]) -> None:
    """The longest text loses its end, says so in the place, and takes nothing else of the event along."""
    body = fit({"message": letter * 50_000, "user": {"id": "abc"}, "list": ["short"]}, 20_000)
    assert body is not None
    assert 20_000 >= len(body)
    assert 15_000 < len(body), "more was cut than had to be"
    sent = strict(body)
    assert {"id": "abc"} == sent["user"]
    assert ["short"] == sent["list"]
    kept = sent["message"].partition("…")[0]
    assert letter * len(kept) == kept
    assert sent["message"].endswith(f"[cut by loghttp: {50_000 - len(kept)} characters left out]")


def test_texts_are_cut_wherever_they_stand() -> None:
    """A long text in a nested dict or list is found too."""
    body = fit({"message": "m", "extra": [{"deep": "x" * 50_000}]}, 1_000)
    assert body is not None
    assert 1_000 >= len(body)
    assert "cut by loghttp" in strict(body)["extra"][0]["deep"]


def test_what_no_cutting_makes_small_enough_is_none() -> None:
    """A document of ten thousand numbers has no text to cut: the caller must send something smaller."""
    assert None is fit({f"n{number}": number for number in range(10_000)}, 1_000)


# ---- the encoders


def test_json_and_orjson_agree(dumps: Callable[[Any], bytes]) -> None:
    """Compact, UTF-8 and unescaped beyond need, whichever encoder is there."""
    assert '{"a":[1,1.5,true,null,"é\\n"]}'.encode() == dumps({"a": [1, 1.5, True, None, "é\n"]})


def test_an_encoder_refuses_what_did_not_come_through_here(dumps: Callable[[Any], bytes]) -> None:
    """A value that escaped `scalar` is an error of ours, not something to be sent half right."""
    with pytest.raises(TypeError):
        dumps({"object": object()})


# ---- the dialects: helpers

TOKEN = "fS6Kdlb0clqe0UwPcc4slvNFP3Qn1COzG9DEVLw7v0Ii"
HUMIO_URL = "https://cloud.humio.com/api/v1/ingest/hec"
SEKOIA_URL = "https://intake.sekoia.io/batch"
CREATED = 1537537729.25
HUMIO_LIMIT, SEKOIA_LIMIT = 1_000_000, 250_000  # intakes.md


def humio(**given_: Any) -> Humio:
    """The Humio dialect, with nothing set but what is given."""
    settings_: dict[str, Any] = {"members": {}, "tags": {}, "tag_attributes": (), "fields": {}, "redact": ()}
    return Humio(HUMIO_URL, Secret(TOKEN), **{**settings_, "event_format": "string", **given_})


def sekoia(endpoint: Any = "/batch", **given_: Any) -> Sekoia:
    return Sekoia(SEKOIA_URL, Secret(TOKEN), endpoint, **{"fields": {}, "redact": (), **given_})


def event_of(
    intake: Intake,
    msg: Any = "order placed",
    *args: Any,
    extra: dict[Any, Any] | None = None,
    exc_info: Any = None,
    formatter: logging.Formatter | None = None,
    attributes: Any = ("level",),
    redact: Any = (),
) -> bytes:
    """One record, read and shaped, as the listener does it."""
    make = logging.Logger("shop").makeRecord
    record = make("shop", logging.INFO, "/srv/orders.py", 7, msg, args, exc_info, "place", extra)
    record.created = CREATED
    captured = capture(record, formatter)
    captured.sequence = 1
    return intake.shape(Reader(attributes, redact).read(captured))


def hec(*args: Any, **options: Any) -> dict[str, Any]:
    """One record as the HEC object that a strict server parses."""
    keywords = {"extra", "exc_info", "formatter", "attributes", "redact"}
    logged = {name: options.pop(name) for name in keywords & options.keys()}
    options["redact"] = {name.lower() for name in logged.get("redact", ())}
    parsed = strict(event_of(humio(**options), *args, **logged))
    assert isinstance(parsed, dict)
    return parsed


def quoted(*args: Any, **options: Any) -> Any:
    """One record as the quoted JSON, or the plain text, that SEKOIA.IO parses."""
    keywords = {"extra", "exc_info", "formatter", "attributes", "redact"}
    logged = {name: options.pop(name) for name in keywords & options.keys()}
    options["redact"] = {name.lower() for name in logged.get("redact", ())}
    text_ = strict(event_of(sekoia(**options), *args, **logged))
    assert isinstance(text_, str)
    return text_ if "formatter" in logged and type(logged["formatter"]) is logging.Formatter else strict(text_.encode())


def replied(status: int, body: Any = b"") -> Reply:
    return Reply(status, {}, body if isinstance(body, bytes) else json.dumps(body).encode(), 0.0)


def an_exception() -> Any:
    error = ValueError("bad")
    return (ValueError, error, None)


# ---- Humio: each member of the seed's table


def test_humio_time_is_the_record_s_own_in_seconds() -> None:
    """`time`: seconds since 1970 in UTC, with a point, so that nobody takes it for milliseconds."""
    body = event_of(humio())
    assert CREATED == strict(body)["time"]
    assert b'"time":1537537729.25,' in body


@each("name", ["timezone", "index", "sourcetype", "source", "host"])
def test_humio_members_stand_where_they_are_set(name: str) -> None:
    """`timezone`, `index`, `sourcetype`, `source`, `host`: as given, and absent where nothing was."""
    assert "x" == hec(members={name: "x"})[name]
    assert {"time", "event", "fields"} == hec().keys()


def test_humio_event_is_the_message() -> None:
    """`event`: the message, for the server's parser to read."""
    assert "order 7 placed" == hec("order %d placed", 7)["event"]


def test_humio_event_ends_with_the_traceback() -> None:
    """The traceback follows the message, as every handler writes it; its type and text are fields as well."""
    event = hec("failed", exc_info=an_exception())
    assert "failed\nValueError: bad" == event["event"]
    assert ("ValueError", "bad") == (event["fields"]["exc_type"], event["fields"]["exc_message"])


def test_humio_fields_are_flat() -> None:
    """`fields`: attributes and extras, dotted where they were nested, absent where they were None."""
    extra = {"user": {"id": 7, "roles": ["a", "b"]}, "none": None}
    assert {"level": "INFO", "user.id": 7, "user.roles": '["a","b"]'} == hec(extra=extra)["fields"]


def test_humio_tags_begin_with_a_hash() -> None:
    """Static tags, and attributes or extras that were named for it, become `#tags` of text, and no fields as well."""
    fields = hec(
        tags={"env": "prod", "shard": 7, "debug": True},
        tag_attributes=("levelname", "service"),
        attributes=("levelname", "logger"),
        extra={"service": "shop", "user": 7},
    )["fields"]
    assert {
        "#env": "prod",
        "#shard": "7",
        "#debug": "true",
        "#levelname": "INFO",
        "#service": "shop",
        "logger": "shop",
        "user": 7,
    } == fields


def test_humio_event_object_holds_message_attributes_and_extras() -> None:
    """`event_format="object"`: the event is an object, nested as it was logged; `fields` are the static ones."""
    event = hec(event_format="object", extra={"user": {"id": 7}}, fields={"team": "a"}, tags={"env": "prod"})
    assert {"message": "order placed", "level": "INFO", "user": {"id": 7}} == event["event"]
    assert {"team": "a", "#env": "prod"} == event["fields"]


def test_humio_formatters_follow_logging_s_habit() -> None:
    """A text formatter makes the event's string, a python-json-logger formatter its object."""
    assert "INFO: order placed" == hec(formatter=logging.Formatter("%(levelname)s: %(message)s"))["event"]
    event = hec(formatter=JsonFormatter("%(levelname)s %(message)s"), extra={"user": {"id": 7}}, fields={"team": "a"})
    assert {"levelname": "INFO", "message": "order placed", "user": {"id": 7}} == event["event"]
    assert {"team": "a"} == event["fields"]


def test_humio_a_dict_message_is_fields() -> None:
    """A program that logs dicts gets fields of them, and text that its server can parse."""
    event = hec({"action": "buy", "user": {"id": 7}})
    assert {"level": "INFO", "action": "buy", "user.id": 7} == event["fields"]
    assert {"action": "buy", "user": {"id": 7}} == json.loads(event["event"])


@pytest.mark.parametrize("event_format", ["string", "object"])
@pytest.mark.parametrize(
    ("given_", "winner"),
    [
        ({"extra": {"level": "extra"}, "fields": {"level": "static"}}, "extra"),
        ({"fields": {"level": "static"}}, "static"),
        ({"extra": {"level": "extra"}}, "extra"),
        ({}, "INFO"),
    ],
    ids=["extra over static", "static over attribute", "extra over attribute", "attribute"],
)
def test_a_name_given_twice_has_one_winner(given_: Any, winner: str, event_format: str) -> None:
    """The extra wins, then the static field, then the attribute; and the loser is not sent beside the winner."""
    event = hec(event_format=event_format, **given_)
    places = [event["fields"], event["event"] if isinstance(event["event"], dict) else {}]
    assert [winner] == [place["level"] for place in places if "level" in place]
    assert winner == quoted(**given_)["level"]


@pytest.mark.parametrize("shape", [hec, quoted])
@pytest.mark.parametrize(
    "given_",
    [
        pytest.param({"extra": {"score": math.nan}}, id="NaN"),
        pytest.param({"extra": {"count": 2**64}}, id="over 64 bit"),
        pytest.param({"extra": {"file": "x\udcff"}}, id="surrogate"),
        pytest.param({"extra": {"bad": Unprintable()}}, id="unprintable"),
        pytest.param({"extra": {Unprintable(): 1}}, id="unprintable name"),
        pytest.param({"extra": {7: 1}}, id="name that is a number"),
        pytest.param({"extra": {"": 1, "#": 2, "#t": 3}}, id="odd names"),
        pytest.param({"extra": {"deep": {Unprintable(): math.inf}}}, id="odd inside"),
        pytest.param({"extra": {"a": {"b": 1}, "a.b": 2}}, id="names that flatten alike"),
        pytest.param({"extra": {"when": dt.datetime(2026, 1, 31, tzinfo=NoZone())}}, id="time zone that raises"),
        pytest.param({"extra": {"safe": SafeText("safe")}}, id="subclass of str"),
        pytest.param({"exc_info": (ValueError, ValueError(SafeText("safe")), None)}, id="exception with one"),
        pytest.param({"exc_info": (ValueError, ValueError("x\udcff"), None)}, id="exception with a surrogate"),
        pytest.param({"formatter": JsonFormatter("%(message)s"), "extra": {"score": math.nan}}, id="JSON formatter"),
    ],
)
def test_nothing_logged_makes_an_event_that_a_strict_server_refuses(shape: Any, given_: Any) -> None:
    """Whatever is logged, the event is strict JSON in both dialects and still says what it said."""
    assert "order placed" in str(shape(**given_))


@each("shape", [hec, quoted])
@each("msg", [("%d", "no number"), (SafeText("text"),), ("",), (None,), ("\udcff",), (Unprintable(),)], ids=range(6))
def test_no_message_makes_an_event_that_a_strict_server_refuses(shape: Any, msg: Any) -> None:
    """The message is never null and never empty, whatever was passed for it."""
    event = shape(*msg)
    message = event.get("event") or event.get("message")
    assert isinstance(message, str)
    assert message.strip()


@pytest.mark.parametrize("shape", [hec, quoted])
def test_what_was_changed_is_said(shape: Any) -> None:
    """An event whose values had to be changed says which, so that nobody takes them for what was logged."""
    event = shape(extra={"score": math.nan, "good": 1})
    assert "score" == {**event, **event.get("fields", {})}["loghttp_changed"]
    assert "NaN" == {**event, **event.get("fields", {})}["score"]


def test_humio_has_no_more_fields_than_the_server_keeps() -> None:
    """8,000 fields an event is the server's limit; an event with more says that some are missing."""
    event = hec(extra={f"x{number}": number for number in range(9_000)})
    assert 8_000 > len(event["fields"])
    assert "fields" in event["fields"]["loghttp_changed"]


@each("shape", [hec, quoted])
@each("name", ["password", "PassWord", "db.password"])
def test_redacted_extras_do_not_leave(shape: Any, name: str) -> None:
    """A redacted name hides its value in every place of the event, from dict messages to JSON formatters."""
    redact = ("PASSWORD", "db.password")
    for sent in (
        shape(extra={name: "hunter2", "user": [{"deep": {name: {"a": "hunter2"}}}]}, redact=redact),
        shape({name: "hunter2"}, redact=redact),
        shape(extra={"user": {name: "hunter2"}}, formatter=JsonFormatter("%(message)s"), redact=redact),
    ):
        assert "hunter2" not in str(sent)
        assert REDACTED in str(sent)


# ---- SEKOIA.IO


def test_sekoia_batch_event_is_quoted_json() -> None:
    """`/batch`: an event is a string, here quoted JSON; its time stands inside, for `/batch` has no place for it."""
    assert {
        "@timestamp": "2018-09-21T13:48:49.250000+00:00",
        "message": "order placed",
        "level": "INFO",
        "user": {"id": 7},
        "team": "a",
    } == quoted(extra={"user": {"id": 7}}, fields={"team": "a"})


def test_sekoia_traceback_is_a_member() -> None:
    """The traceback is a member of its own; the message stays the message."""
    event = quoted("failed", exc_info=an_exception())
    assert ("failed", "ValueError: bad") == (event["message"], event["exc_info"])
    assert ("ValueError", "bad") == (event["exc_type"], event["exc_message"])


def test_sekoia_formatters_follow_logging_s_habit() -> None:
    """A text formatter makes the plain-text event, a python-json-logger formatter the quoted JSON."""
    assert "INFO: order placed" == quoted(formatter=logging.Formatter("%(levelname)s: %(message)s"))
    event = quoted(
        formatter=JsonFormatter("%(levelname)s %(message)s"), extra={"user": {"id": 7}}, fields={"team": "a"}
    )
    assert "2018-09-21T13:48:49.250000+00:00" == event.pop("@timestamp")
    assert {"levelname": "INFO", "message": "order placed", "user": {"id": 7}, "team": "a"} == event


@pytest.mark.parametrize(
    ("endpoint", "body"),
    [
        ("/batch", {"intake_key": TOKEN, "jsons": ["one", "two"]}),
        (
            "/array",
            [
                {"intake_key": TOKEN, "json": "one", "timestamp": "2018-09-21T13:48:49.250000+00:00"},
                {"intake_key": TOKEN, "json": "two", "timestamp": "2018-09-21T13:48:49.250000+00:00"},
            ],
        ),
        ("/", {"intake_key": TOKEN, "json": "one", "@timestamp": "2018-09-21T13:48:49.250000+00:00"}),
    ],
)
def test_sekoia_requests(endpoint: Any, body: Any) -> None:
    """The three endpoints' bodies, named as the vendor's examples name them, in `application/json`."""
    intake = sekoia(endpoint)
    events = [event_of(intake, text_, formatter=logging.Formatter()) for text_ in ("one", "two")]
    request = intake.request(events[: intake.limits.batch_events])
    assert body == strict(request.body)
    assert "application/json" == request.headers["Content-Type"]
    assert SEKOIA_URL == request.url


def test_sekoia_s_key_is_added_when_it_is_sent() -> None:
    """An event that waits, in memory or on disk, holds no key."""
    for endpoint in ("/batch", "/array", "/"):
        assert TOKEN.encode() not in event_of(sekoia(endpoint))


def test_the_single_endpoint_takes_one_event() -> None:
    """`/` takes one event a request, and its limits say so."""
    assert (1, 1) == (sekoia("/").limits.batch_events, sekoia("/").limits.batch_events_max)


# ---- requests and replies


@pytest.mark.parametrize("scheme", ["Bearer", "Splunk"])
def test_humio_request(scheme: str) -> None:
    """One compact object a line, the token in the header alone, and a type that every server takes."""
    request = humio(auth_scheme=scheme).request([b'{"event":"one"}', b'{"event":"two"}'])
    assert b'{"event":"one"}\n{"event":"two"}' == request.body
    assert f"{scheme} {TOKEN}" == request.headers["Authorization"]
    assert request.headers["Content-Type"] in {"application/json", "text/plain; charset=utf-8"}
    assert HUMIO_URL == request.url


def test_humio_events_are_one_line_each() -> None:
    """Some servers want strictly one object a line: no newline of the program's may break it."""
    assert b"\n" not in event_of(humio(), "line one\nline two\r\n\u2028", extra={"a": "\n"})


@each("intake", [humio(), sekoia(), sekoia("/array"), sekoia("/")], ids=["hec", "batch", "array", "/"])
def test_no_secret_in_any_repr(intake: Intake) -> None:
    """Neither a dialect nor its request shows the token: reprs end up in logs."""
    request = intake.request([event_of(intake)])
    assert TOKEN not in repr(intake) + repr(request) + str(request) + request.url
    assert [TOKEN] == list(intake.secrets)


@each(
    ("reply", "verdict"),
    [
        (replied(200), Delivered()),
        (replied(200, {}), Delivered()),
        (replied(201, b"odd"), TryLater("HTTP 201: odd")),
        (replied(204), TryLater("HTTP 204")),
        (replied(299), TryLater("HTTP 299")),
        (replied(503, {"code": 9}), TryLater('HTTP 503: {"code": 9}')),
        (replied(413), TooLarge("HTTP 413")),
        (replied(400, {"invalid-event-number": 3}), Refused('HTTP 400: {"invalid-event-number": 3}', 3)),
    ],
    ids=lambda value: str(getattr(value, "status", "")),
)
def test_humio_verdicts(reply: Reply, verdict: Any) -> None:
    """200 alone is success: "201-399: an error has occurred; check the text and retry"."""
    assert verdict == humio().judge(reply)


@each("status", [300, 301, 302, 307, 308, 399])
def test_humio_keeps_the_batch_at_3xx(status: int) -> None:
    """A redirect is no success: nothing of the batch is dropped."""
    assert isinstance(humio().judge(replied(status)), TryLater | Misconfigured)


@each(
    ("reply", "verdict"),
    [
        (replied(200, {"event_ids": ["a", "b"]}), Delivered(2)),
        (replied(202, {"event_ids": []}), Delivered(0)),
        (replied(200, {"event_id": "a"}), Delivered()),
        (replied(204), Delivered()),
        (replied(200, b"OK"), Delivered()),
        (replied(200, {"event_ids": None}), Delivered()),
        (replied(200, [1]), Delivered()),
        (replied(413), TooLarge("HTTP 413")),
        (replied(400, b"no"), Refused("HTTP 400: no")),
        (replied(503), TryLater("HTTP 503")),
    ],
    ids=range(10),
)
def test_sekoia_verdicts(reply: Reply, verdict: Any) -> None:
    """Any 2xx is success; where it lists `event_ids`, their number is the number of events that were taken."""
    assert verdict == sekoia().judge(reply)


# ---- limits

LETTERS = pytest.mark.parametrize(
    "letter", ["x", "é", "🙂", '"', "\\", "\0"], ids=lambda letter: f"U+{ord(letter):04X}"
)
BIG = pytest.mark.parametrize(
    "given_",
    [
        pytest.param(lambda text_: {"extra": {"big": text_}}, id="extra"),
        pytest.param(lambda text_: {"extra": {"a": {"b": [text_]}}}, id="nested"),
        pytest.param(lambda text_: {"extra": {f"n{i}": text_[:50_000] for i in range(40)}}, id="many"),
        pytest.param(
            lambda text_: {"formatter": logging.Formatter(f"%(message)s {text_}".replace("\0", "x"))}, id="text"
        ),
        pytest.param(lambda text_: {"formatter": JsonFormatter("%(message)s"), "extra": {"big": text_}}, id="JSON"),
        pytest.param(lambda text_: {"exc_info": (ValueError, ValueError(text_), None)}, id="exception"),
    ],
)


@LETTERS
@BIG
def test_humio_events_over_a_megabyte_are_cut_and_marked(given_: Any, letter: str) -> None:
    """The server would cut them unmarked; what is sent is valid, within 1,000,000 bytes, and says that it was cut."""
    body = event_of(humio(members={"host": "web-1"}), **given_(letter * 1_200_000))
    assert HUMIO_LIMIT >= len(body)
    event = strict(body)
    assert "true" == event["fields"]["loghttp_cut"]
    assert "cut by loghttp" in str(event)
    assert ("order placed" in str(event["event"]), "web-1") == (True, event["host"])


@LETTERS
@BIG
def test_sekoia_events_over_250_kilobytes_are_cut_and_marked(given_: Any, letter: str) -> None:
    """The server would reject them; what is sent has at most 250,000 bytes of UTF-8 and is still JSON, or text."""
    text_ = strict(event_of(sekoia(), **given_(letter * 300_000)))
    assert SEKOIA_LIMIT >= len(text_.encode())
    assert "cut" in text_
    assert "order placed" in text_
    if not text_.startswith("order placed"):
        assert True is strict(text_.encode())["loghttp_cut"]


def test_events_within_the_limit_are_not_cut() -> None:
    """An event at the limit is sent whole."""
    assert "loghttp_cut" not in hec(extra={"big": "x" * 990_000})["fields"]
    assert "loghttp_cut" not in quoted(extra={"big": "x" * 245_000})


@pytest.mark.parametrize("shape", [hec, quoted])
def test_an_event_of_too_many_small_things_is_sent_smaller(shape: Any) -> None:
    """No text is long enough to be cut: the event keeps its message and its attributes, and says so."""
    extra = {f"{'n' * 150}{number}": number for number in range(9_000)}
    event = shape(extra=extra)
    assert "order placed" in str(event)
    assert "loghttp_cut" in str(event)


@each("intake", [humio(), sekoia(), sekoia("/array"), sekoia("/")], ids=["hec", "batch", "array", "/"])
@each("kind", ["fields", "text"])
@each("limit", [50_000, 2_000])
def test_an_event_can_be_cut_further(intake: Intake, kind: str, limit: int) -> None:
    """An intake that takes less than it documents gets less: valid, marked, and within the bytes asked for."""
    for letter in ("x", "🙂", '"', "\\", "\0"):
        big = letter * 100_000
        if kind == "fields":
            body = event_of(intake, extra={"big": big})
        else:
            body = event_of(intake, f"order placed {big}", formatter=logging.Formatter())
        smaller = intake.cut(body, limit)
        assert smaller is not None
        strict(smaller)
        assert limit >= len(smaller), f"of {letter!r}"
        assert b"cut" in smaller
        assert b"order placed" in smaller


def test_default_attributes_are_the_documented_ones() -> None:
    """`level`, `logger`, `module`, `function`, `line`, `process`, `thread`, `sequence`, each under its own name."""
    fields = hec(attributes=DEFAULT_ATTRIBUTES)["fields"]
    assert ["level", "logger", "module", "function", "line", "process", "thread", "sequence"] == list(fields)
    assert ("INFO", "shop", "orders", "place", 7, 1) == tuple(
        fields[name] for name in ("level", "logger", "module", "function", "line", "sequence")
    )


def test_attributes_go_by_the_name_that_was_given() -> None:
    """`levelname` stays `levelname`, `level` stays `level`; an extra may be named too."""
    fields = hec(attributes=("levelname", "level", "funcName", "user"), extra={"user": 7})["fields"]
    assert {"levelname": "INFO", "level": "INFO", "funcName": "place", "user": 7} == fields
