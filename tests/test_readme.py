"""What the README says is so: its blocks run, its tables are those of the code, and the tests it names exist.

Python blocks run against a `LocalIntake` in the place of both services, shell blocks in bash with the real command.
"""

from __future__ import annotations

import ast
import inspect
import logging
import logging.config
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from test_hec_servers import NGINX_HTTP, NGINX_LOCATION, FluentBit, Tenzir

import loghttp
from loghttp._options import Delivery
from loghttp.intakes import humio, sekoia
from loghttp.testing import LocalIntake, ReceivedEvent

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
DEADLINE = 30.0  # seconds

Run = Callable[[str], dict[str, Any]]


class Block(NamedTuple):
    """A fenced block: its language, the heading it stands under, its text."""

    language: str
    heading: str
    text: str


def read_blocks() -> list[Block]:
    blocks, heading, inside = [], "", None
    lines: list[str] = []
    for line in README.splitlines():
        if line.startswith("```"):
            if inside is not None:
                blocks.append(Block(inside, heading, "\n".join(lines) + "\n"))
            inside, lines = (line[3:], []) if inside is None else (None, [])
        elif inside is not None:
            lines.append(line)
        elif line.startswith("#"):
            heading = line.lstrip("# ")
    assert inside is None
    return blocks


BLOCKS = read_blocks()


def of(language: str, word: str = "") -> list[Block]:
    """The blocks in a language that hold a word."""
    return [block for block in BLOCKS if block.language == language and word in block.text]


def only(language: str, word: str) -> str:
    [block] = of(language, word)
    return block.text


def rows(header: str) -> list[list[str]]:
    """The cells of the table that begins with this line."""
    lines = README[README.index(header) :].split("\n\n")[0].splitlines()[2:]
    return [[cell.strip() for cell in re.split(r"(?<!\\)\|", line.strip("|"))] for line in lines]


# ---- Python


@pytest.fixture
def run(intake: LocalIntake, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Run]:
    """Runs a block as a user's file, whose environment points to the intake; undoes what it does to logging."""
    for name, value in environment_of(intake).items():
        monkeypatch.setenv(name, value)
    root, level = logging.getLogger(), logging.getLogger().level
    monkeypatch.setattr(root, "handlers", [])
    before = {name: list(logging.getLogger(name).handlers) for name in ("shop", "shop.security", "loghttp")}

    def here(text: str) -> dict[str, Any]:
        text = re.sub(r"https://cloud\.humio\.com|http://127\.0\.0\.1:8088", intake.url, text)
        text = text.replace("collector-token", intake.token).replace("/var/spool", str(tmp_path))
        names: dict[str, Any] = {"__name__": "readme"}
        exec(compile(text, "README.md", "exec"), names)  # noqa: S102 - this is what the test is for
        return names

    yield here
    for handler in handlers_of("", *before):
        handler.close()
    for name, handlers in before.items():
        logging.getLogger(name).handlers[:] = handlers
        logging.getLogger(name).setLevel(logging.NOTSET)
    root.setLevel(level)


def environment_of(intake: LocalIntake) -> dict[str, str]:
    humio_variables = {"HUMIO_URL": intake.url, "HUMIO_INGEST_TOKEN": intake.token}
    return {
        **humio_variables,
        "SEKOIA_URL": intake.url,
        "SEKOIA_INTAKE_KEY": intake.intake_key,
        "NO_PROXY": "127.0.0.1",
    }


def handlers_of(*names: str) -> list[Any]:
    """loghttp's handlers on these loggers, each once."""
    found = [handler for name in names for handler in logging.getLogger(name).handlers]
    return list(dict.fromkeys(handler for handler in found if hasattr(handler, "stats")))


def arrived(intake: LocalIntake, *names: str) -> list[ReceivedEvent]:
    """What the intake has, once these loggers' handlers have delivered."""
    assert all(handler.flush(DEADLINE) for handler in handlers_of("", *names))
    return intake.events


def test_the_first_lines(run: Run, intake: LocalIntake) -> None:
    """The README's first Python sends one record, with its extra as a field."""
    run(of("python")[0].text)
    [event] = arrived(intake)
    assert ("disk sda1 is almost full", 91) == (event.message, event.fields["percent"])


