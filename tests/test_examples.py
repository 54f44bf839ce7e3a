"""Each example runs as the real process that a user would start, and the intake gets what it logged, once.

The tables say what the examples log. A test compares them with what a `LocalIntake` received, record for
record and in order, so a record that is lost, doubled, shuffled or stripped of its fields is a difference
between two lists.
"""

from __future__ import annotations

import contextlib
import copy
import json
import os
import re
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from interpreters import Interpreter
from terminals import Ended

import loghttp
from loghttp.testing import LocalIntake, ReceivedEvent
from loghttp.testing._server import ReservedPort

EXAMPLES = Path(__file__).parents[1] / "examples"
VARIABLES = ("HUMIO_URL", "HUMIO_INGEST_TOKEN", "SEKOIA_URL", "SEKOIA_INTAKE_KEY")
TAGS = {"env": "prod", "service": "shop"}
# What the examples log under names that they redact.
SECRETS = ("hunter2", "4970 1000 0000 0055")
DEADLINE = 30.0  # seconds; far more than any example takes, and within the suite's own limit of 60


@dataclass(frozen=True)
class Logged:
    """What must arrive of one record; a field inside a dict goes by its dotted name."""

    level: str
    message: str
    fields: dict[str, Any] = field(default_factory=dict)
    exc_type: str | None = None
    exc_message: str | None = None


@dataclass(frozen=True)
class Script:
    """What an example that runs through logs, and which part of it goes to SEKOIA.IO as well."""

    logger: str
    logged: list[Logged]
    #: The first of them that SEKOIA.IO gets: most examples send it warnings and worse.
    sekoia_from: int = 1
    needs: str = "loghttp"
    level_is_tag: bool = False
    #: Where it logs.
    function: str = "main"


# What OpenTelemetry adds to each record of the trace that the example's request came with.
TRACE = {
    "otelTraceID": "4bf92f3577b34da6a3ce929d0e0e4736",
    "otelTraceSampled": True,
    "otelServiceName": "shop",
}


def context_of(number: int) -> dict[str, Any]:
    """What each record of an order's task bears."""
    task = {"taskName": f"order-{number}"} if sys.version_info >= (3, 12) else {}
    return {"request_id": f"req-{number}", "customer.id": number * 6, "customer.country": "FR"} | task


