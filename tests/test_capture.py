"""What was logged is what is sent: a captured record, after the program has changed everything it logged.

Also the other way round: capturing leaves no trace on the record, which other handlers see too, and never
raises, whatever the program's objects do.
"""

from __future__ import annotations

import contextlib
import copy
import dataclasses
import enum
import io
import logging
import sys
from collections import OrderedDict, deque, namedtuple
from collections.abc import Callable, Iterator, Mapping
from decimal import Decimal
from types import SimpleNamespace
from typing import Any

import pytest
from cases import each
from hypothesis import given, settings
from hypothesis import strategies as st

from loghttp._capture import Captured, capture, message_of
from loghttp._entry import Entry, Reader
from loghttp._freeze import ATOMS, MAX_DEPTH, MAX_ITEMS, Mark, freeze

NAME = "shop.orders"

# ---- helpers


def make(
    msg: Any = "order placed",
    *args: Any,
    extra: dict[Any, Any] | None = None,
    exc_info: Any = None,
    stack: str | None = None,
) -> logging.LogRecord:
    """A record as `logger.info(msg, *args, extra=extra)` makes it."""
    made = logging.Logger(NAME).makeRecord
    return made(NAME, logging.INFO, "/srv/orders.py", 7, msg, args, exc_info, "place", extra, stack)


def sent(captured: Captured) -> Entry:
    """What the listener makes of it, later."""
    return Reader(("level",)).read(captured)


def failing(error: BaseException) -> Any:
    """The `exc_info` of a raised error."""
    try:
        raise error
    except BaseException:  # noqa: BLE001  any kind
        return sys.exc_info()


class Unprintable:
    def __str__(self) -> str:
        raise RuntimeError("no")

    __repr__ = __str__


class SafeText(str):
    """Text that insists on its class, as Django's SafeString does."""

    __slots__ = ()

    def __str__(self) -> str:
        return self


class Label:
    """An object whose text changes."""

    def __init__(self, text: str) -> None:
        self.text = text

    def __str__(self) -> str:
        return self.text


@dataclasses.dataclass
class User:
    name: str
    tags: list[str]


class Shelf(Mapping[str, int]):
    """A mapping that is a database, and counts how often it is asked."""

    def __init__(self, size: int) -> None:
        self.size = size
        self.asked = 0

    def __getitem__(self, key: str) -> int:
        self.asked += 1
        return int(key)

    def __iter__(self) -> Iterator[str]:
        return map(str, range(self.size))

    def __len__(self) -> int:
        return self.size


Point = namedtuple("Point", "x y")


class Colour(enum.Enum):
    RED = "red"


# ---- later changes do not reach it


@each(
    ("template", "arguments", "change", "message"),
    [
        pytest.param("%s", ([1, 2],), lambda args: args[0].append(3), "[1, 2]", id="list"),
        pytest.param("%s", ({"a": [1]},), lambda args: args[0]["a"].append(2), "{'a': [1]}", id="nested"),
        pytest.param("%(a)s", ({"a": [1]},), lambda args: args[0].update(a=2), "[1]", id="mapping"),
        pytest.param("%s", (Label("old"),), lambda args: setattr(args[0], "text", "new"), "old", id="object"),
        pytest.param("%s", (bytearray(b"old"),), lambda args: args[0].clear(), "bytearray(b'old')", id="bytearray"),
        pytest.param("%s %d", ("text", 7), lambda args: None, "text 7", id="atoms"),
    ],
)
def test_later_changes_to_args_are_not_sent(
    template: str, arguments: tuple[Any, ...], change: Callable[[Any], None], message: str
) -> None:
    """The message is formed of the arguments as they were when the call was made."""
    captured = capture(make(template, *arguments))
    change(arguments)
    assert message == sent(captured).message


def test_a_message_object_is_taken_as_it_was() -> None:
    """logging takes any object as the message; its text is that of the moment."""
    label = Label("old")
    captured = capture(make(label))
    label.text = "new"
    assert "old" == sent(captured).message


def test_a_dict_message_is_taken_as_it_was() -> None:
    """Structured logging passes a dict; its members are fields, as they were."""
    event = {"action": "buy", "items": [{"id": 1}]}
    captured = capture(make(event))
    event["items"][0]["id"] = 2  # type: ignore[index]
    event["action"] = "sell"
    assert {"action": "buy", "items": [{"id": 1}]} == sent(captured).extras