def test_quick_start_humio(run: Run, intake: LocalIntake) -> None:
    """Tags, parser, nested extras."""
    run(only("python", 'sourcetype="shop"'))
    [event] = arrived(intake, "shop")
    assert ("order 1042 placed", "shop", {"env": "prod"}) == (event.message, event.sourcetype, event.tags)
    assert (7, 59.9) == (event.fields["user.id"], event.fields["total"])


def test_quick_start_sekoia(run: Run, intake: LocalIntake) -> None:
    """Quoted JSON with the static field and nested extras."""
    run(only("python", "sign-in refused"))
    [event] = arrived(intake, "shop.security")
    assert isinstance(event.event, dict)
    assert ("sign-in refused", "prod", {"name": "admin"}) == tuple(event.event[n] for n in ("message", "env", "user"))


def test_quick_start_dict_config(run: Run, intake: LocalIntake) -> None:
    """Humio gets all, with the level as a tag, SEKOIA.IO the warnings."""
    run(only("python", "tag_attributes"))
    logging.getLogger("any").info("a")
    logging.getLogger("any").warning("b")
    events = arrived(intake)
    assert [("a", "INFO"), ("b", "WARNING")] == [(e.message, e.tags["level"]) for e in events if e.dialect == "hec"]
    assert ["b"] == [event.message for event in events if event.dialect == "sekoia"]


def test_quick_start_django(run: Run, intake: LocalIntake) -> None:
    """`LOGGING` is what `dictConfig` takes."""
    logging.config.dictConfig(run(only("python", "LOGGING = {"))["LOGGING"])
    logging.getLogger("django.request").error("Internal Server Error")
    assert [("Internal Server Error", "django")] == [(event.message, event.sourcetype) for event in arrived(intake)]


def test_quick_start_flask(run: Run, intake: LocalIntake) -> None:
    """A request's record bears its URL and method."""
    pytest.importorskip("flask")
    client = run(only("python", "from flask"))["app"].test_client()
    assert {"order": 7} == client.get("/orders/7").json
    [event] = arrived(intake)
    assert ("order 7 shown", "http://localhost/orders/7", "GET") == (
        event.message,
        event.fields["url"],
        event.fields["method"],
    )


def test_durable_mode(run: Run, intake: LocalIntake, tmp_path: Path) -> None:
    """The folder is made, and what passes through it arrives."""
    handler = run(only("python", "spool_dir="))["handler"]
    handler.handle(logging.makeLogRecord({"msg": "kept"}))
    assert handler.flush(DEADLINE)
    handler.close()
    assert (["kept"], True) == ([event.message for event in intake.events], (tmp_path / "myapp").is_dir())


def test_a_frozen_function(run: Run, intake: LocalIntake) -> None:
    """What is logged in an invocation has arrived at its end."""
    run(only("python", "lambda_handler"))["lambda_handler"]({"name": "mug.png"}, None)
    assert ["picture refused"] == [event.message for event in intake.events]


def test_a_collector(run: Run, intake: LocalIntake, monkeypatch: pytest.MonkeyPatch) -> None:
    """Other HEC servers get `Splunk`, their own path, and everything inside `event`."""
    handler = run(only("python", 'auth_scheme="Splunk"'))["handler"]
    handler.handle(logging.makeLogRecord({"msg": "order placed", "user": {"id": 7}}))
    handler.close()
    [request] = intake.requests
    assert ("/services/collector", f"Splunk {intake.token}") == (request.path, request.headers["Authorization"])
    [event] = intake.events
    assert isinstance(event.event, dict)
    assert {"id": 7} == event.event["user"]


