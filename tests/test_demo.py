"""`loghttp demo` runs as the real process that a user starts: in a pipe, in a terminal of their width, with --json.

The tables say what the shop of the demo logs; what is not among them (time, line, process) differs from run to run.
"""

from __future__ import annotations

import functools
import json
import re
import subprocess
import sys
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from terminals import DEADLINE, Ended, environment, run_in_pipe, run_in_terminal

pytest.importorskip("click")
pytest.importorskip("rich")

DEMO = ("-m", "loghttp", "demo")
SECRETS = ("hunter2", "letmein-1999", "test-token", "test-key")
ESCAPE = re.compile(r"\x1b\[[0-9;]*m")
# What each event has besides; `level` is told apart.
ATTRIBUTES = {"logger", "module", "function", "line", "process", "thread", "sequence"}

AMELIE = {"id": 42, "name": "amelie", "country": "FR"}
BASKET = {"id": "b-7", "items": ["mug", "pen"], "total": 59.9}
NO_ANSWER = {"exc_type": "ConnectionError", "exc_message": "no answer for 59.9 EUR"}
SCENE: list[tuple[str, str, dict[str, Any]]] = [
    ("INFO", "GET /mugs", {"status": 200, "duration_ms": 12.4}),
    ("INFO", "amelie signed in", {"user": AMELIE, "password": "[redacted]"}),
    ("INFO", "POST /basket", {"status": 201, "duration_ms": 31.8, "user": AMELIE}),
    ("INFO", "basket b-7 is ready", {"user": AMELIE, "basket": BASKET}),
    ("WARNING", "only 2 left of mug", {"article": {"name": "mug", "stock": 2}}),
    (
        "WARNING",
        "sign-in refused",
        {"form": {"name": "admin", "password": "[redacted]"}, "attempts": 5, "remote_addr": "203.0.113.9"},
    ),
    ("WARNING", "POST /checkout is slow", {"status": 200, "duration_ms": 2904.6, "user": AMELIE}),
    ("ERROR", "payment failed", {"basket": BASKET, "card": {"brand": "visa", "last4": "0055"}, **NO_ANSWER}),
]
MESSAGES = [message for _, message, _ in SCENE]


in_pipe = functools.cache(run_in_pipe)  # several tests look at one run
in_terminal = functools.cache(run_in_terminal)


def without_codes(out: str) -> str:
    """What a terminal shows, without how."""
    text = ESCAPE.sub("", out)
    assert "\x1b" not in text
    return text


def received() -> dict[str, Any]:
    """What the demo says for programs."""
    ended = in_pipe(*DEMO, "--json")
    assert (ended.code, ended.err) == (0, "")
    document: dict[str, Any] = json.loads(ended.out)
    return document


def flat(extras: dict[str, Any]) -> dict[str, Any]:
    """As Humio has them: dotted names, lists as JSON text."""
    fields: dict[str, Any] = {}
    for name, value in extras.items():
        if isinstance(value, dict):
            fields |= {f"{name}.{inner}": member for inner, member in flat(value).items()}
        else:
            fields[name] = json.dumps(value, separators=(",", ":")) if isinstance(value, list) else value
    return fields


def test_a_pipe_gets_one_plain_line_for_each_event() -> None:
    """In a pipe, each intake has one line an event, in order, and nothing is there but printable ASCII."""
    ended = in_pipe(*DEMO)

    assert (ended.code, ended.err) == (0, "")
    assert set(ended.out) <= {"\n", *map(chr, range(32, 127))}
    lines = ended.out.splitlines()
    for intake, level_name, text_name in (("humio", "#level", "@rawstring"), ("sekoia", "level", "message")):
        events = [line for line in lines if line.startswith(f"{intake} @timestamp=")]
        assert len(events) == len(SCENE)
        for line, (level, message, _) in zip(events, SCENE, strict=True):
            assert f' {level_name}={level} {text_name}="{message}' in line


