"""The plan of the house, held to: imports look one way only, and foreign packages come in by one door each."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest
from cases import each

import loghttp

PACKAGE = Path(loghttp.__file__).parent
MOST_LINES = 320

# Each room imports from the floors above its own in this table, never from its own floor or from one below.
FLOORS = (
    ("_errors", "_stats", "_verdict", "_backoff", "_batch", "_celery", "_freeze", "_gevent", "_logginglock"),
    ("_selflog",),
    ("_capture", "_checks", "_encoding"),
    ("_entry", "_form", "_options", "_spool_rows", "_uwsgi"),
    ("intakes",),
    ("intakes.humio", "intakes.sekoia", "_bell", "_worker", "_outbox", "_recent", "_sender", "_spool_paths"),
    ("_inbox", "_spool_file", "_template"),
    ("_stock", "_spool"),
    ("_queue",),
    ("_spooling",),
    ("_durable",),
    ("_listener", "_courier"),
    ("_line",),
    ("_handler",),
    ("handlers",),
    ("",),  # loghttp/__init__.py
    ("testing",),
    ("cli",),
    ("__main__",),
)
# Houses of their own: their rooms may import each other.
HOUSES = ("testing", "cli")

# The only doors by which these come in. True: inside a function, so that only those who need it pay for it.
DOORS = {
    "requests": ({"_sender"}, False),
    "urllib3": ({"_sender"}, False),
    "sqlite3": ({"_spool_file", "_spool_rows", "_spool", "_durable"}, False),
    "pythonjsonlogger": ({"_entry", "intakes.sekoia"}, False),
    "orjson": ({"_encoding"}, True),
    "isal": ({"_sender"}, True),
}
# What a pure room has no use for.
WORLD = frozenset({"asyncio", "http", "multiprocessing", "os", "queue", "requests", "select", "signal", "socket"})
WORLD |= frozenset({"sqlite3", "ssl", "subprocess", "threading", "time", "urllib3"})
PURE = ("_errors", "_verdict", "_backoff", "_batch", "_capture", "_encoding", "_form", "_freeze", "_template")
PURE += ("intakes", "intakes.humio", "intakes.sekoia")
# A record whose own time is none gets that of its capture; nothing is waited for there.
ALLOWED = {"_capture": {"time"}}


def name_of(path: Path) -> str:
    """`_queue`, `intakes`, `intakes.humio`; the package itself is ``""``."""
    parts = path.relative_to(PACKAGE).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {name_of(path): path for path in sorted(PACKAGE.rglob("*.py"))}


@cache
def tree_of(module: str) -> ast.Module:
    return ast.parse(MODULES[module].read_text(encoding="utf-8"))


def imports_of(module: str) -> Iterator[tuple[str, bool]]:
    """All names a module imports, with their dots; and whether that is done inside a function."""

    def within(node: ast.AST, lazy: bool) -> Iterator[tuple[str, bool]]:
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.Import):
                yield from ((alias.name, lazy) for alias in child.names)
            elif isinstance(child, ast.ImportFrom):
                assert 0 == child.level, f"{module}: relative imports hide where a name comes from"
                yield from ((f"{child.module}.{alias.name}", lazy) for alias in child.names)
            yield from within(child, lazy or isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef))

    yield from within(tree_of(module), False)


def rooms_imported_by(module: str) -> set[str]:
    """The rooms of loghttp that a module imports from: `loghttp._queue.Buffer` comes from `_queue`."""
    rooms = set()
    for name, _ in imports_of(module):
        top, _, rest = name.partition(".")
        while top == "loghttp" and rest not in MODULES:
            rest = rest.rpartition(".")[0]
        if top == "loghttp":
            rooms.add(rest)
    return rooms


def floor_of(module: str) -> int | None:
    house = next((house for house in HOUSES if module.partition(".")[0] == house), module)
    return next((number for number, rooms in enumerate(FLOORS) if house in rooms), None)


def test_every_module_stands_in_the_table() -> None:
    """A module that no floor names has no place in the house yet: give it one."""
    assert [] == [module for module in MODULES if floor_of(module) is None]


@each("module", MODULES)
def test_imports_look_one_way(module: str) -> None:
    """A room imports only from the floors above its own in the table, so there is no circle."""
    house = module.partition(".")[0]
    wrong = {
        room
        for room in rooms_imported_by(module)
        if not (house in HOUSES and room.partition(".")[0] == house) and floor_of(room) >= floor_of(module)
    }
    assert set() == wrong


@each("module", [module for module in MODULES if module.partition(".")[0] == "testing"])
def test_testing_stands_by_itself(module: str) -> None:
    """The judge knows nothing of the judged: loghttp.testing shares no code with what it tests."""
    assert set() == {room for room in rooms_imported_by(module) if room.partition(".")[0] != "testing"}


@each("package", DOORS)
def test_a_foreign_package_comes_in_by_its_own_doors_only(package: str) -> None:
    """Each foreign package is imported where it is at home, so that it can be replaced in one place."""
    doors, _ = DOORS[package]
    users = {
        module
        for module in MODULES
        if module.partition(".")[0] not in HOUSES
        and any(name.partition(".")[0] == package for name, _ in imports_of(module))
    }
    assert set() == users - doors


@pytest.mark.parametrize("package", [package for package, (_, lazy) in DOORS.items() if lazy])
def test_an_optional_package_is_imported_inside_a_function(package: str) -> None:
    """loghttp works without the `fast` extra, so no import of it stands at the top of a module."""
    at_the_top = [
        module
        for module in MODULES
        for name, lazy in imports_of(module)
        if name.partition(".")[0] == package and not lazy
    ]
    assert [] == at_the_top


@pytest.mark.parametrize("package", ["click", "rich"])
def test_the_console_s_packages_are_used_by_the_console_alone(package: str) -> None:
    """A program that only logs never needs click or rich."""
    users = [m for m in MODULES if any(name.partition(".")[0] == package for name, _ in imports_of(m))]
    assert [] == [module for module in users if module.partition(".")[0] != "cli"]


@each("module", PURE)
def test_a_pure_room_touches_nothing_of_the_world(module: str) -> None:
    """No socket, no thread, no clock: what a pure room does depends on its arguments alone."""
    used = {name.partition(".")[0] for name, _ in imports_of(module)} & WORLD
    assert set() == used - ALLOWED.get(module, set())


@each("module", [module for module in MODULES if module.partition(".")[0] != "cli"])
def test_nothing_is_printed(module: str) -> None:
    """loghttp speaks on its logger, and at exit on stderr; stdout belongs to the program."""
    calls = (node.func for node in ast.walk(tree_of(module)) if isinstance(node, ast.Call))
    assert [] == [func.lineno for func in calls if isinstance(func, ast.Name) and func.id == "print"]


@each("module", MODULES)
def test_every_module_says_what_it_is_for(module: str) -> None:
    """A module's first paragraph says its one job; a reader starts there."""
    assert (ast.get_docstring(tree_of(module)) or "").strip()


@each("module", MODULES)
def test_no_file_is_longer_than_can_be_read_at_a_sitting(module: str) -> None:
    """A room that grows beyond 320 lines has two jobs."""
    assert MOST_LINES >= len(MODULES[module].read_text(encoding="utf-8").splitlines())


def test_the_public_face_is_what_the_design_says() -> None:
    """The four names that programs build on are there, and every public name can be imported."""
    assert {"ConfigurationError", "HumioHECHandler", "SekoiaHandler", "Stats"} <= set(loghttp.__all__)
    assert [] == [name for name in loghttp.__all__ if not hasattr(loghttp, name)]
