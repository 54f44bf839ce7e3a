"""`loghttp send`: lines in, events out, and books that a cron job can trust; stopped, killed and resumed for real.

What a line becomes is tested in this process; pipes, signals, terminals and memory with the process that users run.
"""

from __future__ import annotations

import contextlib
import fcntl
import http.server
import json
import os
import re
import shutil
import signal
import socketserver
import subprocess
import sys
import threading
import time
import zlib
from collections import Counter
from collections.abc import Iterator
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest
from conftest import wait_until
from terminals import DEADLINE, ESCAPE, KEY, TOKEN, Ended, Interpreter, environment, run_in_terminal

pytest.importorskip("click")
pytest.importorskip("rich")

from click.testing import CliRunner

from loghttp.cli import _send_lines as lines
from loghttp.cli import cli
from loghttp.testing import LocalIntake

pytestmark = pytest.mark.usefixtures("credentials")

NOBODY = "http://127.0.0.1:9"  # "discard": nothing listens there


@pytest.fixture
def intake() -> Iterator[LocalIntake]:
    with LocalIntake(TOKEN, KEY) as intake:
        yield intake


@pytest.fixture
def log(tmp_path: Path) -> Path:
    """The file that is sent; it does not exist yet."""
    return tmp_path / "app.log"


@pytest.fixture
def spool(tmp_path: Path) -> Path:
    """The spool folder, which does not exist yet."""
    return tmp_path / "spool"


def send(kind: str, intake: LocalIntake | str, *arguments: Any) -> Ended:
    """Run `loghttp send` in this process."""
    url = intake if isinstance(intake, str) else intake.url
    ended = CliRunner().invoke(cli, ["send", kind, "--url", url, *map(str, arguments)], catch_exceptions=False)
    assert TOKEN not in ended.output
    return Ended(ended.exit_code, ended.stdout, ended.stderr)


def arguments_of(kind: str, url: str, *arguments: Any) -> list[str]:
    return ["-m", "loghttp", "send", kind, "--url", url, *map(str, arguments)]


def start(kind: str, url: str, *arguments: Any, stdin: int | None = None) -> Interpreter:
    """Run `loghttp send` as a process of its own, its output in pipes, and its input too or from a file."""
    return Interpreter(arguments_of(kind, url, *arguments), environment(), stdin, warm=True)


def ended(process: Interpreter, said: str = "") -> Ended:
    out, err = process.communicate(said, DEADLINE)
    return Ended(process.wait(), out, err)


def messages(intake: LocalIntake) -> list[str]:
    return [event.message for event in intake.events]


def numbered(count: int, first: int = 0) -> list[str]:
    return [f"line {number}" for number in range(first, first + count)]


def write(path: Path, texts: list[str]) -> None:
    path.write_text("".join(f"{text}\n" for text in texts))


# ---- bytes to lines


@pytest.mark.parametrize("block", [1, 2, 3, 7, 1000])
def test_lines_do_not_depend_on_where_blocks_end(block: int) -> None:
    """However the bytes come, the lines are the same, and each knows where the next one begins."""
    content = b"one\n\ntwo\r\n\0\0three\0\n\n\nlast"
    found = list(lines.cut([content[at : at + block] for at in range(0, len(content), block)], 100))

    assert [b"one", b"", b"two\r", b"three\0", b"", b"", b"last"] == [line.content for line in found]
    ends = [100 + match.end() for match in re.finditer(b"\n", content)] + [100 + len(content)]
    assert ends == [line.end for line in found]


def test_an_endless_line_and_a_hole_take_no_memory() -> None:
    """Of a line without end only the first MiB is kept; a hole of NULs before a line is left out, however large."""
    endless = lines.cut(b"x" * lines.BLOCK for _ in range(40))
    assert [(lines.LINE_MOST + 1, 40 * lines.BLOCK)] == [(len(line.content), line.end) for line in endless]
    hole = lines.cut([*(bytes(lines.BLOCK) for _ in range(40)), b"\0after\n"])
    assert [(b"after", 40 * lines.BLOCK + 7)] == list(hole)


