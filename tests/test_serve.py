"""`loghttp serve` without a browser: the command as a process, its API over real HTTP, and who may see it.

What the page itself does is in test_serve_page.py.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import logging
import os
import pty
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

pytest.importorskip("click")

from click.testing import CliRunner
from servers import has_ipv6

import loghttp
from loghttp.cli import cli
from loghttp.cli._serve_event import flatten, severity, shown_event
from loghttp.cli._serve_http import PageServer, page_files
from loghttp.cli._serve_store import MOST_REQUESTS, Store
from loghttp.cli.serve import about_intake, running
from loghttp.testing import ReceivedEvent

DEADLINE = 20.0  # seconds
TOKEN = "a-token-of-its-own"
JSON = {"Content-Type": "application/json"}
HEC_HEADERS = {**JSON, "Authorization": "Bearer dev-token"}
ESCAPE = "\x1b["


class Reply:
    def __init__(self, reply: http.client.HTTPResponse) -> None:
        self.status, self.headers, self.body = reply.status, reply.headers, reply.read()

    @property
    def json(self) -> Any:
        return json.loads(self.body)


def ask(url: str, path: str, body: Any = None, method: str = "", **headers: str) -> Reply:
    """One request to `url`, "http://name:port"; a body that is not bytes is sent as JSON."""
    connection = http.client.HTTPConnection(url.removeprefix("http://").rstrip("/"), timeout=DEADLINE)
    with contextlib.closing(connection):
        data = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        connection.request(method or ("GET" if body is None else "POST"), path, data, sent)
        return Reply(connection.getresponse())


class Served:
    """A running `serve`, its page and its intake on free ports."""

    def __init__(self, page: PageServer) -> None:
        self.page = page
        self.url = f"http://127.0.0.1:{page.server_port}"
        self.store = page.site.store

    @property
    def intake(self) -> str:
        return self.page.site.intake.intake.url

    def poll(self, event: int = 0, change: int = -1) -> Any:
        return ask(self.url, f"/api/poll?event={event}&change={change}").json

    def until(self, condition: Callable[[Any], Any]) -> Any:
        """Poll until what is kept is as `condition` wants it; the answer."""
        deadline = time.monotonic() + DEADLINE
        change = -1
        while True:
            answer = self.poll(0, -1)
            if condition(answer):
                return answer
            assert time.monotonic() < deadline, answer
            change = answer["change"]
            self.store.poll(answer["last"], change, 1.0)

    def send(self, *events: Any, **headers: str) -> Reply:
        """Send events in HEC's dialect."""
        body = b"".join(json.dumps(event).encode() for event in events)
        return ask(self.intake, "/api/v1/ingest/hec", body, **{**HEC_HEADERS, **headers})

    def switch(self, mode: str) -> None:
        assert 200 == ask(self.url, "/api/mode", {"mode": mode}, **JSON).status


@contextmanager
def serving(token: str | None = None, max_events: int = 1000, **bounds: int) -> Iterator[Served]:
    with running("127.0.0.1", (0, 0), token, Store(max_events, **bounds)) as page:
        yield Served(page)


@pytest.fixture
def served() -> Iterator[Served]:
    with serving() as served:
        yield served


# ---- the command


@contextmanager
def command(*arguments: str, terminal: bool = False, **variables: str) -> Iterator[tuple[subprocess.Popen[bytes], int]]:
    """`loghttp serve` on free ports, as a process; with the end of a pipe or of a terminal to read from."""
    reader, writer = pty.openpty() if terminal else os.pipe()
    environment = {name: value for name, value in os.environ.items() if name not in {"NO_COLOR", "FORCE_COLOR"}}
    process = subprocess.Popen(
        [sys.executable, "-m", "loghttp", "serve", "--port", "0", *arguments],
        stdout=writer,
        stderr=subprocess.PIPE,
        env=environment | {"TERM": "xterm"} | variables,
    )
    os.close(writer)
    try:
        yield process, reader
    finally:
        process.kill()
        process.communicate(timeout=DEADLINE)
        os.close(reader)


def read_until(reader: int, pattern: str) -> str:
    """What is printed until `pattern` is."""
    text = ""
    while not re.search(pattern, text):
        chunk = os.read(reader, 4096).decode()
        assert chunk, f"it ended, having said:\n{text}"
        text += chunk
    return text