def test_a_pipe_gets_the_books_and_what_to_do_next() -> None:
    """In a pipe, the events are followed by the books of each handler, and by lines that are valid Python."""
    out = in_pipe(*DEMO).out

    assert re.findall(r"(?m)^(\w+) stats accepted=8 delivered=8 pending=0 dropped=0 requests=", out) == [
        "humio",
        "sekoia",
    ]
    heading, code = out.split("set:\n\n")
    assert "HUMIO_INGEST_TOKEN and SEKOIA_INTAKE_KEY" in heading
    compile(code, "next steps", "exec")


def test_the_next_steps_make_both_handlers() -> None:
    """The lines at the end, run as they stand with both credentials set, configure both handlers."""
    code = in_pipe(*DEMO).out.split("set:\n\n")[1]
    shown = in_pipe(
        "-c",
        f"{code}\nprint(*(type(handler).__name__ for handler in logging.getLogger().handlers))",
        HUMIO_INGEST_TOKEN="a",
        SEKOIA_INTAKE_KEY="b",
    )
    assert shown == Ended(0, "HumioHECHandler SekoiaHandler\n", "")


def test_a_traceback_in_a_pipe_is_folded() -> None:
    """In a pipe, a traceback is its first and its last line and how many lines there were between."""
    errors = [line for line in in_pipe(*DEMO).out.splitlines() if "level=ERROR" in line]

    folded = r'Traceback \(most recent call last\):\\n  \.\.\. \d+ lines\\nConnectionError: no answer for 59\.9 EUR"'
    assert len(errors) == 2
    assert re.search(rf'@rawstring="payment failed\\n{folded}', errors[0])
    assert re.search(rf'exc_info="{folded}', errors[1])


def test_json_has_what_humio_received() -> None:
    """With --json, Humio's events are HEC's objects: the scene, with flat fields, tags and no password."""
    events = received()["humio"]["events"]

    scene = []
    for event in events:
        fields = event["fields"]
        assert (event["sourcetype"], fields.pop("#env")) == ("shop", "prod")
        assert {name: fields.pop(name) for name in ATTRIBUTES}["logger"].startswith("shop.")
        scene.append((fields.pop("#level"), event["event"].partition("\n")[0], fields))
    assert scene == [(level, message, flat(extras)) for level, message, extras in SCENE]
    assert events[-1]["event"].endswith("\nConnectionError: no answer for 59.9 EUR")
    assert [event["time"] for event in events] == sorted(event["time"] for event in events)


def test_json_has_what_sekoia_received() -> None:
    """With --json, SEKOIA.IO's events are the JSON without its quotes: the scene, nested, and no password."""
    events = received()["sekoia"]["events"]

    assert [event["sequence"] for event in events] == list(range(1, len(SCENE) + 1))
    assert "\nConnectionError: no answer" in events[-1].pop("exc_info")
    scene = []
    for event in events:
        assert datetime.fromisoformat(event.pop("@timestamp")).tzinfo is not None
        assert {name: event.pop(name) for name in ATTRIBUTES}["logger"].startswith("shop.")
        scene.append((event.pop("level"), event.pop("message"), event))
    assert scene == SCENE


@pytest.mark.parametrize("intake", ["humio", "sekoia"])
def test_json_has_balanced_books(intake: str) -> None:
    """With --json, the stats of each handler are there by the names of `loghttp.Stats`, and all is delivered."""
    stats = received()[intake]["stats"]

    expected = {"accepted": 8, "delivered": 8, "pending": 0, "spooled": 0, "dropped": {}, "retries": 0, "splits": 0}
    assert {name: stats[name] for name in expected} == expected
    assert set(stats) - set(expected) == {"requests", "bytes_sent", "last_error", "last_success"}
    assert stats["requests"] >= 1
    assert stats["bytes_sent"] > 0
    assert stats["last_error"] is None
    assert datetime.fromisoformat(stats["last_success"]).tzinfo is not None


@pytest.mark.parametrize("columns", [80, 119, 120, 140, 200])
def test_a_terminal_gets_a_page_in_colours_that_fits(columns: int) -> None:
    """In a terminal, every event is there in colours, and no line is wider than the terminal."""
    ended = in_terminal(*DEMO, columns=columns)

    assert (ended.code, ended.err) == (0, "")
    assert "\x1b[" in ended.out
    page = without_codes(ended.out)
    assert max(map(len, page.splitlines())) <= columns
    for message in MESSAGES:
        assert page.count(message) == 2
    assert page.count("[redacted]") == 4