def test_a_file_that_grows_is_read_to_the_line_that_was_its_last(log: Path) -> None:
    """What is appended meanwhile is for the next run, but for the rest of a line that was half written."""
    log.write_bytes(b"one\ntw")
    with log.open("rb") as file, log.open("ab") as writer:
        read = lines.blocks(file.fileno(), lambda: False)
        writer.write(b"o\nthree\n")
        writer.flush()
        log_before = os.fstat(file.fileno()).st_size
        assert 12 < log_before
        assert [b"one", b"two", b"three"] == [line.content for line in lines.cut(read)]
    with log.open("rb") as file:
        size = log.stat().st_size
        reading = lines.blocks(file.fileno(), lambda: False)
        first = next(reading)
        assert log.read_bytes() == first
        assert size == len(first)
        with log.open("ab") as writer:
            writer.write(b"four\n")
        assert [] == list(reading)


# ---- lines to events


def arrived(intake: LocalIntake, log: Path, content: bytes, *arguments: Any) -> list[Any]:
    """The events that the lines of a file become, at Humio."""
    log.write_bytes(content)
    result = send("humio", intake, log, *arguments)
    assert (0, "") == (result.code, result.err)
    return list(intake.events)


def test_text_is_sent_as_it_is(intake: LocalIntake, log: Path) -> None:
    """Lines of text arrive whole and in order; blank lines, line ends and NULs at the ends do not."""
    content = (
        b"\xef\xbb\xbfone\r\n\n   \n\ttwo  \n\0\0three\0\0\nfour \xff\xe9 \xf0\x9f\x9a\x80\nin\0side\nlast, without end"
    )
    events = arrived(intake, log, content)

    assert ["one", "\ttwo  ", "three", "four \\xff\\xe9 \U0001f680", "in\0side", "last, without end"] == messages(
        intake
    )
    assert {"file": str(log), "offset": content.index(b"\ttwo")} == events[1].fields


NOON = datetime(2026, 1, 31, 12, tzinfo=timezone.utc).timestamp()
HERE = datetime(2026, 1, 31, 12).timestamp()  # a time without a zone is this machine's

TEXTS: list[tuple[str, float | None, str | None]] = [
    ("2026-01-31T12:00:00Z ERROR boom", NOON, "ERROR"),
    ("2026-01-31T13:00:00.250+01:00 [WARN] boom", NOON + 0.25, "WARNING"),
    ("2026-01-31 12:00:00,125 - shop.orders - CRITICAL - boom", HERE + 0.125, "CRITICAL"),
    ("[2026-01-31 12:00:00 +0000] [123] [INFO] Booting worker", NOON, "INFO"),
    ("[2026-01-31 12:00:00,000: FATAL/MainProcess] boom", HERE, "CRITICAL"),
    ("2026/01/31 12:00:00 [error] 7#7: *1 open() failed", HERE, None),
    ("INFO:root:hello", None, "INFO"),
    ("an ERROR that is only mentioned", None, None),
    ("2026-02-31 12:00:00 no such day", None, None),
    ("at 2026-01-31 12:00:00 it was", None, None),
]


def test_times_and_levels_of_text(intake: LocalIntake, log: Path) -> None:
    """A time at the start of a line is the event's, a level after it a field; what is only mentioned is neither."""
    before = time.time()
    events = arrived(intake, log, "".join(f"{text}\n" for text, *_ in TEXTS).encode())

    assert [text for text, *_ in TEXTS] == messages(intake)
    assert [level for *_, level in TEXTS] == [event.fields.get("level") for event in events]
    for (text, expected, _), event in zip(TEXTS, events, strict=True):
        if expected is None:
            assert before <= event.time <= time.time(), text
        else:
            assert expected == pytest.approx(event.time, abs=1e-5), text


