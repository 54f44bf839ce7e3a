"""`loghttp spool` as users run it, on folders that real processes have left: most of them by SIGKILL, the intake down.

The makers log, wait until all is on disk, and end as they are told; the intake is a `LocalIntake` that is stopped
and started again.
"""

from __future__ import annotations

import json
import re
import shutil
import signal
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from conftest import line_threads, wait_until
from interpreters import Interpreter
from terminals import DEADLINE, ESCAPE, KEY, TOKEN, Ended, environment, run_in_pipe, run_in_terminal

import loghttp
from loghttp.testing import LocalIntake

pytest.importorskip("click")
pytest.importorskip("rich")

from loghttp.cli import _spool_drain, _spool_folder
from loghttp.cli._spool_folder import look

NOBODY = "http://127.0.0.1:9"  # "discard": nothing listens there

MAKER = """
import json, logging, os, signal, sys, time
import loghttp
given = json.loads(sys.argv[1])
handler = getattr(loghttp, given["kind"])(**given["options"], flush_interval=0.01, close_timeout=0.2)
log = logging.getLogger("shop")
log.addHandler(handler)
log.setLevel(logging.INFO)
for n in range(given["count"]):
    log.info("%s %d", given["label"], n)
until = time.monotonic() + 20
while handler.stats().spooled < given["count"]:
    assert time.monotonic() < until, handler.stats()
    time.sleep(0.002)
match given["end"]:
    case "is killed":
        os.kill(os.getpid(), signal.SIGKILL)
    case "lives":
        print("ready", flush=True)
        sys.stdin.readline()
        log.info("%s %d", given["label"], given["count"])
        assert handler.flush(20.0), handler.stats()
"""


@pytest.fixture
def spool(tmp_path: Path) -> Path:
    """The spool folder, which does not exist yet."""
    return tmp_path / "spool"


@pytest.fixture
def down() -> Iterator[LocalIntake]:
    """An intake that is down; `start()` ends the outage."""
    with LocalIntake(TOKEN, KEY) as intake:
        intake.stop()
        yield intake


def maker(folder: Path, url: str, count: int, end: str, kind: str, label: str, **options: Any) -> Interpreter:
    secret = {"token": TOKEN} if kind == "HumioHECHandler" else {"intake_key": KEY}
    given = {
        "kind": kind,
        "count": count,
        "label": label,
        "end": end,
        "options": {"url": url, "spool_dir": str(folder), **secret, **options},
    }
    return Interpreter(["-c", MAKER, json.dumps(given)], environment(), warm=True)


def leave(
    spool: Path,
    url: str = NOBODY,
    count: int = 3,
    *,
    end: str = "is killed",
    kind: str = "HumioHECHandler",
    label: str = "order",
    **options: Any,
) -> Path:
    """Have a process leave events in the folder; returns its file. It does not see those of others there."""
    apart = spool.with_name("apart")
    _, err = (process := maker(apart, url, count, end, kind, label, **options)).communicate(timeout=DEADLINE)
    assert process.returncode == (-signal.SIGKILL if end == "is killed" else 0), err
    spool.mkdir(exist_ok=True)
    [name] = [path.name for path in apart.glob("*.spool")]
    for path in apart.iterdir():
        path.rename(spool / path.name)
    return spool / name


@contextmanager
def living(
    spool: Path, url: str, count: int = 3, kind: str = "HumioHECHandler", label: str = "living"
) -> Iterator[Interpreter]:
    """A process with events in the folder; told so by a line, it logs one more, delivers and ends."""
    process = maker(spool, url, count, "lives", kind, label)
    assert process.stdout is not None
    try:
        assert "ready\n" == process.stdout.readline()
        yield process
    finally:
        process.kill()
        process.communicate()


def let_go(process: Interpreter) -> None:
    """Have a living process deliver and end, and see that it could."""
    _, err = process.communicate("\n", timeout=DEADLINE)
    assert (0, "") == (process.returncode, err)


def run(*arguments: Any, said: str = "", **variables: str) -> Ended:
    """Run `loghttp spool` in a pipe."""
    ended = run_in_pipe("-m", "loghttp", "spool", *map(str, arguments), said=said, **variables)
    assert [] == [secret for secret in (TOKEN, KEY) if secret in ended.out + ended.err]
    return ended