@pytest.mark.parametrize(("columns", "in_table"), [(80, False), (140, True)])
def test_humios_columns_are_in_the_table_where_there_is_room(columns: int, in_table: bool) -> None:
    """In a wide terminal, host, type and tags are columns; in a narrow one, they are told once below the table."""
    page = without_codes(in_terminal(*DEMO, columns=columns).out)

    assert bool(re.search(r"(?m)^@timestamp +@host +#type +#env +#level +@rawstring +fields", page)) is in_table
    assert bool(re.search(r"(?m)^@host=\S+ +#type=shop +#env=prod", page)) is not in_table


def test_a_very_narrow_terminal_gets_the_page_too() -> None:
    """In 50 columns all events fit, and the books; the lines to copy stay whole, for the terminal itself to fold."""
    page = without_codes(in_terminal(*DEMO, columns=50).out)

    events, code = page.split("set:\n\n")
    assert max(map(len, events.splitlines())) <= 50
    assert all(events.count(message) == 2 for message in MESSAGES)
    assert re.search(r"(?m)^ +Humio +SEKOIA\.IO *$", events)
    assert re.search(r"(?m)^delivered +8 +8 *$", events)
    assert code.rstrip().splitlines()[-1] == "    logging.basicConfig(level=logging.INFO, handlers=[humio, sekoia])"


def test_no_color_takes_the_colours_away() -> None:
    """With NO_COLOR=1, a terminal gets no colour."""
    ended = in_terminal(*DEMO, columns=80, NO_COLOR="1")

    codes = {code for codes in re.findall(r"\x1b\[([0-9;]*)m", ended.out) for code in codes.split(";")}
    assert codes <= {"0", "1", "2"}  # reset, bold and dim are no colours
    assert all(message in ended.out for message in MESSAGES)


def test_a_terminal_that_knows_only_ascii_gets_the_page() -> None:
    """In a terminal whose encoding is ASCII, the page is drawn with ASCII."""
    ended = in_terminal(*DEMO, columns=80, PYTHONIOENCODING="ascii")

    assert (ended.code, ended.err) == (0, "")
    assert ended.out.isascii()


@pytest.mark.parametrize("how", ["pipe", "json", "terminal"])
def test_no_secret_is_shown(how: str) -> None:
    """Neither the passwords that the shop logs nor the credentials of the handlers are in any output."""
    match how:
        case "pipe":
            ended = in_pipe(*DEMO)
        case "json":
            ended = in_pipe(*DEMO, "--json")
        case _:
            ended = in_terminal(*DEMO, columns=140)
    assert not [secret for secret in SECRETS if secret in ended.out + ended.err]


def test_the_surroundings_do_not_matter() -> None:
    """A proxy, other intakes and credentials in the environment change nothing: all stays on this machine."""
    ended = in_pipe(
        *DEMO,
        http_proxy="http://127.0.0.1:9",
        HTTP_PROXY="http://127.0.0.1:9",
        no_proxy="",
        NO_PROXY="",
        HUMIO_URL="http://127.0.0.1:9",
        SEKOIA_URL="http://127.0.0.1:9",
    )
    assert (ended.code, ended.err) == (0, "")
    assert ended.out.count("delivered=8") == 2


def test_logging_is_left_as_it_was() -> None:
    """Called inside a process, the demo leaves neither a handler nor a level on the root logger."""
    code = """
import logging
from loghttp.cli import cli
before = logging.getLogger().level
cli(["demo", "--json"], standalone_mode=False)
assert logging.getLogger().handlers == []
assert logging.getLogger().level == before
"""
    ended = in_pipe("-c", code)
    assert (ended.code, ended.err) == (0, "")