MEMBERS: list[tuple[dict[str, Any], str, dict[str, Any]]] = [
    ({"message": "hi", "level": "info", "user": {"id": 7}}, "hi", {"level": "INFO", "user.id": 7}),
    ({"msg": "hi", "severity": "warn", "_private": 1}, "hi", {"level": "WARNING", "private": 1}),
    ({"event": "hi", "lvl": "odd", "logger": "x"}, "hi", {"level": "odd", "logger": "x"}),
    ({"log": "hi\n", "stream": "stdout"}, "hi", {"stream": "stdout"}),
    ({"short_message": "hi", "level": 3}, "hi", {"level": 3}),
    ({"message": "hi", "name": "shop", "process": 7, "lineno": 3}, "hi", {"logger": "shop", "process": 7, "lineno": 3}),
    ({"message": "hi", "process": {"pid": 1, "name": "x"}}, "hi", {"process.pid": 1, "process.name": "x"}),
    (
        {"message": "hi", "lineno": 3.5, "process": True, "msecs": 7},
        "hi",
        {"lineno_": 3.5, "process_": True, "msecs_": 7},
    ),
    ({"message": "hi", "args": [1], "msg": "other"}, "hi", {"args_": "[1]", "msg_": "other"}),
    ({"message": "hi", "_a": 1, "__a": 2, "a": 3}, "hi", {"a_": 1, "a__": 2, "a": 3}),
    ({"message": "hi", "exc_info": "Traceback: boom"}, "hi\nTraceback: boom", {}),
    (
        {"event": {"kind": "x"}, "time": "soon"},
        '{"event": {"kind": "x"}, "time": "soon"}',
        {"event.kind": "x", "time": "soon"},
    ),
    ({"message": "hi", "name": "loghttp"}, "hi", {"logger": "loghttp"}),
]


def test_members_of_json(intake: LocalIntake, log: Path) -> None:
    """A line of JSON becomes message, level and fields by their common names; nothing else of it is lost."""
    events = arrived(intake, log, "".join(f"{json.dumps(members)}\n" for members, *_ in MEMBERS).encode())

    assert [message for _, message, _ in MEMBERS] == messages(intake)
    for (members, _, fields), event in zip(MEMBERS, events, strict=True):
        assert {"file": str(log), "offset": event.fields["offset"], **fields} == event.fields, members


@pytest.mark.parametrize(
    "value",
    [
        "2026-01-31T12:00:00Z",
        "2026-01-31T12:00:00.000000000+0000",
        NOON,
        str(NOON),
        NOON * 1e3,
        int(NOON * 1e6),
        int(NOON * 1e9),
    ],
)
def test_times_of_json(value: Any, intake: LocalIntake, log: Path) -> None:
    """ISO 8601, seconds, milli-, micro- and nanoseconds are times, and no field is left of them."""
    content = "".join(
        f"{json.dumps({name: value, 'msg': 'hi'})}\n" for name in ("@timestamp", "timestamp", "time", "ts")
    )
    events = arrived(intake, log, content.encode())

    assert [pytest.approx(NOON, abs=1e-3)] * 4 == [event.time for event in events]
    assert [{"file", "offset"}] * 4 == [set(event.fields) for event in events]


@pytest.mark.parametrize("line", ['{"a": ', "[1, 2]", '"text"', "{}", "7", "{'a': 1}", "[" * 5000])
def test_what_is_no_json_object_is_text(line: str, intake: LocalIntake, log: Path) -> None:
    """A truncated last line, a list or a number arrives as the text that it is."""
    arrived(intake, log, line.encode())
    assert [line] == messages(intake)


def test_json_as_text(intake: LocalIntake, log: Path) -> None:
    """--text leaves lines of JSON alone."""
    [event] = arrived(intake, log, b'{"message": "hi", "time": 1}\n', "--text")
    assert ('{"message": "hi", "time": 1}', {"file": str(log), "offset": 0}) == (event.message, event.fields)