def drain(spool: Path, *arguments: Any, **variables: str) -> Ended:
    """Run it with --drain and both credentials."""
    given = {"HUMIO_INGEST_TOKEN": TOKEN, "SEKOIA_INTAKE_KEY": KEY, **variables}
    return run(spool, "--drain", *arguments, **given)


def in_terminal(*arguments: Any, **options: Any) -> Ended:
    """Run it in a pseudo-terminal, errors included."""
    return run_in_terminal("-m", "loghttp", "spool", *map(str, arguments), errors=True, **options)


def snapshot(folder: Path, *, of_the_living: bool = False) -> dict[str, tuple[bytes, int]]:
    """All files, their bytes and times; a living owner notes in its -shm, which is no data, how far it reads itself."""
    paths = [path for path in folder.iterdir() if not (of_the_living and path.name.endswith("-shm"))]
    return {path.name: (path.read_bytes(), path.stat().st_mtime_ns) for path in paths}


def as_json(spool: Path) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(run(spool, "--json").out)
    return document


def messages(intake: LocalIntake) -> list[str]:
    return [event.message for event in intake.events]


def orders(count: int, label: str = "order") -> list[str]:
    return [f"{label} {n}" for n in range(count)]


# ---- looking


def test_a_pipe_gets_one_plain_line_for_each_file(spool: Path) -> None:
    """In a pipe, each file is a line of cells without blanks, below a line of their names; then the total."""
    dead = leave(spool, count=7)
    with living(spool, "http://127.0.0.1:9/prefix", kind="SekoiaHandler") as process:
        ended = run(spool)

    assert (0, "") == (ended.code, ended.err)
    assert ended.out.isascii()
    assert "\x1b" not in ended.out
    names, *lines = [line.split() for line in ended.out.partition("\n\n")[0].splitlines()]
    rows = {row["FILE"]: row for row in (dict(zip(names, line, strict=True)) for line in lines)}
    row = rows.pop(dead.name)
    assert ("dead", dead.name.split("-")[1], "7", "0") == (row["OWNER"], row["PID"], row["EVENTS"], row["REFUSED"])
    assert f"{NOBODY}/api/v1/ingest/hec" == row["DESTINATION"]
    assert re.fullmatch(r"\d+s|\d+m\d\ds", row["OLDEST"])
    [row] = rows.values()
    assert ("alive", str(process.pid), "3") == (row["OWNER"], row["PID"], row["EVENTS"])
    assert "http://127.0.0.1:9/prefix/batch" == row["DESTINATION"]
    assert re.search(r"\n\nTotal: 2 files, 10 events of .*, the oldest from .* ago, 0 refused events\.\n$", ended.out)


def test_json_says_the_same_for_programs(spool: Path) -> None:
    """--json is one document with all files and the total; times are in seconds since 1970."""
    dead = leave(spool)
    document = as_json(spool)

    [file] = document["files"]
    with closing(sqlite3.connect(dead)) as db, db:
        [(count, size, oldest)] = db.execute(
            "SELECT sum(last - id + 1), sum(length(body) - (last - id)), min(created) FROM events"
        )
    db.close()
    assert (dead.name, "dead", "readable") == (file["file"], file["owner"], file["state"])
    assert (count, size, oldest) == (file["events"], file["bytes"], file["oldest"])
    assert {"files": 1, "events": 3, "bytes": size, "oldest": oldest} | dict.fromkeys(
        ("dead_letters", "damaged", "newer", "unreadable"), 0
    ) == document["total"]


@pytest.mark.parametrize("option", [(), ("--export", "-"), ("--dead-letters",), ("--drain",), ("--purge", "--yes")])
def test_an_empty_folder_is_fine_and_said_so(spool: Path, option: tuple[str, ...]) -> None:
    """With nothing in the folder, every option says so in one line, exits with 0 and leaves it empty."""
    spool.mkdir()
    ended = run(spool, *option)

    assert (0, 1) == (ended.code, len((ended.out + ended.err).splitlines()))
    assert [] == list(spool.iterdir())


def test_a_folder_that_does_not_exist_is_a_problem_and_is_not_made(spool: Path) -> None:
    """A missing folder is told on stderr with status 1, and is still missing afterwards."""
    assert Ended(1, "", f"Error: {spool} does not exist.\n") == run(spool)
    assert not spool.exists()


def test_a_file_is_no_folder(tmp_path: Path) -> None:
    """A file in the place of the folder is told, with status 1."""
    (tmp_path / "file").touch()
    assert Ended(1, "", f"Error: {tmp_path / 'file'} is not a folder.\n") == run(tmp_path / "file")