def test_the_command_takes_what_a_program_logs_and_ends_cleanly_at_sigterm() -> None:
    """What is printed is enough to send to it and to see it; SIGTERM ends it with 0, and a last line says what came."""
    with command() as (process, reader):
        said = read_until(reader, r"-d '.*'")
        page = re.search(r"open (http://\S+?)/ ", said)
        variables = dict(re.findall(r"(HUMIO_\w+|SEKOIA_\w+)=(\S+)", said))
        assert page
        assert {"HUMIO_URL", "HUMIO_INGEST_TOKEN", "SEKOIA_URL", "SEKOIA_INTAKE_KEY"} == set(variables)

        logger = logging.Logger("shop")
        handler = loghttp.HumioHECHandler(variables["HUMIO_URL"], variables["HUMIO_INGEST_TOKEN"], proxies={})
        logger.addHandler(handler)
        logger.warning("disk %s is almost full", "sda1")
        assert handler.flush(DEADLINE)
        handler.close()
        [event] = ask(page[1], "/api/poll?event=0&change=0").json["events"]

        process.send_signal(signal.SIGTERM)
        assert 0 == process.wait(DEADLINE)
        assert "disk sda1 is almost full" == event["text"]
        assert "1 event came in 1 request; 0 refused.\n" == os.read(reader, 4096).decode().lstrip("\n")
        assert ESCAPE not in said
        assert process.stderr
        assert b"" == process.stderr.read()


@pytest.mark.parametrize(("variables", "coloured"), [({}, True), ({"NO_COLOR": "1"}, False)])
def test_a_terminal_has_colours_unless_they_are_not_wanted(variables: dict[str, str], coloured: bool) -> None:
    """Colours are for terminals, NO_COLOR takes them away, and Ctrl-C ends it with 0 and no traceback."""
    with command(terminal=True, **variables) as (process, reader):
        said = read_until(reader, r"-d '.*'")
        process.send_signal(signal.SIGINT)
        assert 0 == process.wait(DEADLINE)
        assert coloured == (ESCAPE in said)
        assert process.stderr
        assert b"" == process.stderr.read()


def test_on_another_address_than_loopback_a_token_is_made_up() -> None:
    """Where others can reach it there is a token in the printed address; without it nothing is shown."""
    with command("--host", "127.0.0.2") as (_, reader):  # loopback after all, but not by name
        said = read_until(reader, r"-d '.*'")
        token = re.search(r"\?token=(\S{20,})", said)
        port = re.search(r"open http://127.0.0.2:(\d+)/", said)
        assert token
        assert port
        assert f"HUMIO_INGEST_TOKEN={token[1]}" in said
        assert 401 == ask(f"http://127.0.0.2:{port[1]}", "/api/poll").status
        assert 200 == ask(f"http://127.0.0.2:{port[1]}", "/api/about", Authorization=f"Bearer {token[1]}").status


@pytest.mark.skipif(not has_ipv6(), reason="this machine has no IPv6")
def test_on_ipv6() -> None:
    """On IPv6's loopback no token is demanded, and every printed address has its brackets."""
    with command("--host", "::1") as (_, reader):
        said = read_until(reader, r"-d '.*'")
        page = re.search(r"open http://\[::1\]:(\d+)/ ", said)
        intake = re.search(r"HUMIO_URL=(http://\[::1\]:\d+) ", said)
        assert page
        assert intake
        about = ask(f"http://[::1]:{page[1]}", "/api/about")
        assert (200, intake[1]) == (about.status, about.json["intake"])
        assert 200 == ask(intake[1], "/api/v1/ingest/hec", {"event": "hello"}, **HEC_HEADERS).status


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--token", "with a space"], "need no quotes"),
        (["--token", ""], "need no quotes"),
        (["--host", "0.0.0.0", "--token", "short"], "at least 8 characters"),  # noqa: S104 - refused before
        (["--max-events", "0"], "1<=x<=200000"),
    ],
)
def test_options_that_cannot_be_are_told(arguments: list[str], said: str) -> None:
    """A wrong option is told in a sentence, with exit status 2."""
    result = CliRunner().invoke(cli, ["serve", *arguments])
    assert 2 == result.exit_code
    assert said in result.output