@each(
    ("value", "change", "kept"),
    [
        pytest.param([1, [2]], lambda value: value[1].append(3), [1, [2]], id="list"),
        pytest.param({"a": {"b": 1}}, lambda value: value["a"].update(b=2), {"a": {"b": 1}}, id="dict"),
        pytest.param(([1],), lambda value: value[0].append(2), [[1]], id="tuple"),
        pytest.param({1}, lambda value: value.add(2), [1], id="set"),
        pytest.param(deque([1]), lambda value: value.append(2), [1], id="deque"),
        pytest.param(OrderedDict(a=1), lambda value: value.clear(), {"a": 1}, id="OrderedDict"),
        pytest.param(bytearray(b"a"), lambda value: value.clear(), b"a", id="bytearray"),
        pytest.param(
            User("Ada", ["x"]), lambda value: value.tags.append("y"), {"name": "Ada", "tags": ["x"]}, id="data"
        ),
        pytest.param(Label("old"), lambda value: setattr(value, "text", "new"), "old", id="object"),
    ],
)
def test_later_changes_to_extras_are_not_sent(value: Any, change: Callable[[Any], None], kept: Any) -> None:
    """Extras are private copies: dicts, lists and dataclasses as such, other objects by their text."""
    captured = capture(make(extra={"extra": value}))
    change(value)
    assert {"extra": kept} == sent(captured).extras


def test_later_changes_to_the_record_are_not_sent() -> None:
    """Another handler that rewrites the record rewrites its own, not ours."""
    record = make("order %d", 7, extra={"user": "ada"})
    captured = capture(record)
    record.msg, record.args, record.levelname = "gone", (), "X"
    record.__dict__.pop("user")
    assert ("order 7", "INFO", {"user": "ada"}) == (
        sent(captured).message,
        sent(captured).attributes["level"],
        sent(captured).extras,
    )


def test_an_exception_is_taken_as_it_was() -> None:
    """Args that an exception is given later are not sent; the traceback, its text and its type are."""
    error = ValueError("old")
    captured = capture(make(exc_info=failing(error)))
    error.args = ("new",)
    entry = sent(captured)
    assert ("ValueError", "old") == (entry.attributes["exc_type"], entry.attributes["exc_message"])
    assert entry.traceback.startswith("Traceback (most recent call last):\n")
    assert entry.traceback.endswith("\nValueError: old")


@pytest.mark.skipif(sys.version_info < (3, 11), reason="notes came with Python 3.11 (PEP 678)")
def test_an_exception_s_later_notes_are_not_sent() -> None:
    """The notes of the moment are part of the traceback; those added later are not."""
    error: Any = ValueError("bad")
    error.add_note("before")
    captured = capture(make(exc_info=failing(error)))
    error.add_note("after")
    assert sent(captured).traceback.endswith("\nValueError: bad\nbefore")


def test_an_exception_s_cause_is_sent() -> None:
    """What led to the exception is in its traceback, as everywhere."""
    error = ValueError("outer")
    error.__cause__ = failing(KeyError("inner"))[1]
    traceback = sent(capture(make(exc_info=failing(error)))).traceback
    assert "KeyError: 'inner'" in traceback
    assert traceback.index("inner") < traceback.index("outer")


def test_no_frame_is_kept_alive() -> None:
    """The frames of an exception hold every local variable of the program: they are let go at once."""
    captured = capture(make(exc_info=failing(ValueError("bad"))))
    assert captured.exc_info is None
    assert captured.exception is not None
    assert [None] * len(captured.exception.stack) == [frame.locals for frame in captured.exception.stack]


# ---- the record is not touched


@each(
    "record",
    [
        pytest.param(lambda: make("%s %s", [1], {"a": 1}), id="args"),
        pytest.param(lambda: make({"a": [1]}), id="dict"),
        pytest.param(lambda: make(Label("x")), id="object"),
        pytest.param(lambda: make(extra={"user": User("Ada", []), "list": [[1]]}), id="extras"),
        pytest.param(lambda: make(exc_info=failing(ValueError("bad"))), id="exception"),
        pytest.param(lambda: make("%d", "no number"), id="bad args"),
        pytest.param(lambda: make(stack="Stack (most recent call last):"), id="stack"),
    ],
)
def test_the_record_is_left_as_it_was(record: Callable[[], logging.LogRecord]) -> None:
    """The next handler sees the very objects that it would have seen without us, and no attribute more."""
    original = record()
    before = dict(original.__dict__)
    entry = sent(capture(original))
    assert entry.message
    assert list(before) == list(original.__dict__)
    assert all(before[name] is value for name, value in original.__dict__.items())