def test_a_very_long_line_is_cut_and_says_so(intake: LocalIntake, log: Path) -> None:
    """A line of 3 MB arrives cut to what the intake takes, marked, and the next line is whole."""
    first, second = arrived(intake, log, b"x" * 3_000_000 + b"\nnext\n")

    assert ("true", "next") == (first.fields["loghttp_cut"], second.message)
    assert 900_000 < len(first.message) < 1_000_000


def test_sekoia_gets_the_same(intake: LocalIntake, log: Path) -> None:
    """SEKOIA.IO's quoted JSON has the line's own time, level and members, nested as they were."""
    log.write_text(json.dumps({"time": "2026-01-31T12:00:00Z", "level": "error", "msg": "hi", "user": {"id": 7}}))
    assert 0 == send("sekoia", intake, log).code

    [event] = intake.events
    expected = {"@timestamp": "2026-01-31T12:00:00.000000+00:00", "message": "hi", "level": "ERROR", "user": {"id": 7}}
    assert {**expected, "file": str(log), "offset": 0} == event.event


def test_options_for_humio(intake: LocalIntake, log: Path) -> None:
    """Source, type, host, tags and fields of the options are on each event."""
    options = ("--source", "app", "--sourcetype", "kv", "--host", "h1", "--tag", "env=prod", "--field", "rack=r=2")
    [event] = arrived(intake, log, b"hi\n", *options)

    assert ("app", "kv", "h1") == (event.source, event.sourcetype, event.host)
    assert {"#env": "prod", "rack": "r=2", "file": str(log), "offset": 0} == event.fields


# ---- the books


def test_the_summary(intake: LocalIntake, log: Path, tmp_path: Path) -> None:
    """Each file with its lines and bytes, then what was delivered where; status 0, nothing on stderr."""
    write(log, ["one", "", "two"])
    write(tmp_path / "other.log", ["three"])
    result = send("humio", intake, log, tmp_path / "other.log")

    assert (0, "") == (result.code, result.err)
    assert f"{log}: 2 lines and 1 blank, 9 B\n{tmp_path}/other.log: 1 line, 6 B\n" in result.out
    assert re.search(
        rf"(?m)^3 of 3 events delivered to {intake.url}/api/v1/ingest/hec in \d\.\d s \(\d requests?\)\.$", result.out
    )
    assert ["one", "two", "three"] == messages(intake)


def test_the_books_as_json(intake: LocalIntake, log: Path) -> None:
    """--json has the same numbers for programs."""
    write(log, numbered(3))
    document = json.loads(send("humio", intake, log, "--json").out)

    assert (True, 0, 3, 3, {}, 0) == tuple(
        document[name] for name in ("ok", "status", "accepted", "delivered", "dropped", "pending")
    )
    [source] = document["sources"]
    assert (str(log), 3, 0, log.stat().st_size, True) == tuple(
        source[name] for name in ("name", "lines", "blank", "bytes", "whole")
    )


def test_quiet_is_for_cron(intake: LocalIntake, log: Path) -> None:
    """--quiet says nothing when all is well, and everything when it is not."""
    write(log, ["one"])
    assert Ended(0, "", "") == send("humio", intake, log, "--quiet")
    intake.fail_next(status=400, body="no good", times=9)
    result = send("humio", intake, log, "--quiet", "--give-up", 0.3)
    assert (1, True) == (result.code, "0 of 1 event delivered" in result.out)


def test_a_refused_line_is_counted_and_the_others_arrive(intake: LocalIntake, log: Path) -> None:
    """One event that the intake refuses: status 1, the reason with its number, all others delivered."""
    write(log, numbered(20))
    intake.fail_when(lambda request: b"line 7" in request.body, status=400, body="not this one")
    result = send("humio", intake, log)

    assert 1 == result.code
    assert "19 of 20 events delivered" in result.out
    assert "  1 refused: the intake refused this very event" in result.out
    assert "last error: HTTP 400: not this one" in result.out
    assert {*numbered(20)} - {"line 7"} == {message for message in messages(intake) if message.startswith("line")}