def test_a_port_that_is_taken_is_told_with_the_cure() -> None:
    """Whether the page's or the intake's port is taken: one line that names the ports and another to try."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        for first in (port, port - 1):
            result = CliRunner().invoke(cli, ["serve", "--port", str(first)])
            assert 1 == result.exit_code
            assert f"It needs {first} and {first + 1}: try --port " in result.output


def test_the_help_has_an_example_and_is_listed() -> None:
    """`loghttp serve --help` shows one example to copy, and `loghttp --help` names the command."""
    page = CliRunner().invoke(cli, ["serve", "--help"]).output
    assert "$ loghttp serve --open &" in page
    assert "Take logs on this machine" in CliRunner().invoke(cli, ["--help"]).output


@pytest.mark.parametrize("proxy", ["", "http://proxy.example:3128"])
def test_what_is_printed_to_copy_is_python_and_passes_by_a_proxy(monkeypatch: pytest.MonkeyPatch, proxy: str) -> None:
    """The settings are valid `dictConfig`; where the environment names a proxy, they go around it."""
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    if proxy:
        monkeypatch.setenv("http_proxy", proxy)
    settings: dict[str, Any] = {}
    exec(about_intake("http://127.0.0.1:1", "dev-token", 10)["snippets"]["LOGGING"], settings)  # noqa: S102 - ours
    [handler] = settings["LOGGING"]["handlers"].values()
    wanted = {"class": "loghttp.HumioHECHandler", "url": "http://127.0.0.1:1", "token": "dev-token"}
    assert wanted | ({"proxies": {}} if proxy else {}) == handler


# ---- what is kept and shown


def test_both_dialects_come_out_in_one_shape(served: Served) -> None:
    """A record is shown under the same names whichever handler sent it: SEKOIA.IO's quoted JSON is unquoted."""
    logger = logging.Logger("shop")
    handlers: list[Any] = [
        loghttp.HumioHECHandler(served.intake, "dev-token", tags={"env": "prod"}, host="h", proxies={}),
        loghttp.SekoiaHandler("dev-token", served.intake, proxies={}),
    ]
    for handler in handlers:
        logger.addHandler(handler)
        logger.warning("card declined", extra={"user": {"id": 7}, "cards": ["visa", "amex"]})
        logger.removeHandler(handler)
        assert handler.flush(DEADLINE)
        handler.close()

    humio, sekoia = served.until(lambda answer: answer["last"] == 2)["events"]

    for event in (humio, sekoia):
        assert ("card declined", "WARNING", "warning") == (event["text"], event["level"], event["severity"])
        assert (7, '["visa","amex"]') == (event["fields"]["user.id"], event["fields"]["cards"])
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", event["fields"]["@timestamp"][:23] + "Z")
    assert ("hec", "sekoia") == (humio["dialect"], sekoia["dialect"])
    assert ("prod", "h") == (humio["fields"]["#env"], humio["fields"]["@host"])


def test_a_refused_request_is_shown_with_the_reason_and_without_its_secrets(served: Served) -> None:
    """The reason is that of a strict server; neither a header nor a query, which may hold a token, is kept."""
    served.send({"event": "x", "time": 1_700_000_000_000}, User_Agent="probe")
    ask(served.intake, "/batch?key=hush-hush", {"intake_key": "hush-hush", "jsons": ["a"]}, **JSON)

    answer = served.until(lambda answer: len(answer["requests"]) == 2)

    first, second = answer["requests"]
    assert (400, "event 0: time looks like milliseconds, it must be seconds", "probe") == (
        first["status"],
        first["refusal"],
        first["agent"],
    )
    assert (404, "/batch") == (second["status"], second["path"])
    assert {"events": 0, "requests": 2, "refused": 2} == answer["totals"]
    assert "hush-hush" not in json.dumps(answer)
    assert "dev-token" not in json.dumps(answer)


def test_only_so_many_are_kept_and_nothing_twice() -> None:
    """The latest events and requests are kept, the books count all, and the intake behind has let go of its own."""
    with serving(max_events=10) as served:
        for start in range(0, 30, 5):
            served.send(*({"event": f"event {number}"} for number in range(start, start + 5)))
        answer = served.until(lambda answer: answer["last"] == 30)

        assert [f"event {number}" for number in range(20, 30)] == [event["text"] for event in answer["events"]]
        assert (21, 30) == (answer["first"], answer["totals"]["events"])
        assert ([], []) == (served.page.site.intake.intake.requests, served.page.site.intake.intake.events)


def test_memory_is_bounded_by_bytes_too() -> None:
    """Large events give way sooner; one that is larger than all that may be kept is shown all the same."""
    store = Store(1000, most_bytes=5000)
    request = {"n": 1, "refusal": "", "state": "done"}
    store.put(request, [{"n": number, "text": "x" * 1000} for number in range(1, 21)])
    assert [17, 18, 19, 20] == [event["n"] for event in json.loads(store.poll(0, -1, 0))["events"]]
    store.put(request, [{"n": 21, "text": "x" * 9000}])
    assert [21] == [event["n"] for event in json.loads(store.poll(0, -1, 0))["events"]]
    for number in range(2, MOST_REQUESTS + 12):
        store.put({**request, "n": number}, [])
    assert MOST_REQUESTS == len(json.loads(store.poll(0, -1, 0))["requests"])