def test_what_did_not_arrive_is_told() -> None:
    """Should an event not arrive, the demo shows what did, says so on stderr, and exits with 1."""
    code = """
import loghttp.cli.demo, sys
from loghttp.cli import cli
from loghttp.testing import LocalIntake
start = LocalIntake.start
def failing(intake):
    start(intake)
    intake.fail_when(lambda request: request.path == "/batch", status=503)
LocalIntake.start = failing
demo = sys.modules["loghttp.cli.demo"]
demo._FLUSH_SECONDS = 0.3
settings = demo.settings
def impatient(intake):
    made = settings(intake)
    made["handlers"]["sekoia"]["close_timeout"] = 0.1
    return made
demo.settings = impatient
cli(["demo"])
"""
    ended = in_pipe("-c", code)
    assert ended.code == 1
    assert "humio stats accepted=8 delivered=8" in ended.out
    assert "sekoia stats accepted=8 delivered=0 pending=8" in ended.out
    assert "Error: not every event arrived" in ended.err


def test_help_tells_what_there_is() -> None:
    """`loghttp --help` names the commands, and points a newcomer to the demo."""
    ended = in_pipe("-m", "loghttp", "--help")

    assert (ended.code, ended.err) == (0, "")
    assert ended.out.startswith("Usage: python -m loghttp")
    assert re.search(r"(?m)^  demo  ", ended.out)
    assert "`loghttp demo`" in ended.out


def test_help_of_the_demo_tells_its_three_outputs() -> None:
    """`loghttp demo --help` says what a terminal, a pipe and a program get."""
    ended = in_pipe(*DEMO, "--help")

    assert (ended.code, ended.err) == (0, "")
    assert re.findall(r"(?m)^  (In a terminal|In a pipe|With --json) {2}", ended.out) == [
        "In a terminal",
        "In a pipe",
        "With --json",
    ]
    assert max(map(len, ended.out.splitlines())) < 80


def test_the_script_says_its_version() -> None:
    """The script that pip installs is there, and `--version` says the version of the package."""
    script = Path(sys.executable).with_name("loghttp")
    shown = subprocess.run([script, "--version"], capture_output=True, text=True, timeout=DEADLINE, check=True)
    assert re.fullmatch(r"loghttp \d+\.\d+\S*\n", shown.stdout)


@pytest.mark.parametrize("missing", ["click", "rich"])
def test_without_the_extra_one_line_says_how_to_get_it(missing: str) -> None:
    """Without click or rich, the command prints one line with the cure, and exits with 2."""
    code = f"""
import sys
for name in [name for name in sys.modules if name.partition(".")[0] == {missing!r}]:
    del sys.modules[name]
sys.modules[{missing!r}] = None
sys.argv = ["loghttp", "demo"]
from loghttp.__main__ import main
main()
"""
    ended = in_terminal("-c", code, columns=80)
    assert ended == Ended(2, "", 'loghttp: the command needs click and rich: pip install "loghttp[cli]"\n')


@pytest.mark.parametrize("arguments", [("--help",), ("demo",)])
def test_a_full_disk_is_one_line(arguments: tuple[str, ...]) -> None:
    """Where what is printed cannot be written, one line says why, and the status is 1."""
    with Path("/dev/full").open("w") as full:
        ended = subprocess.run(
            [sys.executable, "-m", "loghttp", *arguments],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            env=environment(),
            timeout=DEADLINE,
            check=False,
        )
    assert (1, "loghttp: No space left on device\n") == (ended.returncode, ended.stderr)


@pytest.mark.parametrize("closed", [">&-", "<&- >&- 2>&-"])
def test_streams_may_be_closed(closed: str) -> None:
    """Started with its input, output or errors closed, as some daemons do, a command works as with /dev/null."""
    ended = subprocess.run(
        ["sh", "-c", f'"$@" {closed}', "sh", sys.executable, *DEMO],
        capture_output=True,
        text=True,
        env=environment(),
        timeout=DEADLINE,
        check=False,
    )
    assert (0, "") == (ended.returncode, ended.stderr)


def test_the_library_imports_neither_click_nor_rich() -> None:
    """`import loghttp` works, and is no slower, without the extra."""
    code = "import sys, loghttp; print(sorted({'click', 'rich'} & set(sys.modules)))"
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment(), check=True)
    assert (ended.stdout, ended.stderr) == ("[]\n", "")
