"""The annotations are part of the public face: type checkers accept every supported call, and no other."""

from __future__ import annotations

import ast
import importlib.util
import inspect
import json
import subprocess
import sys
from itertools import pairwise
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

import loghttp
from loghttp import _options, _stats, handlers, intakes, testing
from loghttp.handlers import IntakeHandler

TESTS = Path(__file__).parent
DIAGNOSTICS = "generalDiagnostics"


@pytest.mark.skipif(importlib.util.find_spec("mypy") is None, reason="mypy is not installed")
@pytest.mark.timeout(300)
def test_mypy_accepts_every_supported_call_and_no_other() -> None:
    """`mypy --strict` has nothing to say of `typing_calls.py`, where what must be refused bears an ignore."""
    cache = TESTS.parent / ".mypy_cache" / "calls"  # most of the time goes into the standard library
    command = [sys.executable, "-m", "mypy", "--strict", "--cache-dir", str(cache), "--config-file", ""]
    done = subprocess.run(
        [*command, str(TESTS / "typing_calls.py")], capture_output=True, text=True, check=False, cwd=TESTS.parent
    )
    assert (0, "Success: no issues found in 1 source file\n") == (done.returncode, done.stdout), (
        done.stdout + done.stderr
    )


def test_pyright_refuses_the_same_lines_as_mypy(tmp_path: Path) -> None:
    """In strict mode, pyright, which editors use, refuses each line that bears an ignore, and none besides."""
    pytest.importorskip("basedpyright")
    calls = TESTS / "typing_calls.py"
    configuration = {
        "include": [str(calls)],
        "typeCheckingMode": "strict",
        "pythonVersion": "3.10",
        "enableTypeIgnoreComments": False,
    }
    (tmp_path / "pyrightconfig.json").write_text(json.dumps(configuration))
    command = [sys.executable, "-m", "basedpyright", "-p", str(tmp_path), "--pythonpath", sys.executable]
    done = subprocess.run([*command, "--outputjson"], capture_output=True, text=True, check=False, cwd=TESTS.parent)

    refused = {found["range"]["start"]["line"]: found["message"] for found in json.loads(done.stdout)[DIAGNOSTICS]}
    lines = calls.read_text().splitlines()
    assert [number for number, line in enumerate(lines) if "# type: ignore" in line] == sorted(refused), refused


def words_beside(module: ModuleType, name: str) -> dict[str, str]:
    """The attributes of a class that have words beside them, where editors look, and these words."""
    [kind] = [
        node
        for node in ast.parse(Path(str(module.__file__)).read_text()).body
        if isinstance(node, ast.ClassDef) and node.name == name
    ]
    return {
        node.target.id: str(words.value.value)
        for node, words in pairwise(kind.body)
        if isinstance(node, ast.AnnAssign)
        and isinstance(node.target, ast.Name)
        and isinstance(words, ast.Expr)
        and isinstance(words.value, ast.Constant)
    }


@pytest.mark.parametrize(
    ("module", "kind"), [(_options, loghttp.DeliveryOptions), (_stats, loghttp.Stats)], ids=["options", "stats"]
)
def test_pydoc_says_what_editors_say(module: ModuleType, kind: Any) -> None:
    """pydoc does not see the words beside an attribute: the class's own words have them all, to the letter."""
    said = " ".join(str(kind.__doc__).split())
    beside = words_beside(module, kind.__name__)
    assert list(kind.__annotations__) == list(beside)
    assert [] == [name for name, words in beside.items() if f"{name}: {' '.join(words.split())}" not in said]


@pytest.mark.parametrize("module", [loghttp, handlers, intakes, testing], ids=lambda module: str(module.__name__))
def test_everything_public_has_its_words(module: ModuleType) -> None:
    """Each public class and function has a docstring of its own, and so has each of their methods."""
    silent = []
    public = {name: getattr(module, name) for name in getattr(module, "__all__", ["IntakeHandler"])}
    for name, value in public.items():
        if inspect.isclass(value):
            members = {f"{name}.{member}": found for member, found in vars(value).items() if member[0] != "_"}
            public_members = {k: v for k, v in members.items() if inspect.isfunction(v) or isinstance(v, property)}
            silent += [member for member, found in public_members.items() if not found.__doc__]
        if callable(value) and (not value.__doc__ or value.__doc__.startswith(f"{name}(")):  # a dataclass's own
            silent.append(name)
    assert [] == silent


def test_every_option_is_documented_where_editors_look() -> None:
    """Each argument has its line in the class's docstring, of which editors show the one that is being typed."""
    for handler in (IntakeHandler, loghttp.HumioHECHandler, loghttp.SekoiaHandler):
        arguments = [name for name in inspect.signature(handler).parameters if name != "delivery"]
        assert [] == [name for name in arguments if f"\n    {name}: " not in str(inspect.getdoc(handler))]


@pytest.mark.parametrize("handler", [loghttp.HumioHECHandler, loghttp.SekoiaHandler])
def test_options_of_delivery_are_documented_beside_the_arguments(handler: type[IntakeHandler]) -> None:
    """Nobody has to look elsewhere: each option's own words are a line in the docstrings of both handlers."""
    beside = words_beside(_options, "DeliveryOptions")
    assert list(loghttp.DeliveryOptions.__annotations__) == list(beside)
    said = str(inspect.getdoc(handler))
    assert [] == [name for name, words in beside.items() if f"\n    {name}: {words}\n" not in said]


def test_every_option_has_its_line_among_the_calls() -> None:
    """What a user may write is checked by mypy and pyright: no option is forgotten in `typing_calls.py`."""
    calls = ast.walk(ast.parse((TESTS / "typing_calls.py").read_text()))
    given = {keyword.arg for call in calls if isinstance(call, ast.Call) for keyword in call.keywords}
    supported = set(loghttp.DeliveryOptions.__annotations__)
    for handler in (loghttp.HumioHECHandler, loghttp.SekoiaHandler):
        supported |= inspect.signature(handler).parameters.keys() - {"delivery"}
    assert set() == supported - given


def test_the_package_says_that_it_is_typed() -> None:
    """PEP 561: without `py.typed`, type checkers ignore all annotations of an installed package."""
    assert (Path(loghttp.__file__).parent / "py.typed").is_file()