def test_an_answer_is_no_more_than_a_browser_can_take_at_once() -> None:
    """What has piled up is given in parts, the oldest first, until nothing is left out."""
    store = Store(20_000)
    store.put({"n": 1, "refusal": "", "state": "done"}, ({"n": n, "text": "x" * 900} for n in range(1, 12_001)))
    read, parts = 0, 0
    while read < 12_000:
        events = json.loads(store.poll(read, 1, 0))["events"]
        assert [*range(read + 1, read + 1 + len(events))] == [event["n"] for event in events]
        assert len(events) <= 5000
        assert sum(len(json.dumps(event)) for event in events) < 2.2 * 1024 * 1024
        read, parts = events[-1]["n"], parts + 1
    assert 3 <= parts


def test_a_poll_waits_until_there_is_something(served: Served) -> None:
    """With nothing new the answer is held back, and given the moment that an event comes."""
    answers: list[Any] = []
    change = served.poll()["change"]
    waiting = threading.Thread(target=lambda: answers.append(served.poll(0, change)))
    waiting.start()
    waiting.join(0.1)
    assert [] == answers
    served.send({"event": "here"})
    waiting.join(DEADLINE)
    assert ["here"] == [event["text"] for event in answers[0]["events"]]


def test_clear_forgets_and_goes_on_counting(served: Served) -> None:
    """After `clear` nothing is kept, `first` tells every page so, and the next event has the next number."""
    served.send({"event": "one"}, {"event": "two"})
    served.until(lambda answer: answer["last"] == 2)
    assert 200 == ask(served.url, "/api/clear", {}, **JSON).status
    assert ([], [], 3) == tuple(served.poll()[name] for name in ("events", "requests", "first"))
    served.send({"event": "three"})
    [event] = served.until(lambda answer: answer["last"] == 3)["events"]
    assert (3, "three") == (event["n"], event["text"])


@pytest.mark.parametrize(
    ("body", "time", "level"),
    [
        ({"event": "x", "time": 12.5, "fields": {"#level": "warn"}}, 12.5, "warning"),
        ({"event": {"message": "x", "severity": "FATAL"}}, 99.0, "critical"),
        ({"event": "x", "time": -5}, 99.0, ""),
        ({"event": {"message": "x", "@timestamp": "1970-01-01T00:00:07.123456789Z"}}, 7.123456, ""),
        ({"event": {"message": "x", "@timestamp": "1970-01-01T02:00:07.5+02:00"}}, 7.5, ""),
        ({"event": {"message": "x", "@timestamp": "1970-01-01 00:00:07"}}, 7.0, ""),
        ({"event": {"message": "x", "@timestamp": "yesterday", "level": "chatty"}}, 99.0, ""),
    ],
)
def test_time_and_level_are_found_where_a_program_put_them(body: Any, time: float, level: str) -> None:
    """An event's own time and level are shown; without one that can be read, that of its arrival, and none."""
    event = ReceivedEvent("hec", body, body["event"], body.get("time"), body.get("fields", {}))
    shown = shown_event(event, 1, 1, received_at=99.0)
    assert (time, level) == (shown["time"], shown["severity"])


def test_what_is_nested_or_too_large_for_javascript_stays_exact() -> None:
    """Objects become dotted names, arrays JSON, and an integer that a browser would round becomes text."""
    deep: Any = 1
    for _ in range(40):
        deep = {"a": deep}
    flat = flatten({"user": {"id": 2**60, "tags": [1, {"b": 2}]}, "empty": {}, "deep": deep})
    assert {"user.id": str(2**60), "user.tags": '[1,{"b":2}]', "empty": "{}"} == {
        name: value for name, value in flat.items() if not name.startswith("deep")
    }
    [(name, value)] = ((name, value) for name, value in flat.items() if name.startswith("deep"))
    assert 15 == name.count(".")
    assert 40 - 15 == value.count("{")
    assert ("", "error") == (severity("loud"), severity("err"))