def test_what_cannot_be_read_is_told_and_the_rest_is_sent(intake: LocalIntake, log: Path, tmp_path: Path) -> None:
    """A missing file, a folder and a compressed file each have their line; status 1, though the others are sent."""
    write(log, ["one"])
    (tmp_path / "app.log.gz").write_bytes(b"\x1f\x8b\x08rest")
    result = send("humio", intake, tmp_path / "none", tmp_path, tmp_path / "app.log.gz", log)

    assert 1 == result.code
    assert f"{tmp_path}/none: No such file or directory\n" in result.out
    assert f"{tmp_path}: it is a folder\n" in result.out
    assert f"it is compressed: zcat {tmp_path}/app.log.gz | loghttp send" in result.out
    assert ["one"] == messages(intake)


def test_a_strange_name_is_shown_harmlessly(intake: LocalIntake, tmp_path: Path) -> None:
    """The name of a file may be no text, or steer a terminal: its line can be printed anywhere."""
    name = os.fsdecode(b"\x1b[2J\xff.log")
    write(tmp_path / name, ["one"])
    result = ended(start("humio", intake.url, tmp_path / name))

    assert (0, "") == (result.code, result.err)
    assert rf"{tmp_path}/\x1b[2J\udcff.log: 1 line, 4 B" in result.out
    assert ["one"] == messages(intake)


def test_an_intake_that_stays_down_is_given_up(log: Path) -> None:
    """Without a spool: after --give-up, status 1, how many lines were not delivered and why."""
    write(log, numbered(3))
    result = send("humio", NOBODY, log, "--give-up", 0.2)

    assert 1 == result.code
    assert "0 of 3 events delivered" in result.out
    assert "  3 shutdown" in result.out
    assert "Connection refused" in result.out
    assert "Given up" in result.out
    assert "not delivered yet, nothing is lost" in result.err


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("sekoia", "--source", "app"), "--source goes with humio"),
        (("sekoia", "--event-format", "object"), "--event-format goes with humio"),
        (("sekoia", "--tag", "a=b"), "--tag goes with humio"),
        (("humio", "--tag", "ab"), "--tag ab: give a name and a value"),
        (("humio", "-", "-"), "stdin can be read only once"),
        (("humio", "--token-file", "-"), "stdin can be read only once"),
        (("humio", "--index", " "), "index must be text"),
        (("nobody",), "'nobody' is not one of"),
    ],
)
def test_what_was_not_understood(arguments: tuple[str, ...], words: str) -> None:
    """A usage error has status 2 and says which option it is about."""
    result = CliRunner().invoke(cli, ["send", *arguments])
    assert (2, True) == (result.exit_code, words in result.output), result.output


def test_no_token(monkeypatch: pytest.MonkeyPatch, log: Path) -> None:
    """Without a token nothing is read, and the variable is named."""
    monkeypatch.delenv("HUMIO_INGEST_TOKEN")
    result = send("humio", NOBODY, log)
    assert (2, True) == (result.code, "no token: set HUMIO_INGEST_TOKEN" in result.err)


# ---- going on


def test_the_same_command_sends_what_is_new(intake: LocalIntake, log: Path, spool: Path) -> None:
    """With --spool, a second run sends only what was appended; another destination gets it all."""
    write(log, numbered(3))
    assert 0 == send("humio", intake, log, "--spool", spool).code
    with log.open("a") as file:
        file.write("line 3\n")
    again = send("humio", intake, log, "--spool", spool)
    nothing = send("humio", intake, log, "--spool", spool)

    assert numbered(4) == messages(intake)
    assert (0, f"{log}: 1 line, 7 B, from byte 21 on") == (again.code, again.out.splitlines()[0])
    assert (0, f"{log}: 0 lines, 0 B, from byte 28 on") == (nothing.code, nothing.out.splitlines()[0])
    intake.clear()
    assert 0 == send("sekoia", intake, log, "--spool", spool).code
    assert numbered(4) == [event.event["message"] for event in intake.events]