SCRIPTS = {
    "dict_config.py": Script(
        "shop.orders",
        [
            Logged(
                "INFO",
                "order 1042 placed",
                {
                    "order.id": 1042,
                    "order.customer.country": "FR",
                    "order.total": 59.9,
                    "articles": ["mug", "pen"],
                },
            ),
            Logged("WARNING", "only 2 left of mug", {"article.name": "mug", "article.stock": 2}),
            Logged(
                "ERROR",
                "payment failed",
                {"order.customer.id": "c-7", "card_number": "[redacted]"},
                "ConnectionError",
                "the bank did not answer for order 1042",
            ),
        ],
        level_is_tag=True,
    ),
    "yaml_config.py": Script(
        "shop.accounts",
        [
            Logged("INFO", "amelie signed in", {"user.id": 42, "user.groups": ["staff", "buyers"]}),
            Logged("WARNING", "sign-in refused", {"form.name": "admin", "form.password": "[redacted]"}),
            Logged("ERROR", "no such account", {"remote_addr": "203.0.113.9"}, "KeyError", "'admin'"),
        ],
        sekoia_from=0,
        needs="yaml",
    ),
    "json_config.py": Script(
        "shop.export",
        [
            Logged(
                "INFO",
                "export started",
                {"job.tables": ["orders", "customers"], "job.retry.max": 3, "datacenter": "par1"},
            ),
            Logged("WARNING", "export is slow: 41.5 s", {"seconds": 41.5, "datacenter": "par1"}),
            Logged(
                "ERROR",
                "export failed",
                {"job.name": "nightly-export", "rows": 0},
                "FileNotFoundError",
                f"[Errno 2] No such file or directory: '{EXAMPLES / 'no-such-folder' / 'orders.csv'}'",
            ),
        ],
        sekoia_from=0,
    ),
    "ini_config.py": Script(
        "shop.mail",
        [
            Logged("INFO", "invoice sent", {"mail.to": ["amelie@example.org"], "mail.invoice.total": 59.9}),
            Logged("WARNING", "mail queue is long: 118", {"queue.oldest_seconds": 640}),
            Logged(
                "ERROR",
                "invoice not sent",
                {"mail.invoice.id": "2026-118", "smtp_password": "[redacted]"},
                "TimeoutError",
                "the mail server did not answer",
            ),
        ],
    ),
    "add_handler.py": Script(
        "shop.uploads",
        [
            Logged("INFO", "picture stored", {"upload.size": [640, 480], "upload.owner.id": 42}),
            Logged("WARNING", "disk is 91 % full", {"disk.mount": "/srv", "disk.used_percent": 91}),
            Logged(
                "ERROR",
                "picture refused",
                {"upload.name": "mug.png"},
                "ValueError",
                "invalid literal for int() with base 10: '640px'",
            ),
        ],
        level_is_tag=True,
    ),
    "structlog_app.py": Script(
        "shop.checkout",
        [
            Logged(
                "INFO",
                "checkout started",
                {"request_id": "req-8f14e45f", "cart.articles": ["mug", "pen"], "customer.country": "FR"},
            ),
            Logged("WARNING", "voucher has expired", {"request_id": "req-8f14e45f", "voucher": "SPRING"}),
            Logged(
                "ERROR",
                "checkout failed",
                {"request_id": "req-8f14e45f", "cart.id": 7, "step": "payment"},
                "ValueError",
                "could not convert string to float: '59,90'",
            ),
        ],
        needs="structlog",
    ),
    "loguru_app.py": Script(
        "__main__",
        [
            Logged("INFO", "parcel handed over", {"extra.parcel.stops": ["Paris", "Lyon"]}),
            Logged("SUCCESS", "parcel p-117 delivered", {"extra.carrier": "post"}),
            Logged("WARNING", "nobody at home", {"extra.parcel.id": "p-118", "extra.attempts": 2}),
            Logged("ERROR", "position unknown", {"extra.carrier": "post"}, "KeyError", "'p-119'"),
        ],
        sekoia_from=2,
        needs="loguru",
        level_is_tag=True,
    ),
    "opentelemetry_app.py": Script(
        "shop.checkout",
        [
            Logged("INFO", "checkout started", {"cart.articles": ["mug", "pen"], **TRACE}),
            Logged("WARNING", "the bank is slow", {"seconds": 2.5, **TRACE}),
            Logged("ERROR", "payment failed", TRACE, "TimeoutError", "no answer from the bank"),
        ],
        needs="opentelemetry.instrumentation.logging",
    ),
    "contextvars_app.py": Script(
        "shop.orders",
        [
            Logged("INFO", "order 7 received", context_of(7)),
            Logged("INFO", "order 8 received", context_of(8)),
            Logged("WARNING", "order 7 is late", context_of(7)),
            Logged("WARNING", "order 8 is late", context_of(8)),
        ],
        sekoia_from=2,
        function="order",
    ),
    "lambda_function.py": Script(
        "shop.pictures",
        [
            Logged("INFO", "picture mug.png received", {"picture.bytes": 48_213}),
            Logged("INFO", "picture shop.png received", {"picture.bytes": 4_821_300}),
            Logged("WARNING", "picture is large", {"picture.name": "shop.png"}),
            Logged("ERROR", "picture refused", {"picture.name": "empty.png"}, "KeyError", "'bytes'"),
        ],
        sekoia_from=2,
        function="lambda_handler",
    ),
}


# -- what the intake received, in the words of the tables ----------------------------------------------------


def of_dialect(events: Sequence[ReceivedEvent], dialect: str) -> list[ReceivedEvent]:
    return [event for event in events if event.dialect == dialect]


def look_up(event: ReceivedEvent, name: str) -> Any:
    """The value that arrived under a dotted name: HEC's fields are flat, JSON events are nested."""
    value: Any = event.fields if isinstance(event.event, str) else event.event
    if name in value:
        return value[name]
    for part in name.split("."):
        value = value.get(part, {})
    return value