@pytest.mark.parametrize("how", ["is killed", "returns", "copied without -shm"])
@pytest.mark.parametrize("option", [(), ("--export", "-"), ("--dead-letters",)])
def test_looking_leaves_no_trace(spool: Path, how: str, option: tuple[str, ...]) -> None:
    """However the owner has ended, looking sees all events, and changes, creates and removes nothing."""
    dead = leave(spool, end="returns" if how == "returns" else "is killed")
    if how == "copied without -shm":
        dead.with_name(dead.name + "-shm").unlink()
    before = snapshot(spool)
    ended = run(spool, *option)

    assert 0 == ended.code
    if option != ("--dead-letters",):
        assert "3 events" in ended.out + ended.err
    assert before == snapshot(spool)


def test_a_folder_without_the_right_to_write_can_be_looked_at(spool: Path) -> None:
    """A read-only folder, and files that are read-only, can be listed and exported."""
    leave(spool)
    for path in spool.iterdir():
        path.chmod(0o400)
    spool.chmod(0o500)
    try:
        assert [3] == [file["events"] for file in as_json(spool)["files"]]
        assert 3 == len(run(spool, "--export", "-").out.splitlines())
    finally:
        spool.chmod(0o700)


def test_a_living_owner_is_not_disturbed(spool: Path, down: LocalIntake) -> None:
    """While its owner lives, a file can be listed and exported, byte for byte unchanged, and it then delivers."""
    with living(spool, down.url) as process:
        before = snapshot(spool, of_the_living=True)
        assert [("alive", 3)] == [(file["owner"], file["events"]) for file in as_json(spool)["files"]]
        assert orders(3, "living") == exported(run(spool, "--export", "-").out)
        assert before == snapshot(spool, of_the_living=True)
        down.start()
        let_go(process)

    assert orders(4, "living") == messages(down)
    assert [] == list(spool.iterdir())


@pytest.mark.skipif(not Path("/proc/locks").exists(), reason="elsewhere nothing tells who holds a lock")
def test_an_adopted_file_is_its_adopters(spool: Path, down: LocalIntake) -> None:
    """A file that a living process has adopted bears the pid of the dead, and is shown with the living one's."""
    dead = leave(spool, down.url)
    with living(spool, down.url) as process:
        wait_until(lambda: {file["owner"] for file in as_json(spool)["files"]} == {"alive"})
        pids = {file["file"]: file["pid"] for file in as_json(spool)["files"]}
    assert (2, process.pid) == (len(pids), pids[dead.name])


def test_what_cannot_be_read_is_shown_for_what_it_is(spool: Path) -> None:
    """A file of a newer schema, one set aside and one of garbage are told apart; only the last is a problem."""
    newer = leave(spool, end="returns")
    with closing(sqlite3.connect(newer)) as db, db:
        db.execute("PRAGMA user_version = 99")
    db.close()
    (spool / "0123456789abcdef-1-00000001.spool.damaged").write_bytes(b"x" * 1_500)
    fine = run(spool)
    (spool / "0123456789abcdef-2-00000002.spool").write_bytes(b"no database at all" * 100)
    before = snapshot(spool)
    ended = run(spool)

    assert (0, 1) == (fine.code, ended.code)
    assert f"{newer.name}: a later loghttp wrote it (schema 99); it is left alone\n" in ended.out
    assert "0123456789abcdef-1-00000001.spool.damaged: damaged, 1.5 kB; loghttp could not read it" in ended.out
    assert "0123456789abcdef-2-00000002.spool: cannot be read: file is not a database\n" in ended.out
    assert "1 damaged file set aside, 1 file of a later loghttp, 1 file that cannot be read." in ended.out
    assert before == snapshot(spool)


# ---- exporting


def exported(lines: str) -> list[str]:
    return [json.loads(line)["event"]["event"] for line in lines.splitlines()]


def test_export_writes_every_event_as_a_line_of_json(spool: Path, tmp_path: Path) -> None:
    """--export FILE has file, id, time and the event itself for each, and is for its owner's eyes only."""
    dead = leave(spool)
    target = tmp_path / "events.jsonl"
    ended = run(spool, "--export", target)

    assert Ended(0, f"3 events of 1 file written to {target}.\n", "") == ended
    lines = [json.loads(line) for line in target.read_text().splitlines()]
    assert [{"file", "id", "created", "event"}] * 3 == [set(line) for line in lines]
    assert [(dead.name, 1, "order 0"), (dead.name, 2, "order 1"), (dead.name, 3, "order 2")] == [
        (line["file"], line["id"], line["event"]["event"]) for line in lines
    ]
    assert all(abs(line["created"] - line["event"]["time"]) < 1e-5 for line in lines)
    assert 0o600 == target.stat().st_mode & 0o777