def test_rotation_is_followed(intake: LocalIntake, log: Path, spool: Path, tmp_path: Path) -> None:
    """A file that was renamed goes on where it was, a new one under the old name begins anew, and so does a shorter."""
    rotated = tmp_path / "app.log.1"
    write(log, numbered(3))
    assert 0 == send("humio", intake, log, "--spool", spool).code
    with log.open("a") as file:
        file.write("line 3\n")
    log.rename(rotated)
    write(log, ["new 0"])
    assert 0 == send("humio", intake, rotated, log, "--spool", spool).code
    assert [*numbered(4), "new 0"] == messages(intake)

    write(log, ["n"])  # emptied in place, and written anew
    assert 0 == send("humio", intake, rotated, log, "--spool", spool).code
    assert [*numbered(4), "new 0", "n"] == messages(intake)


def test_after_an_outage_the_same_command_delivers(log: Path, spool: Path) -> None:
    """Given up with a spool: nothing is lost, what waits is told, and the next run delivers each line once."""
    write(log, numbered(2500))
    with LocalIntake(TOKEN, KEY) as intake:
        intake.stop()
        result = send("humio", intake, log, "--spool", spool, "--give-up", 0.2)
        assert 1 == result.code
        [waiting] = re.findall(
            rf"(?m)^Waiting in {spool}: ([\d,]+) events; the same command delivers them\.$", result.out
        )
        assert f"0 of {waiting} events delivered" in result.out
        assert not intake.events
        intake.start()
        again = send("humio", intake, log, "--spool", spool)
    assert (0, True) == (again.code, "2,500 of 2,500 events delivered" in again.out)
    assert Counter(numbered(2500)) == Counter(messages(intake))