def test_the_copy_is_a_record() -> None:
    """Formatters and `handleError` get a LogRecord with all of its attributes, and none of ours among them."""
    record = make("order %d", 7, extra={"user": "ada"})
    captured = capture(record)
    assert isinstance(captured, logging.LogRecord)
    assert set(record.__dict__) == set(captured.__dict__)
    assert "order 7" == captured.getMessage()
    assert "order 7" == logging.Formatter().format(copy.copy(captured))


# ---- whatever it is given


@each(
    ("record", "parts"),
    [
        pytest.param(lambda: make("%d items", "many"), ["%d items", "many"], id="wrong kind"),
        pytest.param(lambda: make("%s and %s", "one"), ["%s and %s", "one"], id="too few"),
        pytest.param(lambda: make("none", "one"), ["none", "one"], id="too many"),
        pytest.param(lambda: make("100%", 1), ["100%"], id="bad format"),
        pytest.param(lambda: make("%(a)s", {"b": 1}), ["%(a)s", "'b': 1"], id="missing name"),
        pytest.param(lambda: make("from %s", Unprintable()), ["from %s"], id="unprintable argument"),
        pytest.param(Unprintable, ["Unprintable"], id="unprintable message"),
    ],
)
def test_msg_and_args_that_do_not_fit_are_both_sent(record: Callable[[], Any], parts: list[str]) -> None:
    """A mistake in a logging call costs neither the program nor the record: what was there is sent."""
    made = record()
    entry = sent(capture(made if isinstance(made, logging.LogRecord) else make(made)))
    assert [] == [part for part in parts if part not in entry.message]


@each(
    "value",
    [
        pytest.param(Unprintable(), id="unprintable"),
        pytest.param([Unprintable()], id="inside a list"),
        pytest.param({"k": Unprintable()}, id="inside a dict"),
        pytest.param(failing(Exception(Unprintable()))[1], id="inside an exception"),
    ],
)
def test_an_object_without_a_text_leaves_a_mark(value: Any) -> None:
    """An object whose `__str__` raises becomes a mark that names its class; all else of the record is sent."""
    entry = sent(capture(make(extra={"bad": value, "good": 7})))
    assert "Unprintable" in str(entry.extras["bad"]) or "Exception" in str(entry.extras["bad"])
    assert (7, "order placed") == (entry.extras["good"], entry.message)


def test_an_unprintable_exception_is_sent() -> None:
    """An exception whose text cannot be had is sent with its type and its traceback."""
    entry = sent(capture(make(exc_info=failing(ValueError(Unprintable())))))
    assert "ValueError" == entry.attributes["exc_type"]
    assert "Traceback" in entry.traceback


@each("exc_info", [True, (), (None, None, None), (ValueError,), "text", (1, 2, 3)], ids=repr)
def test_an_exc_info_that_is_none_does_no_harm(exc_info: Any) -> None:
    """`exc_info` may be anything in a record that was made by hand."""
    entry = sent(capture(make(exc_info=exc_info)))
    assert "order placed" == entry.message


def test_cycles_are_cut() -> None:
    """A list that holds itself, a dict that does: the cycle is a mark, what is around it is sent."""
    loop: list[Any] = [1]
    loop.append({"again": loop})
    twice = ["shared"]
    entry = sent(capture(make(extra={"loop": loop, "twice": [twice, twice]})))
    assert {"loop": [1, {"again": "<cycle>"}], "twice": [["shared"], ["shared"]]} == entry.extras


def test_depth_is_bounded() -> None:
    """A structure a thousand levels deep costs no recursion: below some level stands a mark."""
    deep: Any = "bottom"
    for _ in range(1_000):
        deep = [deep]
    frozen, _ = freeze(deep)
    levels = 0
    while isinstance(frozen, list):
        frozen, levels = frozen[0], levels + 1
    assert isinstance(frozen, Mark)
    assert MAX_DEPTH + 1 >= levels


@pytest.mark.parametrize("value", [list(range(5_000)), dict.fromkeys(range(5_000)), set(range(5_000))], ids=type)
def test_a_huge_container_is_taken_in_part(value: Any) -> None:
    """A logging call must not copy a database: the first thousand items, and how many were left out."""
    frozen, size = freeze(value)
    assert MAX_ITEMS + 1 == len(frozen)
    assert "4000 " in str(list(frozen.values())[-1] if isinstance(frozen, dict) else frozen[-1])
    assert size < 1_000 * MAX_ITEMS