def level_of(event: ReceivedEvent) -> str:
    return str(look_up(event, "level") or event.tags["level"])


def as_logged(event: ReceivedEvent, expected: Logged) -> Logged:
    """What arrived, of what is expected."""
    fields = {name: look_up(event, name) for name in expected.fields}
    for name, value in expected.fields.items():
        if isinstance(value, list) and isinstance(fields[name], str):
            fields[name] = json.loads(fields[name])  # among HEC's flat fields, a list is JSON text
    return Logged(
        level=level_of(event),
        message=event.message.partition("\n")[0],
        fields=fields,
        exc_type=look_up(event, "exc_type") or None,
        exc_message=look_up(event, "exc_message") or None,
    )


def check(events: Sequence[ReceivedEvent], expected: Sequence[Logged]) -> None:
    """These events, in this order, none more; each exception with one whole traceback."""
    assert [event.message.partition("\n")[0] for event in events] == [one.message for one in expected]
    assert [as_logged(event, one) for event, one in zip(events, expected, strict=True)] == list(expected)
    tracebacks = [one.exc_type is not None for one in expected]
    assert [traceback_of(event).count("Traceback (most recent call last):") for event in events] == tracebacks
    assert not [secret for secret in SECRETS if secret in repr(events)]


def traceback_of(event: ReceivedEvent) -> str:
    return event.message if event.dialect == "hec" else str(look_up(event, "exc_info"))


# -- starting the examples -----------------------------------------------------------------------------------


def environment(intake: LocalIntake | None = None) -> dict[str, str]:
    """A user's environment: with the variables that point to `intake`, or with none of them."""
    inherited = {name: value for name, value in os.environ.items() if name not in VARIABLES}
    # The package that this test imports, be it the source or an installed wheel.
    inherited["PYTHONPATH"] = str(Path(loghttp.__file__).parents[1])
    inherited["NO_PROXY"] = "127.0.0.1"
    if intake:
        inherited |= zip(VARIABLES, (intake.url, intake.token, intake.url, intake.intake_key), strict=True)
    return inherited


def run(script: str, cwd: Path, intake: LocalIntake | None = None) -> Ended:
    with Interpreter([str(EXAMPLES / script)], environment(intake), cwd=cwd) as process:
        out, err = process.communicate(timeout=DEADLINE)
        return Ended(process.wait(), out, err)