def test_one_at_a_time(intake: LocalIntake, log: Path, spool: Path) -> None:
    """While another send uses the folder, a second one says so, and sends nothing."""
    write(log, ["one"])
    spool.mkdir()
    with (spool / "send.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        result = send("humio", intake, log, "--spool", spool)
    assert (1, True, []) == (result.code, "another `loghttp send` is at work" in result.err, intake.events)


def test_a_position_that_cannot_be_saved(intake: LocalIntake, log: Path, spool: Path, monkeypatch) -> None:
    """A disk that takes no position: all is delivered all the same, and status 1 says that lines will be repeated."""
    write(log, ["one"])

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", full)
    result = send("humio", intake, log, "--spool", spool)

    assert (1, ["one"]) == (result.code, messages(intake))
    assert "its position cannot be saved, so the next run repeats lines: No space left on device" in result.out


def test_ctrl_c_and_the_same_command_send_each_line_once(intake: LocalIntake, log: Path, spool: Path) -> None:
    """Stopped in the middle by SIGINT: status 130 and where it stands; resumed, each line arrives exactly once."""
    write(log, numbered(25_000))
    intake.fail_when(delay=0.05)
    with start("sekoia", intake.url, log, "--spool", spool) as process:
        intake.wait_for(1_000, DEADLINE)
        process.send_signal(signal.SIGINT)
        stopped = ended(process)
    count = len(intake.events)
    assert (130, "") == (stopped.code, stopped.err)
    assert "Stopped by SIGINT." in stopped.out
    assert count < 25_000

    intake.heal()
    again = send("sekoia", intake, log, "--spool", spool)
    assert 0 == again.code, again
    assert Counter(numbered(25_000)) == Counter(event.event["message"] for event in intake.events)


def test_a_crash_loses_nothing_and_repeats_no_more_than_it_says(intake: LocalIntake, log: Path, spool: Path) -> None:
    """Killed in the middle by SIGKILL: resumed, every line arrives; at most 1,000 lines and one batch arrive twice."""
    write(log, numbered(20_000))
    intake.fail_when(delay=0.05)
    with start("sekoia", intake.url, log, "--spool", spool) as process:
        intake.wait_for(1_000, DEADLINE)
        process.kill()
        assert -signal.SIGKILL == ended(process).code

    intake.heal()
    again = send("sekoia", intake, log, "--spool", spool)
    assert 0 == again.code, again
    wait_until(lambda: all(request.status is not None for request in intake.requests))
    counts = Counter(event.event["message"] for event in intake.events)
    assert set(numbered(20_000)) == set(counts)
    assert 1_000 + 5_000 >= sum(counts.values()) - 20_000


# ---- as a process


def test_a_pipe(intake: LocalIntake) -> None:
    """`app | loghttp send humio`: what the app writes arrives while it lives; at its end, the books, status 0."""
    with start("humio", intake.url) as process:
        assert process.stdin is not None
        process.stdin.write("first\n")
        process.stdin.flush()
        intake.wait_for(1, DEADLINE)
        assert process.poll() is None
        result = ended(process, "second\nlast")
    assert (0, "") == (result.code, result.err)
    assert "stdin: 3 lines, 17 B\n3 of 3 events delivered" in result.out
    assert ["first", "second", "last"] == messages(intake)
    assert [{"offset": offset} for offset in (0, 6, 13)] == [event.fields for event in intake.events]


def test_sigterm_ends_a_pipe_in_good_order(intake: LocalIntake) -> None:
    """SIGTERM while stdin is open: what was read is delivered, the status is 143."""
    with start("humio", intake.url) as process:
        assert process.stdin is not None
        process.stdin.write("first\nhalf of the sec")
        process.stdin.flush()
        intake.wait_for(1, DEADLINE)
        process.send_signal(signal.SIGTERM)
        result = ended(process)
    assert (143, "") == (result.code, result.err)
    assert "Stopped by SIGTERM." in result.out
    assert ["first"] == messages(intake)


class Sink(http.server.BaseHTTPRequestHandler):
    """Takes everything, and counts lines and bytes; `LocalIntake` would keep them."""

    protocol_version = "HTTP/1.1"
    events = 0
    bytes = 0

    def do_POST(self) -> None:
        body = zlib.decompress(self.rfile.read(int(self.headers["Content-Length"])), 31)
        type(self).events += body.count(b"\n") + 1
        type(self).bytes += len(body)
        self.send_response(200)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"{}")

    def log_message(self, *_: object) -> None:
        pass


@contextlib.contextmanager
def sink() -> Iterator[tuple[str, type[Sink]]]:
    kind = type("OwnSink", (Sink,), {})
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), kind) as server:
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}", kind
        finally:
            server.shutdown()
            thread.join()


def peak_memory(url: str, megabytes: int) -> int:
    """Bytes that `loghttp send` had in use at most, while so much went through its stdin."""
    block = (b"2026-01-31T12:00:00Z INFO " + b"x y z 12345 " * 400)[:3_999] + b"\n"
    command = [sys.executable, *arguments_of("humio", url, "--quiet")]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, env=environment())
    assert process.stdin is not None
    for _ in range(megabytes):
        process.stdin.write(block * 250)
    process.stdin.close()
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    assert 0 == process.returncode
    return usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def test_memory_does_not_grow_with_the_input() -> None:
    """100 MB through a pipe take less than 60 MB more than 1 MB does, and all 25,000 lines arrive."""
    with sink() as (url, counted):
        least = peak_memory(url, 1)
        assert 250 == counted.events
        most = peak_memory(url, 100)
    assert (25_250, True) == (counted.events, counted.bytes > 101_000_000)
    assert 60_000_000 > most - least