def test_a_lazy_mapping_is_not_read_to_its_end() -> None:
    """A mapping that is a database is asked for no more entries than are sent."""
    shelf = Shelf(50_000)
    freeze(shelf)
    assert MAX_ITEMS >= shelf.asked


def test_generators_are_not_consumed() -> None:
    """A generator, an iterator or a file is named; reading it would take from the program what is its own."""
    numbers, letters, file = (number for number in range(3)), iter("abc"), io.StringIO("line")
    capture(make("%s", numbers, extra={"numbers": numbers, "inside": [letters], "file": file}))
    assert ([0, 1, 2], ["a", "b", "c"], "line") == (list(numbers), list(letters), file.read())


@each(
    ("value", "kept"),
    [
        pytest.param(Point(1, [2]), [1, [2]], id="namedtuple"),
        pytest.param(Colour.RED, "red", id="enum"),
        pytest.param(SafeText("safe"), "safe", id="subclass of str"),
        pytest.param(True, True, id="bool"),
        pytest.param(Decimal("1.10"), Decimal("1.10"), id="Decimal"),
        pytest.param(User, str(User), id="class"),
        pytest.param(ValueError("bad"), "ValueError: bad", id="exception"),
        pytest.param({(1, 2): "x"}, {"(1, 2)": "x"}, id="tuple as key"),
        pytest.param({1: "a", "1": "b"}, {"1": "a", "1_": "b"}, id="keys that look alike"),
        pytest.param(memoryview(b"abc"), b"abc", id="memoryview"),
    ],
)
def test_what_is_kept_is_plain(value: Any, kept: Any) -> None:
    """A private copy is made of atoms, dicts and lists, so that nothing of the program's is kept alive."""
    frozen, _ = freeze(value)
    assert kept == frozen
    assert type(kept) is type(frozen)


@given(st.recursive(st.integers() | st.text() | st.builds(Unprintable) | st.builds(Label, st.text()), st.lists))
@settings(deadline=None, max_examples=100)
def test_freezing_never_raises_and_leaves_only_plain_values(value: Any) -> None:
    """Whatever the value, what is kept is made of atoms, marks, dicts and lists alone."""

    def kinds(item: Any) -> Iterator[type]:
        yield type(item)
        for inner in item.values() if isinstance(item, dict) else item if isinstance(item, list) else ():
            yield from kinds(inner)

    assert set() == set(kinds(freeze(value)[0])) - ATOMS - {Mark, dict, list}


def test_an_extra_s_name_may_be_anything() -> None:
    """`extra={7: ...}` is taken by logging, so it is by us; a name without a text costs that extra at most."""
    entry = sent(capture(make(extra={7: "seven", Unprintable(): "odd", SafeText("safe"): "text", "good": 1})))
    assert ("seven", "text", 1) == (entry.extras["7"], entry.extras["safe"], entry.extras["good"])
    assert all(isinstance(name, str) for name in entry.extras)


@each("value", [SafeText("safe"), SimpleNamespace(a=1), 7, None, ["x"]], ids=lambda value: type(value).__name__)
@each("name", ["name", "levelname", "funcName", "lineno", "process", "threadName", "pathname"])
def test_standard_attributes_may_be_anything(name: str, value: Any) -> None:
    """A program that puts objects where logging puts texts and numbers loses neither record nor peace."""
    record = make()
    setattr(record, name, value)
    attributes = ("levelname", "name", "funcName", "lineno", "process", "threadName", "pathname")
    entry = Reader(attributes).read(capture(record))
    assert "order placed" == entry.message
    assert set() == {type(attribute) for attribute in entry.attributes.values()} - {str, int, float}


@each("created", ["now", None, -1.0, float("nan"), float("inf"), 1e300, True], ids=repr)
def test_a_time_that_is_none_becomes_now(created: Any) -> None:
    """A record whose `created` is no time is sent all the same, and says that its time was changed."""
    record = make()
    now, record.created = record.created, created
    entry = sent(capture(record))
    assert now <= entry.created <= now + 60
    assert ["time"] == entry.notes