def test_json_too_deep_to_be_written_is_told_as_that() -> None:
    """An event that can be read and not be written again does not stop the others."""
    deep: Any = 1
    for _ in range(100_000):
        deep = [deep]
    shown = shown_event(ReceivedEvent("hec", {}, {"message": "m", "deep": deep}), 1, 1, 99.0)
    assert "(nested too deep to be shown)" == shown["text"]


# ---- the switch


def test_the_switch_makes_the_intake_fail_and_heal(served: Served) -> None:
    """503 and 429 are answered to whatever comes, with nothing taken; healthy takes it again."""
    served.switch("503")
    assert 503 == served.send({"event": "x"}).status
    served.switch("429")
    reply = served.send({"event": "x"})
    assert (429, "5") == (reply.status, reply.headers["Retry-After"])
    served.switch("healthy")
    assert 200 == served.send({"event": "x"}).status
    answer = served.until(lambda answer: answer["last"] == 1)
    assert [503, 429, 200] == [request["status"] for request in answer["requests"]]
    assert ["", "", ""] == [request["refusal"] for request in answer["requests"]]


def test_slow_holds_answers_back_and_shows_it(served: Served) -> None:
    """A request whose answer waits is shown as waiting, and as answered in the same place once the switch is back."""
    served.switch("slow")
    replies: list[Reply] = []
    sending = threading.Thread(target=lambda: replies.append(served.send({"event": "late"})))
    sending.start()
    [held] = served.until(lambda answer: answer["requests"])["requests"]
    served.switch("healthy")
    sending.join(DEADLINE)
    [done] = served.until(lambda answer: answer["last"] == 1)["requests"]
    assert ("held", "done") == (held["state"], done["state"])
    assert (held["n"], 200) == (done["n"], replies[0].status)


def test_down_refuses_connections_until_it_is_up_again(served: Served) -> None:
    """While the intake is down nobody listens there, who waited is cut off, and the page stays up."""
    served.switch("slow")
    sending = threading.Thread(target=_ignoring, args=(served.send, {"event": "x"}))
    sending.start()
    served.until(lambda answer: answer["requests"])
    served.switch("down")
    sending.join(DEADLINE)
    with pytest.raises(ConnectionRefusedError):
        served.send({"event": "x"})
    assert ("down", "cut") == (served.poll()["mode"], served.poll()["requests"][0]["state"])
    served.switch("healthy")
    assert 200 == served.send({"event": "x"}).status


def _ignoring(call: Callable[..., Any], *arguments: Any) -> None:
    with contextlib.suppress(OSError, http.client.HTTPException):
        call(*arguments)


@pytest.mark.parametrize("body", [{"mode": "worse"}, {}, [], 5, {"mode": ["503"]}, b"{", b"\xff", b"[" * 4000])
def test_a_mode_that_there_is_not_is_refused(served: Served, body: Any) -> None:
    """What is not a mode is answered 400 with the modes, and nothing changes."""
    reply = ask(served.url, "/api/mode", body, **JSON)
    assert (400, b"mode must be one of healthy, 503, 429, slow, down\n") == (reply.status, reply.body)
    assert "healthy" == served.poll()["mode"]


# ---- who may see it


def test_without_the_token_nothing_is_shown() -> None:
    """The page, its files and its API demand the token; what is given to others is a form with nothing in it."""
    with serving(TOKEN) as served:
        closed = [path for path in page_files() if path not in {"/style.css", "/theme.js", "/icon.svg"}]
        for path in ["/", *closed, "/api/about", "/api/poll", "/nothing"]:
            assert 401 == ask(served.url, path).status, path
            assert 401 == ask(served.url, path, Authorization="Bearer wrong").status, path
            assert 401 == ask(served.url, path, Cookie=f"loghttp-{served.page.server_port}=wrong").status, path
        for path in ("/api/mode", "/api/clear"):
            assert 401 == ask(served.url, path, {"mode": "down"}, **JSON).status
        form = ask(served.url, "/").body
        assert b'action="/login"' in form
        assert TOKEN.encode() not in form
        assert 403 == ask(served.intake, "/services/collector", {"event": "x"}, **HEC_HEADERS).status
        assert 200 == ask(served.url, "/api/about", Authorization=f"Bearer {TOKEN}").status