@pytest.mark.parametrize("columns", [80, 120])
def test_a_terminal_gets_a_bar_and_the_books(columns: int, intake: LocalIntake, log: Path) -> None:
    """In a terminal a bar shows share, events, bytes, rate and retries, and the books follow."""
    write(log, numbered(1500))
    intake.fail_next(status=503, body="busy")
    intake.fail_when(delay=0.15)
    result = run_in_terminal(*arguments_of("sekoia", intake.url, log), columns=columns, errors=True)
    assert 0 == result.code

    page = ESCAPE.sub("", result.out).replace("\r", "\n")
    assert max(map(len, page.splitlines())) <= columns
    assert re.search(r"\d+% [\d,]+ events +[\d.]+ k?B", page)
    assert "1 retry" in page
    assert "SekoiaHandler: not delivered yet, nothing is lost" in " ".join(page.split())
    assert "1,500 of 1,500 events delivered" in " ".join(page.split())


def test_no_color_is_obeyed(log: Path) -> None:
    """With NO_COLOR=1 a terminal gets no colour."""
    write(log, ["one"])
    arguments = arguments_of("humio", NOBODY, log, "--give-up", "0.2")
    result = run_in_terminal(*arguments, errors=True, NO_COLOR="1")
    assert 1 == result.code
    colours = {code for codes in re.findall(r"\x1b\[([0-9;]*)m", result.out) for code in codes.split(";")}
    assert {"", "0", "1", "2"} >= colours


# ---- help


def test_every_command_shows_an_example() -> None:
    """`loghttp COMMAND --help` has at least one line to copy, whatever the command; and fits 80 columns."""
    for name in cli.commands:
        shown = CliRunner().invoke(cli, [name, "--help"]).output
        assert re.search(rf"(?m)^ +\$ (.* \| )?loghttp {name}\b", shown), name
        assert 80 >= max(map(len, shown.splitlines())), name


def test_the_help_tells_how_to_have_completion() -> None:
    """`loghttp --help` has the line for each shell, and names every command in its order."""
    shown = CliRunner().invoke(cli, ["--help"]).output
    for shell in ("bash", "zsh", "fish"):
        assert f"_LOGHTTP_COMPLETE={shell}_source loghttp" in shown
    assert list(cli.commands) == re.findall(r"(?m)^  ([a-z]+)  +[A-Z]", shown)
    assert 80 >= max(map(len, shown.splitlines()))


SHELLS = {
    "bash": """
eval "$(_LOGHTTP_COMPLETE=bash_source loghttp)"
COMP_WORDS=(loghttp send s); COMP_CWORD=2
_loghttp_completion loghttp; echo "${COMPREPLY[@]}"
""",
    "zsh": """
autoload -Uz compinit; compinit -u -D
eval "$(_LOGHTTP_COMPLETE=zsh_source loghttp)"
compadd() { while [[ $1 != -a ]]; do shift; done; print ${(P)2} }
_describe() { print ${(P)3} }
words=(loghttp send s); CURRENT=3
$_comps[loghttp]
""",
    "fish": """
_LOGHTTP_COMPLETE=fish_source loghttp | source
complete -C "loghttp send s"
""",
}


@pytest.mark.parametrize("shell", SHELLS)
def test_completion_in_a_real_shell(shell: str, tmp_path: Path) -> None:
    """The one-liner of the help, in the real shell: `loghttp send s` is completed to sekoia."""
    if shutil.which(shell) is None:
        pytest.skip(f"{shell} is not installed")
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    ran = subprocess.run(
        [shell, "-c", SHELLS[shell]],
        capture_output=True,
        text=True,
        timeout=DEADLINE,
        env=environment(PATH=path, HOME=str(tmp_path)),
        check=False,
    )
    assert ("sekoia", "") == (ran.stdout.strip(), ran.stderr)