class Server:
    """A web example that serves on a free port, in a process group of its own."""

    def __init__(self, command: Sequence[str], cwd: Path, log: Path, intake: LocalIntake | None) -> None:
        self.reserved = ReservedPort()
        port = self.reserved.number
        self.url = f"http://127.0.0.1:{port}"
        self.log = log
        with log.open("w") as output:
            self.process = subprocess.Popen(
                [sys.executable, *(part.replace("PORT", str(port)) for part in command)],
                cwd=cwd,
                env=environment(intake) | {"PORT": str(port)},
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def output(self) -> str:
        return self.log.read_text()

    def get(self, path: str) -> int:
        """The status that the server answers, once it listens."""
        deadline = time.monotonic() + DEADLINE
        while True:
            try:
                with urllib.request.urlopen(self.url + path, timeout=DEADLINE) as reply:
                    return int(reply.status)
            except urllib.error.HTTPError as error:
                with error:
                    return error.code
            except (urllib.error.URLError, ConnectionError):
                assert self.process.poll() is None, self.output()
                assert time.monotonic() < deadline, self.output()
                time.sleep(0.05)

    def stop(self, number: signal.Signals) -> int:
        self.process.send_signal(number)
        return self.process.wait(DEADLINE)

    def kill(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait(DEADLINE)
        self.reserved.release()


class Servers(list[Server]):
    """Those that a test has started."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def start(self, *command: str, cwd: Path | None = None, intake: LocalIntake | None = None) -> Server:
        server = Server(command, cwd or self.folder, self.folder / f"{len(self)}.log", intake)
        self.append(server)
        return server


@pytest.fixture
def servers(tmp_path: Path) -> Iterator[Servers]:
    """Starts web examples, and leaves no process behind."""
    # A shell that runs the suite in the background has SIGINT ignored, and so would the servers.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    started = Servers(tmp_path)
    try:
        yield started
    finally:
        for server in started:
            server.kill()
        signal.signal(signal.SIGINT, before)


@pytest.fixture
def intake() -> Iterator[LocalIntake]:
    """Takes the place of both services."""
    with LocalIntake() as started:
        yield started


# -- the scripts ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", SCRIPTS)
def test_both_intakes_receive_what_a_script_logs(name: str, intake: LocalIntake, tmp_path: Path) -> None:
    """With the variables set, a script's records arrive at both intakes, with all that was logged, and where.

    Logger, module and function are the user's own, also where structlog or loguru stands in between.
    """
    script = SCRIPTS[name]
    pytest.importorskip(script.needs)

    result = run(name, tmp_path, intake)

    assert (result.code, result.err) == (0, "")
    humio, sekoia = of_dialect(intake.events, "hec"), of_dialect(intake.events, "sekoia")
    check(humio, script.logged)
    check(sekoia, script.logged[script.sekoia_from :])
    levels = [{"level": one.level} if script.level_is_tag else {} for one in script.logged]
    assert [event.tags for event in humio] == [TAGS | level for level in levels]
    assert [event.sourcetype for event in humio] == ["shop"] * len(humio)
    assert [{name: look_up(event, name) for name in TAGS} for event in sekoia] == [TAGS] * len(sekoia)
    places = {tuple(look_up(event, part) for part in ("logger", "module", "function")) for event in intake.events}
    assert places == {(script.logger, Path(name).stem, script.function)}


@pytest.mark.parametrize("name", [*SCRIPTS, "custom_json_formatter.py"])
def test_a_script_runs_without_an_account(name: str, tmp_path: Path) -> None:
    """With no variable set, a script runs as it is, and prints what a local intake received of it."""
    script = SCRIPTS.get(name) or RETURNS
    pytest.importorskip(script.needs)

    result = run(name, tmp_path)

    assert (result.code, result.err) == (0, "")
    humio, _, sekoia = result.out.partition("SEKOIA.IO (the local one) received")
    assert f"Humio (the local one) received {len(script.logged)} events." in humio
    assert sekoia.startswith(f" {len(script.logged[script.sekoia_from :])} events.")
    assert [one.message for one in script.logged if humio.count(one.message) != 1] == []
    assert [one.message for one in script.logged[script.sekoia_from :] if sekoia.count(one.message) != 1] == []
    assert "env='prod'" in humio
    assert "env='prod'" in sekoia


def test_the_handler_told_its_books(intake: LocalIntake, tmp_path: Path) -> None:
    """add_handler.py prints the handler's statistics, and they agree with what the intake received."""
    result = run("add_handler.py", tmp_path, intake)

    assert len(of_dialect(intake.events, "hec")) == 3
    assert result.out.startswith("<Stats accepted 3 | delivered 3 | pending 0 | dropped 0 |")


RETURNS = Script(
    "shop.returns",
    [
        Logged("INFO", "return announced", {"parcel.articles": ["mug"], "parcel.sender.country": "FR"}),
        Logged("WARNING", "return is late by 3 days", {"days": 3, "parcel.id": "p-118"}),
        Logged("ERROR", "return refused", {"parcel.id": "p-118"}),
    ],
    sekoia_from=0,
)


def test_a_json_formatter_of_the_users_names_the_fields(intake: LocalIntake, tmp_path: Path) -> None:
    """Both intakes receive the object that the user's own formatter made, under the names it gave."""
    result = run("custom_json_formatter.py", tmp_path, intake)

    assert (result.code, result.err) == (0, "")
    for dialect in ("hec", "sekoia"):
        events = of_dialect(intake.events, dialect)
        assert [event.message for event in events] == [one.message for one in RETURNS.logged]
        for event, one in zip(events, RETURNS.logged, strict=True):
            assert {name: look_up(event, name) for name in one.fields} == one.fields
            assert look_up(event, "log.level") == one.level
            assert look_up(event, "log.logger") == RETURNS.logger
            assert look_up(event, "log.origin.function") == "main"
            assert look_up(event, "service.name") == "shop"
        stack_traces = [look_up(event, "error.stack_trace") for event in events]
        assert stack_traces[:2] == [{}, {}]
        assert stack_traces[2].splitlines()[-1] == "PermissionError: the label was already used"
    assert [event.tags for event in of_dialect(intake.events, "hec")] == [{"env": "prod"}] * 3


# -- the web examples ----------------------------------------------------------------------------------------

ORDERS = [
    Logged("INFO", "order 7 shown", {"order.id": 7, "order.articles": ["mug", "pen"]}),
    Logged("INFO", "order 1042 shown", {"order.id": 1042}),
    Logged("WARNING", "order 1042 is not paid", {"order.due": 59.9}),
]


def refund_failed(message: str, **fields: Any) -> Logged:
    return Logged("ERROR", message, fields, "LookupError", "no payment for order 7")


def test_flask_records_carry_their_request(intake: LocalIntake, servers: Servers) -> None:
    """A served Flask application sends its records, and Flask's own, with URL and address of the request."""
    pytest.importorskip("flask")
    server = servers.start(str(EXAMPLES / "flask_app.py"), intake=intake)

    assert [server.get(path) for path in ("/orders/7", "/orders/1042", "/refund/7")] == [200, 200, 500]
    assert server.stop(signal.SIGINT) == 0

    logged = [*copy.deepcopy(ORDERS), refund_failed("Exception on /refund/7 [GET]")]
    urls = [server.url + path for path in ("/orders/7", "/orders/1042", "/orders/1042", "/refund/7")]
    for one, url in zip(logged, urls, strict=True):
        one.fields.update(url=url, method="GET", remote_addr="127.0.0.1", logger="flask_app")
    check(of_dialect(intake.events, "hec"), logged)
    check(of_dialect(intake.events, "sekoia"), logged[2:])
    assert [event.tags for event in of_dialect(intake.events, "hec")] == [TAGS] * 4


def test_django_sends_its_views_and_its_own_records(intake: LocalIntake, servers: Servers) -> None:
    """A Django project under runserver sends what its views log, and the traceback of one that raises."""
    pytest.importorskip("django")
    manage = str(EXAMPLES / "django_project" / "manage.py")
    server = servers.start(manage, "runserver", "--noreload", "127.0.0.1:PORT", intake=intake)

    assert [server.get(path) for path in ("/orders/7/", "/orders/1042/", "/refund/7/")] == [200, 200, 500]
    assert server.stop(signal.SIGINT) == 0

    logged = [
        *copy.deepcopy(ORDERS),
        refund_failed("Internal Server Error: /refund/7/", logger="django.request", status_code=500),
    ]
    for one, path in zip(logged, ("/orders/7/", "/orders/1042/", "/orders/1042/", "/refund/7/"), strict=True):
        one.fields.update(path=path, method="GET", remote_addr="127.0.0.1")
    logged[0].fields.update({"customer.password": "[redacted]", "logger": "shop.views"})
    check(of_dialect(intake.events, "hec"), logged)
    check(of_dialect(intake.events, "sekoia"), logged[2:])
    assert [event.tags for event in of_dialect(intake.events, "hec")] == [TAGS] * 4


def test_uvicorn_sends_its_access_log(intake: LocalIntake, servers: Servers) -> None:
    """`uvicorn --log-config` sends application, access and error records, and SIGTERM loses none of them."""
    pytest.importorskip("fastapi")
    pytest.importorskip("uvicorn")
    command = ("-m", "uvicorn", "app:app", "--port", "PORT", "--log-config", "log_config.json")
    server = servers.start(*command, cwd=EXAMPLES / "fastapi_app", intake=intake)

    # The orders come last: the error makes what is before it due at once, they still wait when SIGTERM comes.
    assert [server.get(path) for path in ("/refund/7", "/orders/7", "/orders/1042")] == [500, 200, 200]
    server.stop(signal.SIGTERM)

    by_logger: dict[str, list[ReceivedEvent]] = {}
    for event in intake.events:
        by_logger.setdefault(look_up(event, "logger"), []).append(event)
    check(by_logger["shop"], ORDERS)
    requests = [("/refund/7", 500), ("/orders/7", 200), ("/orders/1042", 200)]
    accesses = by_logger["uvicorn.access"]
    assert [(look_up(event, "path"), look_up(event, "status")) for event in accesses] == requests
    assert [event.message.partition(" - ")[2] for event in accesses] == [
        f'"GET {path} HTTP/1.1" {status}' for path, status in requests
    ]
    failures = [event for event in by_logger["uvicorn.error"] if level_of(event) == "ERROR"]
    check(failures, [refund_failed("Exception in ASGI application")])
    assert [event.tags for event in accesses] == [TAGS | {"level": "INFO"}] * 3
    assert "color_message" not in repr(intake.events)


@pytest.mark.parametrize(
    ("framework", "command", "refund"),
    [
        ("flask", ["flask_app.py"], "/refund/7"),
        ("django", ["django_project/manage.py", "runserver", "--noreload", "127.0.0.1:PORT"], "/refund/7/"),
        # With the reloader, parent and child are two processes, and one intake.
        ("django", ["django_project/manage.py", "runserver", "127.0.0.1:PORT"], "/refund/7/"),
        ("fastapi", ["fastapi_app"], "/refund/7"),
    ],
    ids=["flask", "django", "django-reloader", "fastapi"],
)
def test_a_web_example_runs_without_an_account(
    framework: str, command: list[str], refund: str, servers: Servers
) -> None:
    """With no variable set, a web example serves, and at Ctrl-C prints what a local intake received of it."""
    pytest.importorskip(framework)
    server = servers.start(str(EXAMPLES / command[0]), *command[1:])

    assert server.get(refund) == 500
    os.killpg(server.process.pid, signal.SIGINT)  # as a terminal does
    assert server.process.wait(DEADLINE) == 0

    served, _, account = server.output().partition("Humio (the local one) received")
    assert "exc_type='LookupError'" in account
    assert account.count("LookupError: no payment for order 7") == account.count("exc_type='LookupError'")
    assert "loghttp:" not in served  # nothing was lost


def test_celerys_tasks_send_their_records(servers: Servers) -> None:
    """With no variable set, a worker sends what its tasks log, with the task as fields, and ends at Ctrl-C."""
    pytest.importorskip("celery")
    worker = servers.start(str(EXAMPLES / "celery_app.py"))

    deadline = time.monotonic() + DEADLINE
    while worker.output().count("succeeded in") < 3:
        assert worker.process.poll() is None, worker.output()
        assert time.monotonic() < deadline, worker.output()
        time.sleep(0.05)
    assert worker.stop(signal.SIGINT) == 0

    humio, sekoia = worker.output().partition("Humio (the local one) received")[2].split("SEKOIA.IO")
    for message in ("parcel 7 packed", "parcel 8 packed", "parcel 1042 packed", "parcel 1042 is heavy"):
        assert re.search(rf"{message}\n[^A-Z]*env='prod'[^§]*?task\.name='celery_app\.pack'", humio)
        assert humio.count(f" {message}\n") == 1
        assert sekoia.count(f" {message}\n") == ("heavy" in message)
    assert "loghttp:" not in worker.output()


def test_a_users_own_test_passes(tmp_path: Path) -> None:
    """The example of a test with the fixture `local_intake` is collected and passes, wherever it is run."""
    pytest.importorskip("flask")
    (tmp_path / "pytest.ini").write_text("[pytest]\n")
    command = [sys.executable, "-m", "pytest", "-q", "-c", "pytest.ini", "-p", "no:cacheprovider"]
    result = subprocess.run(
        [*command, "--rootdir", str(tmp_path), str(EXAMPLES / "test_siem.py")],
        cwd=tmp_path,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=DEADLINE,
        check=False,
    )
    assert (0, "3 passed") == (result.returncode, result.stdout.splitlines()[-1].partition(" in ")[0]), result.stdout


def test_no_example_is_left_out() -> None:
    """Every Python file directly in examples/ is run by a test above."""
    run_above = {*SCRIPTS, "custom_json_formatter.py", "celery_app.py", "flask_app.py", "test_siem.py", "try_it.py"}
    run_above.add("own_intake.py")  # in test_own_intake.py, for it needs a server of its own
    assert {path.name for path in EXAMPLES.glob("*.py")} == run_above