@pytest.mark.parametrize("created", [0.0, 1_700_000_000.25, 1_700_000_000], ids=repr)
def test_the_record_s_own_time_is_kept(created: float) -> None:
    """`record.created` is the event's time, also of a record that came out of a file with whole seconds."""
    record = make()
    record.created = created
    entry = sent(capture(record))
    assert (created, []) == (entry.created, entry.notes)


# ---- records that are not logging's own


class BraceRecord(logging.LogRecord):
    """A record of the Logging Cookbook's kind: `{}` style, with its own `getMessage`."""

    def getMessage(self) -> str:
        return str(self.msg).format(*self.args or ())


def test_a_record_class_forms_its_own_message() -> None:
    """A subclass of LogRecord with its own `getMessage` is asked for it, at the moment of logging."""
    items = [1]
    captured = capture(BraceRecord(NAME, logging.INFO, "p", 1, "items: {}", (items, items), None))
    items.append(2)
    assert "items: [1]" == sent(captured).message


def test_attributes_of_a_record_factory_are_extras() -> None:
    """A record factory may add attributes, also before the standard ones; all are sent, and as they were."""
    tags = ["a"]

    class Factory(logging.LogRecord):
        def __init__(self, *args: Any, **kwargs: Any) -> None:
            self.request_id = tags  # before the standard attributes
            super().__init__(*args, **kwargs)

    record = Factory(NAME, logging.INFO, "p", 1, "hello", (), None)
    record.user = tags
    captured = capture(record)
    tags.append("b")
    assert {"request_id": ["a"], "user": ["a"]} == sent(captured).extras


@each("missing", ["msg", "args", "created", "exc_info", "exc_text", "stack_info", "levelname"])
def test_a_record_that_lacks_something_raises_at_most_what_emit_catches(missing: str) -> None:
    """A record made by hand may lack an attribute: it is sent without it, or refused by an Exception, never worse."""
    record = make()
    del record.__dict__[missing]
    with contextlib.suppress(AttributeError, KeyError):
        assert sent(capture(record)).message


# ---- text that is a subclass of text


def test_text_of_any_class_becomes_plain_text() -> None:
    """Django's SafeString as message, in an exception, as stack: the fast encoder takes exact text only."""
    record = make(SafeText("<b>"), exc_info=failing(ValueError(SafeText("<i>"))), stack=SafeText("stack"))
    entry = sent(capture(record))
    assert ("<b>", "<i>", "stack") == (entry.message, entry.attributes["exc_message"], entry.stack)
    assert {str} == {type(entry.message), type(entry.attributes["exc_message"]), type(entry.stack)}


@pytest.mark.parametrize("message", ["%d", "plain"])
def test_a_mark_never_leaves_as_a_mark(message: str) -> None:
    """The mark that stands for a message is plain text when it reaches the intake."""
    assert str is type(sent(capture(make(message, "no number"))).message)


@each("message", ["", "   ", "\n", None], ids=repr)
def test_an_empty_message_says_so(message: Any) -> None:
    """A strict server refuses an empty event, and the whole batch with it."""
    entry = sent(capture(make(message)))
    assert entry.message.strip()


def test_message_of_never_raises() -> None:
    """Even where neither message nor arguments have a text, there is one."""
    assert "Unprintable" in message_of(make(Unprintable(), Unprintable()))
    assert str(message_of(make("%s", 1))) == "1"


# ---- what it weighs


@each(
    "record",
    [
        pytest.param(make, id="message"),
        pytest.param(lambda text: make("%s", text), id="argument"),
        pytest.param(lambda text: make(extra={"extra": text}), id="extra"),
        pytest.param(lambda text: make(extra={"extra": [{"deep": text}]}), id="nested"),
        pytest.param(lambda text: make({"extra": text}), id="dict message"),
        pytest.param(lambda text: make(extra={"extra": text.encode()}), id="bytes"),
        pytest.param(lambda text: make("%s", text.encode()), id="bytes as argument"),
        pytest.param(lambda text: make(exc_info=failing(ValueError(text))), id="exception"),
        pytest.param(lambda text: make(stack=text), id="stack"),
        pytest.param(lambda text: make(extra={"extra": {text: 1}}), id="key"),
        pytest.param(lambda text: make(extra={"extra": 256 ** len(text)}), id="huge integer"),
    ],
)
def test_a_heavy_record_is_known_to_be_heavy(record: Callable[[str], logging.LogRecord]) -> None:
    """Memory is bounded by bytes, so a megabyte is counted as one, wherever in the record it hides."""
    assert 1_000_000 <= capture(record("x" * 1_000_000)).size