@pytest.mark.parametrize("by", ["address", "form"])
def test_the_token_gives_a_cookie_and_leaves_the_address_bar(by: str) -> None:
    """By the printed address or by the form: a cookie that scripts cannot read, that is not the token, and `/`."""

    def enter(token: str) -> Reply:
        if by == "address":
            return ask(served.url, f"/?token={token}")
        return ask(served.url, "/login", f"token={token}".encode(), Origin=served.url)

    with serving(TOKEN) as served:
        reply = enter(TOKEN)
        cookie = reply.headers["Set-Cookie"]
        assert (303, "/") == (reply.status, reply.headers["Location"])
        assert {"HttpOnly", "SameSite=Strict", "Path=/"} == set(cookie.split("; ")[1:])
        assert TOKEN not in cookie
        assert b"app.js" in ask(served.url, "/", Cookie=cookie.partition(";")[0]).body
        wrong = enter("wrong")
        assert (303, "/#again", None) == (wrong.status, wrong.headers["Location"], wrong.headers["Set-Cookie"])


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("localhost:{port}", 200),
        ("127.0.0.1", 200),
        ("[::1]:{port}", 200),
        ("rebound.example:{port}", 421),
        ("127.0.0.1.example", 421),
        ("[", 421),
        ("", 421),
    ],
)
def test_a_name_that_was_rebound_to_this_machine_is_not_answered(served: Served, host: str, status: int) -> None:
    """Without a token, only loopback names are: a hostile page could make its own name point here."""
    assert status == ask(served.url, "/api/poll", Host=host.format(port=served.page.server_port)).status


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Origin": "{url}"}, 200),
        ({}, 200),
        ({"Origin": "http://evil.example"}, 403),
        ({"Origin": "null"}, 403),
        ({"Sec-Fetch-Site": "cross-site"}, 403),
        ({"Sec-Fetch-Site": "same-site"}, 403),
        ({"Content-Type": "text/plain"}, 415),
    ],
)
def test_another_page_cannot_change_anything(served: Served, headers: dict[str, str], status: int) -> None:
    """What changes something comes from our own page, or from a program, and as JSON, which no form can send."""
    sent = JSON | {name: value.format(url=served.url) for name, value in headers.items()}
    assert status == ask(served.url, "/api/mode", {"mode": "503"}, **sent).status
    assert ("503" if status == 200 else "healthy") == served.poll()["mode"]


def test_every_answer_forbids_what_the_page_does_not_need(served: Served) -> None:
    """Errors too: no script but our files, no frame, no other origin, no guessing of types, nothing kept."""
    replies = [ask(served.url, path) for path in ("/", "/app.js", "/api/about", "/nothing", "/../serve.py")]
    replies.append(ask(served.url, "/", method="DELETE"))
    assert [200, 200, 200, 404, 404, 501] == [reply.status for reply in replies]
    for reply in replies:
        policy = dict(part.strip().split(" ", 1) for part in reply.headers["Content-Security-Policy"].split(";"))
        assert ("'none'", "'self'") == (policy["default-src"], policy["script-src"])
        assert ("'none'", "'script'") == (policy["frame-ancestors"], policy["require-trusted-types-for"])
        assert "nosniff" == reply.headers["X-Content-Type-Options"]
        assert "no-store" == reply.headers["Cache-Control"]
        assert "loghttp" == reply.headers["Server"].strip()


@pytest.mark.parametrize(
    ("path", "body", "headers", "status"),
    [
        ("/api/clear", b"x" * 5000, JSON, 413),
        ("/api/clear", b"", {**JSON, "Content-Length": "-1"}, 413),
        ("/api/clear", b"", {**JSON, "Content-Length": "9" * 5000}, 413),
        ("/api/poll?event=x", None, {}, 400),
        ("/api/nothing", b"{}", JSON, 404),
    ],
)
def test_what_the_api_does_not_know_is_refused(
    served: Served, path: str, body: bytes | None, headers: dict[str, str], status: int
) -> None:
    """A body too long or of no length, a number that is none, a path that is not there: told, and nothing breaks."""
    assert status == ask(served.url, path, body, **headers).status
    assert 200 == ask(served.url, "/").status


def test_everything_the_page_loads_is_in_the_package() -> None:
    """What its files refer to is there, and none of them names another site."""
    files = {path: body.decode() for path, body in page_files().items()}
    wanted = set()
    for path, text in files.items():
        found = re.findall(r'(?:href|src)="([\w.-]+)"|from "\./([\w.-]+)"', text)
        wanted |= {f"/{linked or imported}" for linked, imported in found}
        assert [] == re.findall(r"(?:https?:)?//[a-z]+\.[a-z]+", text.replace("http://www.w3.org/2000/svg", "")), path
    assert {"/app.js", "/style.css", "/theme.js", "/icon.svg", "/list.js"} <= wanted
    assert set() == wanted - files.keys()