def test_export_to_stdout_is_nothing_but_the_lines(spool: Path) -> None:
    """With -, stdout has the lines and stderr the count; thousands of events come in order."""
    leave(spool, count=5_000)
    ended = run(spool, "--export", "-")

    assert (0, "5,000 events of 1 file written.\n") == (ended.code, ended.err)
    assert orders(5_000) == exported(ended.out)


def test_what_one_read_does_not_take_the_next_does(spool: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Rows are read a few at a time, and each event comes once, with its own number and time."""
    monkeypatch.setattr(_spool_folder, "_ROWS", 2)
    leave(spool, count=500)
    [file] = look(spool).files
    found = list(_spool_folder.rows(file))

    assert 500 == file.events
    assert [(n + 1, f"order {n}") for n in range(500)] == [(row.id, json.loads(row.body)["event"]) for row in found]
    assert all(abs(row.created - json.loads(row.body)["time"]) < 1e-5 for row in found)


def test_export_says_what_it_could_not_read(spool: Path) -> None:
    """With a file that cannot be read among others, these are exported, and the status is 1."""
    leave(spool)
    (spool / "0123456789abcdef-2-00000002.spool").write_bytes(b"no database at all" * 100)
    ended = run(spool, "--export", "-")

    assert (1, orders(3)) == (ended.code, exported(ended.out))
    assert "Not read: 0123456789abcdef-2-00000002.spool: file is not a database" in ended.err


# ---- draining


@pytest.mark.parametrize(
    ("kind", "endpoint"),
    [("HumioHECHandler", endpoint) for endpoint in ("/api/v1/ingest/hec", "/services/collector")]
    + [("SekoiaHandler", endpoint) for endpoint in ("/batch", "/array", "/")],
)
def test_drain_delivers_what_a_dead_process_has_left(spool: Path, down: LocalIntake, kind: str, endpoint: str) -> None:
    """For each endpoint, the file says where its events go and the environment has the token; nothing remains."""
    leave(spool, down.url, 5, kind=kind, endpoint=endpoint)
    down.start()
    ended = drain(spool)

    assert (0, "") == (ended.code, ended.err)
    requests = "5 requests" if endpoint == "/" else "1 request"
    assert f"5 of 5 events delivered to {down.url}{endpoint} ({requests}).\n" == ended.out
    assert orders(5) == messages(down)
    assert [] == list(spool.iterdir())


def test_drain_delivers_to_all_destinations_that_it_has_the_token_for(spool: Path, down: LocalIntake) -> None:
    """Files of both intakes are delivered in one go, and --json has the books of each."""
    leave(spool, down.url, 5)
    leave(spool, down.url, 4)
    leave(spool, down.url, 2, kind="SekoiaHandler")
    down.start()
    ended = drain(spool, "--json")

    document = json.loads(ended.out)
    assert (0, True, []) == (ended.code, document["complete"], document["left_alone"])
    assert {f"{down.url}/api/v1/ingest/hec": 9, f"{down.url}/batch": 2} == {
        each["destination"]: each["delivered"] for each in document["destinations"]
    }
    assert sorted(orders(5) + orders(4) + orders(2)) == sorted(messages(down))


def test_drain_delivers_more_files_than_a_handler_opens_at_a_time(spool: Path, down: LocalIntake) -> None:
    """However many dead processes there are, it ends when the files of all of them are delivered."""
    first = leave(spool, down.url, end="returns")
    for number in range(29):
        shutil.copy(first, first.with_name(f"{first.name.partition('-')[0]}-1-{number:08x}.spool"))
    down.start()
    ended = drain(spool)

    assert (0, "90 of 90 events delivered") == (ended.code, ended.out[:25]), ended
    assert 90 == len(messages(down))
    assert [] == list(spool.glob("*.spool"))


def test_drain_keeps_to_the_destination_of_the_environment(spool: Path, down: LocalIntake) -> None:
    """With HUMIO_URL set, files for another URL are left alone and told."""
    leave(spool, down.url)
    other = leave(spool)
    down.start()
    ended = drain(spool, HUMIO_URL=down.url)

    assert 0 == ended.code
    assert (
        f"Left alone: 3 events in 1 file for {NOBODY}/api/v1/ingest/hec: HUMIO_URL names another destination.\n"
        in ended.out
    )
    assert orders(3) == messages(down)
    assert [other.name] == [path.name for path in spool.glob("*.spool")]


def test_drain_says_that_the_token_is_another(spool: Path, down: LocalIntake) -> None:
    """With a token that the events were not spooled for, nothing is sent, and it says why."""
    leave(spool, down.url)
    down.start()
    before = snapshot(spool)
    ended = drain(spool, HUMIO_INGEST_TOKEN="rotated")

    assert (
        Ended(
            1,
            f"Left alone: 3 events in 1 file for {down.url}/api/v1/ingest/hec: the token in HUMIO_INGEST_TOKEN is not"
            " the one that these events were spooled for.\n",
            "",
        )
        == ended
    )
    assert ([], before) == (down.requests, snapshot(spool))


def test_drain_without_a_token_names_the_variable(spool: Path) -> None:
    """Without any credentials, --drain is a usage error that names what to set."""
    leave(spool, kind="SekoiaHandler")
    ended = run(spool, "--drain")

    assert (2, "") == (ended.code, ended.out)
    assert "SEKOIA_INTAKE_KEY is not set" in ended.err


def test_drain_gives_up_after_the_timeout(spool: Path, down: LocalIntake) -> None:
    """With the intake down, --timeout ends it with status 1, says why, and every event is still there."""
    leave(spool, down.url)
    ended = drain(spool, "--timeout", 2)

    assert 1 == ended.code
    assert ended.out.startswith(f"Stopped after 2 seconds.\n0 of 3 events delivered to {down.url}")
    assert re.search(r"\n  3 still in the folder; last error: .*Connection refused", ended.out)
    assert "not delivered yet, nothing is lost" in ended.err
    assert [("dead", 3)] == [(file["owner"], file["events"]) for file in as_json(spool)["files"]]


def test_ctrl_c_stops_draining_and_loses_nothing(spool: Path, down: LocalIntake) -> None:
    """Ctrl-C while a request hangs ends it with a summary; the next --drain delivers every event once."""
    leave(spool, down.url, 5)
    down.start()
    down.fail_when(delay=600)
    arguments = ["-m", "loghttp", "spool", str(spool), "--drain"]
    process = Interpreter(arguments, environment(HUMIO_INGEST_TOKEN=TOKEN), warm=True)
    down.wait_until(lambda intake: bool(intake.requests))
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=DEADLINE)
    down.stop()
    down.heal()
    down.start()

    assert (1, "") == (process.returncode, err)
    assert out.startswith("Stopped.\n0 of 5 events delivered")
    assert "\n  5 still in the folder" in out
    assert 0 == drain(spool).code
    assert orders(5) == messages(down)


def test_ctrl_c_in_the_first_moment_of_a_drain(spool: Path, down: LocalIntake, monkeypatch: pytest.MonkeyPatch) -> None:
    """A handler that was only just made when Ctrl-C came is closed as any other, and its books are told."""

    class Interrupted(loghttp.HumioHECHandler):
        def __init__(self, **options: Any) -> None:
            super().__init__(**options)
            signal.raise_signal(signal.SIGINT)

    leave(spool, down.url, 5)
    monkeypatch.setenv("HUMIO_INGEST_TOKEN", TOKEN)
    monkeypatch.setenv("HUMIO_URL", down.url)
    [target], _ = _spool_drain.plan(look(spool))
    target = replace(target, kind=replace(target.kind, handler=Interrupted))
    outcomes, why = _spool_drain.deliver(spool, [target], auth_scheme="Bearer", timeout=None, tell=lambda *_: None)
    assert ("Stopped.", 1) == (why, len(outcomes))
    assert [] == line_threads()


def test_drain_leaves_the_living_alone(spool: Path, down: LocalIntake) -> None:
    """Events of a living process are left to it, said, and count as not delivered yet."""
    with living(spool, down.url) as process:
        before = snapshot(spool, of_the_living=True)
        ended = drain(spool)
        assert before == snapshot(spool, of_the_living=True)
        down.start()
        let_go(process)

    assert 1 == ended.code
    assert f"No dead process has left events for {down.url}" in ended.out
    assert "\n  3 with living processes, which deliver them themselves\n" in ended.out
    assert orders(4, "living") == messages(down)


# ---- refused events


@pytest.fixture
def refused(spool: Path, down: LocalIntake) -> Ended:
    """A folder that was drained to an intake which refuses one event of five."""
    leave(spool, down.url, 5)
    down.fail_when(lambda request: b"order 3" in request.body, status=400, body="no such order")
    down.start()
    return drain(spool)


def test_a_refused_event_is_not_delivered(spool: Path, refused: Ended, down: LocalIntake) -> None:
    """The summary says how many were refused and where they are; the status is 1, and the others are delivered."""
    assert 1 == refused.code
    assert f"4 of 5 events delivered to {down.url}" in refused.out
    assert "\n  1 refused: the intake refused this very event; kept, see --dead-letters\n" in refused.out
    assert [order for order in orders(5) if order != "order 3"] == messages(down)[:4]
    assert [(0, 1)] == [(file["events"], file["dead_letters"]) for file in as_json(spool)["files"]]


def test_dead_letters_are_shown_with_the_intakes_words(spool: Path, refused: Ended) -> None:
    """--dead-letters has the event, the intake's words and both times; in a pipe, with --json, in a terminal."""
    ended = run(spool, "--dead-letters")
    [letter] = json.loads(run(spool, "--dead-letters", "--json").out)
    page = in_terminal(spool, "--dead-letters")

    assert (0, "") == (ended.code, ended.err)
    assert re.search(r" #1  created \d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ  refused \d{4}-\d\d-\d\dT", ended.out)
    assert "\n  intake: HTTP 400: no such order\n  event:  order 3\n" in ended.out
    assert {"file", "id", "created", "refused", "words", "event"} == set(letter)
    assert ("HTTP 400: no such order", "order 3") == (letter["words"], letter["event"]["event"])
    assert letter["created"] < letter["refused"]
    assert re.search(r"(?s)order 3 *\n +HTTP 400: no such order *\n +created .*, refused ", ESCAPE.sub("", page.out))


def test_what_others_wrote_moves_no_cursor(spool: Path, down: LocalIntake) -> None:
    """Neither a refused event nor the intake's words about it can steer the terminal of whoever looks at them."""
    leave(spool, down.url, 1, label="\x1b[2J\x9b1m\u202eorder")
    down.fail_when(lambda request: b"order" in request.body, status=400, body="no \x1b]0;title\x07")
    down.start()
    drained = drain(spool)
    page = in_terminal(spool, "--dead-letters").out

    assert r"\x1b[2J\x9b1m\u202eorder 0" in page
    assert r"HTTP 400: no \x1b]0;title\x07" in page
    assert not {"\x9b", "\x07", "\u202e"} & {*page, *drained.out, *drained.err}


def test_dead_letters_can_be_exported(spool: Path, refused: Ended, tmp_path: Path) -> None:
    """--dead-letters --export FILE writes them as JSON lines with the intake's words."""
    target = tmp_path / "refused.jsonl"
    assert Ended(0, f"1 refused event of 1 file written to {target}.\n", "") == run(
        spool, "--dead-letters", "--export", target
    )
    [line] = map(json.loads, target.read_text().splitlines())
    assert ("HTTP 400: no such order", "order 3") == (line["words"], line["event"]["event"])


# ---- removing


def test_purge_asks_first(spool: Path) -> None:
    """--purge says how many events it would remove; with no answer, or no, nothing is."""
    leave(spool)
    before = snapshot(spool)
    for answer in ("n\n", "\n", ""):
        ended = run(spool, "--purge", said=answer)
        assert (1, "Nothing was removed.\n") == (ended.code, ended.out)
        assert "Remove 3 events of 1 file for good? [y/N]:" in ended.err
        assert before == snapshot(spool)

    assert (0, "Removed 3 events of 1 file.\n") == ((ended := run(spool, "--purge", said="y\n")).code, ended.out)
    assert [] == list(spool.iterdir())


def test_purge_never_touches_the_living(spool: Path, down: LocalIntake) -> None:
    """--purge --yes removes what the dead have left; a living process keeps its file, and delivers it."""
    leave(spool, end="returns")
    with living(spool, down.url) as process:
        mine = {name: kept for name, kept in snapshot(spool, of_the_living=True).items() if f"-{process.pid}-" in name}
        ended = run(spool, "--purge", "--yes")
        assert mine == snapshot(spool, of_the_living=True)
        down.start()
        let_go(process)

    assert Ended(0, "Removed 3 events of 1 file.\n", "Not touched: 1 file of living processes.\n") == ended
    assert orders(4, "living") == messages(down)


def test_purge_removes_refused_events_too(spool: Path, refused: Ended) -> None:
    """Refused events are counted apart, and go with the file."""
    assert Ended(0, "Removed 0 events and 1 refused event of 1 file.\n", "") == run(spool, "--purge", "--yes")
    assert [] == list(spool.iterdir())


# ---- the command


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--drain", "--purge"), "--drain and --purge exclude each other"),
        (("--drain", "--export", "-"), "--drain and --export exclude each other"),
        (("--drain", "--dead-letters"), "--drain and --dead-letters exclude each other"),
        (("--purge", "--export", "-"), "--purge and --export exclude each other"),
        (("--purge", "--dead-letters"), "--purge and --dead-letters exclude each other"),
        (("--purge", "--json"), "--purge and --json exclude each other"),
        (("--json", "--export", "-"), "--export and --json exclude each other"),
        (("--timeout", "5"), "--timeout goes with --drain"),
        (("--auth-scheme", "Splunk"), "--auth-scheme goes with --drain"),
        (("--yes",), "--yes goes with --purge"),
        (("--drain", "--timeout", "-1"), "-1"),
    ],
)
def test_options_that_make_no_sense_together_are_refused(spool: Path, options: tuple[str, ...], words: str) -> None:
    """A usage error names both options and exits with 2, before anything is looked at."""
    ended = run(spool, *options)
    assert (2, "") == (ended.code, ended.out)
    assert words in ended.err