def test_loghttp_speaks(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    """A handler for the logger `loghttp` is all it takes."""
    run(only("python", 'getLogger("loghttp")'))
    logging.getLogger("loghttp").warning("not delivered yet")
    assert "not delivered yet\n" == capsys.readouterr().err


def test_a_users_test(run: Run, intake: LocalIntake) -> None:
    """The test of a user's own passes with the fixture."""
    run(only("python", "def test_"))["test_a_declined_card_is_logged"](intake)


def test_no_python_is_left_out() -> None:
    """Each Python block has its test above."""
    assert 11 == len(of("python"))


def test_the_books_read_as_shown(run: Run, intake: LocalIntake) -> None:
    """The lines of the console session are what Python shows, but for the numbers."""
    handler = loghttp.HumioHECHandler(intake.url, intake.token)
    handler.handle(logging.makeLogRecord({"msg": "x"}))
    shown: list[str] = []
    for line in only("pycon", "stats()").splitlines():
        shown += [line] + ([repr(eval(line[4:], {"handler": handler}))] if line.startswith(">>> ") else [])  # noqa: S307
    handler.close()
    without = [re.sub(r"[\d,]+", "N", line) for line in shown if line.startswith(">>>") or line in shown]
    answers = [re.sub(r"[\d,]+", "N", line) for line in only("pycon", "stats()").splitlines()]
    assert answers == list(dict.fromkeys(without))


# ---- the shell

SET_UP = "python3 -m venv .venv && "


def bash(text: str, tmp_path: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run a block in bash, where `loghttp` is this one and `app` a program that logs two lines."""
    tools = tmp_path / "tools"
    tools.mkdir(exist_ok=True)
    for name, line in {
        "loghttp": f'exec "{sys.executable}" -m loghttp "$@"',
        "app": 'echo \'{"message": "a", "level": "error"}\'; echo b >&2',
    }.items():
        (tools / name).write_text(f"#!/bin/sh\n{line}\n")
        (tools / name).chmod(0o755)
    environment = os.environ | {
        "PATH": f"{tools}:{os.environ['PATH']}",
        "PYTHONPATH": str(Path(loghttp.__file__).parents[1]),
    }
    return subprocess.run(
        ["bash", "-euo", "pipefail", "-c", text],
        cwd=tmp_path,
        env=environment | variables,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=DEADLINE,
        check=False,
    )


@pytest.fixture
def in_bash(intake: LocalIntake, tmp_path: Path) -> Callable[[str], str]:
    """Runs a block whose environment points to the intake; returns what it prints. It must succeed."""
    pytest.importorskip("click")
    pytest.importorskip("rich")

    def run_block(text: str) -> str:
        text = text.replace("HUMIO_INGEST_TOKEN=...", f"HUMIO_INGEST_TOKEN={intake.token}").replace(
            "/var/", f"{tmp_path}/"
        )
        done = bash(text, tmp_path, **environment_of(intake))
        assert 0 == done.returncode, done.stdout + done.stderr
        return done.stdout

    return run_block


def test_check(in_bash: Callable[[str], str], intake: LocalIntake) -> None:
    """`loghttp check` sends its one event, and its steps are those that the README shows."""
    out = in_bash(only("sh", "loghttp check"))
    assert 1 == len(intake.events)
    shown = re.findall(r"^  (?:ok|FAIL) +(\w+)", only("", "certificate verify failed"), re.MULTILINE)
    steps = re.findall(r"^  ok +(\w+)", out, re.MULTILINE)
    # An address needs no name, and http:// has no certificate.
    assert [step for step in shown if step not in ("name", "certificate")] == steps


def test_what_check_advises_is_in_it() -> None:
    """The cure that the README shows is one that the command gives."""
    [advice] = re.findall(r"-> (.*)", only("", "certificate verify failed"))
    assert advice in (Path(loghttp.__file__).parent / "cli" / "_check_certificate.py").read_text()


def test_send(in_bash: Callable[[str], str], intake: LocalIntake, tmp_path: Path) -> None:
    """Both lines of `loghttp send` deliver: a pipe with text and JSON, and files from cron."""
    (tmp_path / "log").mkdir()
    (tmp_path / "log" / "app.log.1").write_text("old\n")
    (tmp_path / "log" / "app.log").write_text("new\n")
    in_bash(only("sh", "loghttp send"))
    events = intake.events
    assert {"a", "b"} == {event.message for event in events if event.dialect == "hec"}
    assert ["old", "new"] == [event.message for event in events if event.dialect == "sekoia"]


def test_spool(in_bash: Callable[[str], str], tmp_path: Path) -> None:
    """`loghttp spool` looks into a folder, and drains it."""
    (tmp_path / "spool" / "myapp").mkdir(parents=True)
    in_bash(only("sh", "loghttp spool"))


def test_demo(in_bash: Callable[[str], str]) -> None:
    """What the README's first command ends with runs."""
    text = only("sh", "loghttp demo")
    assert text.startswith(SET_UP)
    assert "accepted" in in_bash(text.rpartition("&& ")[2].replace(".venv/bin/", ""))


def test_serve_and_the_benchmark_know_their_options(in_bash: Callable[[str], str]) -> None:
    """These run long: that their options exist is seen in help and source (and each has tests of its own)."""
    serve, serve_help = only("sh", "loghttp serve").split(), in_bash("loghttp serve --help")
    assert [] == [option for option in serve[2:] if option not in serve_help]
    [variables] = re.findall(r"`(HUMIO_URL=\S+ HUMIO_INGEST_TOKEN=\S+)`", README)
    assert variables in serve_help
    benchmark = (ROOT / "tests" / "benchmarks" / "__main__.py").read_text()
    commands = " ".join(block.text for block in of("sh", "tests/benchmarks"))
    assert [] == [option for option in re.findall(r" (--[a-z-]+)", commands) if f'"{option}"' not in benchmark]


def test_two_commands_set_everything_up() -> None:
    """One command ends in the demo, one in the tests, which `.ci/run` takes from here; nothing is a third."""
    lines = [line for block in of("sh") for line in block.text.splitlines() if line.startswith("python3 -m venv")]
    assert [".venv/bin/loghttp demo", ".venv/bin/python tests/benchmarks --quick", ".venv/bin/pytest"] == [
        line.rpartition("&& ")[2] for line in lines
    ]
    assert 1 == len(re.findall(r"^python3 -m venv .*pytest", README, re.MULTILINE))


def test_no_command_is_left_out() -> None:
    """Each shell block has its test above."""
    assert 8 == len(of("sh"))


# ---- configurations of others are those that tests/test_hec_servers.py runs


def squeezed(text: str) -> str:
    return " ".join(text.split())


def test_tenzir() -> None:
    """The pipeline's source is the one that the tests run; only address and token are others."""
    source = Tenzir.source.format(port=8088, token="collector-token").replace("127.0.0.1", "0.0.0.0")  # noqa: S104
    [pipeline] = [block.text for block in BLOCKS if "accept_splunk" in block.text]
    assert source == pipeline.splitlines()[0]
    assert re.fullmatch(r'to_file ".*" \{ write_ndjson \}', pipeline.splitlines()[1])


def test_fluent_bit() -> None:
    """The input has the plugin and the options that the tests run."""
    yaml = pytest.importorskip("yaml")
    [given] = yaml.safe_load(only("yaml", "splunk"))["pipeline"]["inputs"]
    source = FluentBit.source.format(port=8088, token="collector-token", more="")
    options = dict(re.findall(r'(\w+): "([^"]*)"', source))
    assert {**options, "listen": "0.0.0.0", "port": 8088} == {k: v for k, v in given.items() if k != "name"}  # noqa: S104
    assert f'"{given["name"]}"' in source


def test_nginx() -> None:
    """The map and the location are those that the tests run."""
    block = squeezed(only("nginx", "upstream"))
    servers = "server 10.0.0.11:8088; server 10.0.0.12:8088;"
    assert squeezed(NGINX_HTTP.format(servers=servers)) in block
    assert squeezed(NGINX_LOCATION) in block


# ---- tables

UNITS = {"MiB": 1024**2, "GiB": 1024**3, "DEFAULT_ATTRIBUTES": loghttp.DEFAULT_ATTRIBUTES}


@pytest.mark.parametrize(
    ("letter", "kind", "limits"),
    [("H", loghttp.HumioHECHandler, humio.LIMITS), ("S", loghttp.SekoiaHandler, sekoia.BATCH_LIMITS)],
    ids=["Humio", "SEKOIA.IO"],
)
def test_the_options_are_those_of_the_code(letter: str, kind: Any, limits: Any) -> None:
    """Each option stands in the table once, with the default that it has."""
    told = {}
    for names, whose, default, _ in rows("| option | for |"):
        for name in re.findall(r"`(\w+)`", names) if letter in whose else []:
            assert name not in told, "twice"
            told[name] = eval(default.strip("`"), dict(UNITS))  # noqa: S307 - our own README
    delivery = Delivery.checked({}, limits)
    parameters = inspect.signature(kind).parameters
    code = {name: parameter.default for name, parameter in parameters.items() if name != "delivery"}
    code |= {name: getattr(delivery, name) or None for name in loghttp.DeliveryOptions.__annotations__}
    code["spool_fsync"] = delivery.spool_fsync
    assert code == told


def test_the_reasons_are_those_of_the_code() -> None:
    """Every reason for a loss is in the table."""
    assert [f"`{reason}`" for reason in loghttp.DROP_REASONS] == [row[0] for row in rows("| reason | meaning |")]


def test_the_extras_are_those_of_the_package() -> None:
    """Each extra of pyproject.toml is told."""
    section = (
        (ROOT / "pyproject.toml").read_text().partition("[project.optional-dependencies]")[2].partition("\n\n[")[0]
    )
    extras = re.findall(r"^(\w+) = \[", section, re.MULTILINE)
    assert [f"`{extra}`" for extra in extras] == [row[0] for row in rows("| `pip install 'loghttp[...]'` |")]


def test_the_comparison_names_tests_that_exist() -> None:
    """What loghttp is said to do, a test shows; each line of the comparison names it."""
    functions = {
        node.name
        for path in Path(__file__).parent.glob("test_*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.FunctionDef)
    }
    lines = [row[0].partition(".")[0] for row in rows("| | loghttp | splunk |")]
    named = re.findall(r"^(\d+)\. `(test_\w+)`$", README, re.MULTILINE)
    assert [number for number, _ in named] == lines
    assert [] == [name for _, name in named if name not in functions]


def test_attributes_are_those_of_the_code() -> None:
    """The eight attributes that are sent by default are the ones the table of what arrives has."""
    [row] = [row for row in rows("| | Humio | SEKOIA.IO |") if row[0] == "attributes"]
    assert list(loghttp.DEFAULT_ATTRIBUTES) == re.findall(r"`(\w+)`", row[1])[: len(loghttp.DEFAULT_ATTRIBUTES)]


def test_symptoms_are_loghttp_s_own_words() -> None:
    """What the table of symptoms quotes can be found in the code."""
    code = "".join(path.read_text() for path in Path(loghttp.__file__).parent.rglob("*.py"))
    code = re.sub(r'"\s*f?"', "", code)  # texts over two lines
    for quoted in ("not delivered yet, nothing is lost", "records were", "lost at shutdown", "travels in clear"):
        assert quoted in code, quoted


# ---- the page


def test_the_first_lines_come_soon() -> None:
    """Within some sixty words there is something to run, and before the second heading something to write."""
    assert 60 >= len(README.partition("```")[0].split())
    assert "```python" in README.partition("\n## ")[0]


def test_links_lead_somewhere() -> None:
    """Each file and each heading that is linked to exists; each main heading after it is in the contents."""
    headings = re.findall(r"^#+ (.*)", re.sub(r"^```.*?^```", "", README, flags=re.MULTILINE | re.DOTALL), re.MULTILINE)
    anchors = {"#" + re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}
    links = re.findall(r"\]\(([^)]+)\)", README)
    for link in links:
        assert link in anchors or link.startswith("https://") or (ROOT / link).exists(), link
    after = re.findall(r"^## (.*)", README.partition("## Contents")[2], re.MULTILINE)
    assert after == re.findall(r"^- \[(.*)\]", README.partition("## Contents")[2].partition("\n## ")[0], re.MULTILINE)


def test_no_line_is_too_wide_to_read() -> None:
    """Prose and code keep to 130 characters; tables wrap by themselves."""
    wide = [line for line in README.splitlines() if len(line) > 130 and not line.startswith(("|", "- ["))]
    assert [] == wide