def test_an_export_cannot_overwrite_the_spool(spool: Path) -> None:
    """FILE must not lie in the spool folder, where it could be one of the files themselves."""
    dead = leave(spool)
    before = snapshot(spool)
    ended = run(spool, "--export", dead)
    assert (2, before) == (ended.code, snapshot(spool))
    assert "FILE must lie outside" in ended.err


@pytest.mark.parametrize("columns", [80, 120])
def test_a_terminal_gets_a_page_that_fits(spool: Path, columns: int) -> None:
    """In a terminal there are colours, a table for each destination, and no line is too wide."""
    leave(spool, count=1_200)
    leave(spool, kind="SekoiaHandler")
    ended = in_terminal(spool, columns=columns)

    page = ESCAPE.sub("", ended.out)
    table = page.partition("Total: ")[0].splitlines()[1:]  # the path is for copying, and never broken
    assert (0, True) == (ended.code, "\x1b[" in ended.out)
    assert max(map(len, table)) <= columns
    assert re.search(r"(?m)^\S+\.spool +\d+ dead +1,200 +\d+ kB +\d+s +0$", page)
    assert 2 == page.count("file ")
    assert f"loghttp spool {spool} --drain" in page


def test_no_color_takes_the_colours_away(spool: Path) -> None:
    """With NO_COLOR=1, a terminal gets no colour."""
    leave(spool)
    ended = in_terminal(spool, NO_COLOR="1")
    codes = {code for codes in re.findall(r"\x1b\[([0-9;]*)m", ended.out) for code in codes.split(";")}
    assert codes <= {"0", "1", "2"}  # reset, bold and dim are no colours


def test_a_terminal_shows_how_draining_goes(spool: Path, down: LocalIntake) -> None:
    """In a terminal, a bar tells how many events are left; the summary stands below."""
    leave(spool, down.url, 5)
    down.start()
    ended = in_terminal(spool, "--drain", columns=120, HUMIO_INGEST_TOKEN=TOKEN)

    assert 0 == ended.code
    assert re.search(r"delivering .*\d left", ESCAPE.sub("", ended.out))
    assert "5 of 5 events delivered" in ended.out
    assert TOKEN not in ended.out


def test_help_reads_like_a_page(spool: Path) -> None:
    """The help has an example and the exit statuses, in 80 columns but for the example's own line."""
    ended = run("--help")
    assert (0, "") == (ended.code, ended.err)
    assert "$ loghttp spool /var/spool/shop --drain\n" in ended.out
    assert ["0", "1", "2", "130"] == re.findall(r"(?m)^    (\d+)  ", ended.out)
    assert [] == [line for line in ended.out.splitlines() if len(line) > 80 and "delivered to" not in line]
