"""`loghttp check` against real things: an intake, nginx with good and bad certificates, squid, tinyproxy, closed ports.

Each answer is read as its user reads it: what happened, what to do, the exit status; and no secret in any of it.
"""

from __future__ import annotations

import json
import logging
import signal
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
import trustme
from servers import DEADLINE, Nginx, Proxy, Squid, Tinyproxy
from terminals import KEY, TOKEN, Interpreter, environment, run_in_pipe

pytest.importorskip("click")
pytest.importorskip("rich")

from click.testing import CliRunner

from loghttp import HumioHECHandler
from loghttp.cli import cli
from loghttp.testing import LocalIntake
from loghttp.testing._server import ReservedPort

pytestmark = pytest.mark.usefixtures("credentials")

WRONG = "wr0ng-p4ssw0rd"
SECRETS = (TOKEN, KEY, WRONG, Squid.password, Tinyproxy.password, "pr0xy%2Fp4ss")


@dataclass(frozen=True)
class Ended:
    code: int
    out: str

    @property
    def lines(self) -> list[str]:
        return self.out.splitlines()

    def of(self, step: str) -> str:
        """What a step says, its advice included; it must be there once."""
        rows = [index for index, line in enumerate(self.lines) if line[8:].startswith(f"{step} ")]
        assert 1 == len(rows), self.out
        advice = self.lines[rows[0] + 1] if "->" in "".join(self.lines[rows[0] + 1 : rows[0] + 2]) else ""
        return f"{self.lines[rows[0]].strip()} {advice.strip()}".strip()


@pytest.fixture
def intake() -> Iterator[LocalIntake]:
    with LocalIntake(TOKEN, KEY) as intake:
        yield intake


def check(*arguments: Any, said: str = "") -> Ended:
    """Run `loghttp check` in this process, its output in a pipe."""
    ended = CliRunner().invoke(cli, ["check", *map(str, arguments)], input=said, catch_exceptions=False)
    assert [] == [secret for secret in SECRETS if secret in ended.output]
    return Ended(ended.exit_code, ended.output)


def tls(nginx: Nginx, intake: LocalIntake, certificate: trustme.LeafCert) -> str:
    """The https URL of an nginx with this certificate in front of the intake."""
    nginx.write("server.pem", certificate.private_key_and_cert_chain_pem.bytes())
    nginx.serve(Nginx.TLS, Nginx.to(intake))
    return nginx.https_url


# ---- one intake


@pytest.mark.parametrize("kind", ["humio", "sekoia"])
def test_all_is_right(kind: str, intake: LocalIntake) -> None:
    """One event arrives, can be found by what is printed, and the status is 0."""
    ended = check(kind, "--url", intake.url)

    assert (0, "Delivered.") == (ended.code, ended.lines[-1])
    [event] = intake.events
    assert 1 == len(intake.requests)
    assert "a test event from" in event.message
    fields = event.fields if kind == "humio" else event.event
    assert f"ok    event         delivered; search for loghttp_check={fields['loghttp_check']}" in ended.of("event")


def test_json_says_the_same_for_programs(intake: LocalIntake) -> None:
    """--json is one document: status, URL, and each step with its outcome and seconds."""
    ended = check("humio", "--url", intake.url, "--json")

    document = json.loads(ended.out)
    assert (0, True, 0, {}, []) == (ended.code, *(document[key] for key in ("ok", "status", "wrong", "findings")))
    [handler] = document["handlers"]
    assert (f"{intake.url}/api/v1/ingest/hec", None, True) == (handler["url"], handler["proxy"], handler["delivered"])
    assert handler["search_for"]["loghttp_check"] == intake.events[0].fields["loghttp_check"]
    assert [("connection", "ok"), ("event", "ok")] == [(step["step"], step["outcome"]) for step in handler["steps"]]
    assert all(0 <= step["seconds"] < DEADLINE for step in handler["steps"])


def test_a_name_that_does_not_exist() -> None:
    """A name that is not found is told with the name, and where to look for the mistake."""
    ended = check("humio", "--url", "https://intake.invalid")

    assert (1, "Not delivered.") == (ended.code, ended.lines[-1])
    assert "FAIL  name          intake.invalid was not found" in ended.of("name")
    assert "typo" in ended.of("name")
    assert "FAIL  event" in ended.out


def test_a_closed_port() -> None:
    """A refused connection is told with host and port."""
    port = ReservedPort()
    ended = check("sekoia", "--url", f"http://127.0.0.1:{port.number}")
    port.release()

    assert 1 == ended.code
    assert f"127.0.0.1 port {port.number} refused it: nothing listens there" in ended.of("connection")


def test_an_intake_that_is_silent() -> None:
    """A port that takes connections and never answers is told within --timeout, with what to do."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        ended = check("humio", "--url", url, "--timeout", 0.3)

    assert 1 == ended.code
    assert "ok    connection" in ended.of("connection")
    assert "timed out" in ended.of("event")
    assert "is it busy?" in ended.of("event")


def test_a_slow_intake_is_told_with_its_time(intake: LocalIntake, monkeypatch: pytest.MonkeyPatch) -> None:
    """An event that is delivered after long is told as slow, and how long; it is no failure."""
    monkeypatch.setattr("loghttp.cli._check_event.SLOW", 0.1)
    intake.fail_next(delay=0.15)
    ended = check("humio", "--url", intake.url)

    assert 0 == ended.code
    assert "note  event         delivered" in ended.of("event")
    assert "Slow: one event took 0." in ended.of("event")


ANSWERS = {
    401: "Check the token: the intake does not know it",
    403: "has no right to send here",
    404: "Nothing takes logs at that address",
    405: "takes no POST",
    413: "client_max_body_size",
    429: "It takes no more for now",
    503: "is in trouble",
}


@pytest.mark.parametrize("status", ANSWERS)
def test_what_the_intake_answers(status: int, intake: LocalIntake) -> None:
    """Each refusal is told with its status, the intake's words, the URL that was used, and what to do."""
    intake.fail_when(status=status, body="in its own words", headers={"Retry-After": "120"})
    ended = check("humio", "--url", intake.url)

    assert 1 == ended.code
    assert f"HTTP {status}: in its own words (POST {intake.url}/api/v1/ingest/hec)" in ended.of("event")
    assert ANSWERS[status] in ended.of("event")
    assert 1 == sum(b"loghttp_check" in request.body for request in intake.requests)


def test_a_wrong_token(intake: LocalIntake, tmp_path: Path) -> None:
    """What a strict intake answers to an unknown token is told as the token's fault, without showing it."""
    (tmp_path / "token").write_text("an0ther-t0ken\n")
    ended = check("humio", "--url", intake.url, "--token-file", tmp_path / "token")

    assert 1 == ended.code
    assert "HTTP 403" in ended.of("event")
    assert "Check the token" in ended.of("event")
    assert "an0ther-t0ken" not in ended.out


def test_a_redirect_names_where_it_leads(intake: LocalIntake) -> None:
    """A redirect, which is not followed, is told with the URL to use."""
    intake.fail_when(status=301, headers={"Location": "https://logs.example/"})
    assert "is the URL https://logs.example/?" in check("humio", "--url", intake.url).of("event")


def test_success_that_takes_nothing(intake: LocalIntake) -> None:
    """SEKOIA.IO's 200 without an event's id is no delivery."""
    intake.fail_when(event_ids=0)
    ended = check("sekoia", "--url", intake.url)

    assert 1 == ended.code
    assert "takes nothing: check the intake key" in ended.of("event")


def test_a_refused_event(intake: LocalIntake) -> None:
    """A 400 is told with the intake's words and what they may mean."""
    intake.fail_when(status=400, body="no such index")
    ended = check("humio", "--url", intake.url)

    assert 1 == ended.code
    assert "HTTP 400: no such index" in ended.of("event")
    assert "index" in ended.of("event").rpartition("->")[2]


# ---- token and options


def test_the_token_may_come_from_stdin(intake: LocalIntake, monkeypatch: pytest.MonkeyPatch) -> None:
    """`pass show humio | loghttp check humio --token-file -` needs no environment."""
    monkeypatch.delenv("HUMIO_INGEST_TOKEN")
    assert 0 == check("humio", "--url", intake.url, "--token-file", "-", said=f"{TOKEN}\n").code


def test_no_token_is_a_usage_error_that_names_the_cure(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Without a token, with an empty file or with none: status 2, and what to set."""
    monkeypatch.delenv("SEKOIA_INTAKE_KEY")
    (tmp_path / "empty").write_text("\n")
    for arguments, words in (
        ((), "no token: set SEKOIA_INTAKE_KEY, or give --token-file FILE."),
        (("--token-file", tmp_path / "empty"), "empty is empty: set SEKOIA_INTAKE_KEY"),
        (("--token-file", tmp_path / "none"), "No such file or directory"),
    ):
        ended = check("sekoia", *arguments)
        assert 2 == ended.code
        assert words in ended.out


@pytest.mark.parametrize(
    "arguments",
    [
        (),
        ("humio", "--django", "settings"),
        ("--config", "logging.yaml", "--url", "https://logs.example"),
        ("sekoia", "--auth-scheme", "Splunk"),
        ("humio", "--url", "logs.example"),
        ("humio", "--ca", "/nowhere/ca.pem"),
        ("humio", "--token", TOKEN),
    ],
)
def test_what_does_not_go_together_is_a_usage_error(arguments: tuple[str, ...]) -> None:
    """Nothing, two things at once, or a bad value: status 2, and nothing is sent."""
    ended = check(*arguments)
    assert (2, True) == (ended.code, ended.out.startswith("Usage: "))


# ---- certificates


def test_a_good_certificate_is_shown_with_its_end(nginx, intake, authority, bundle) -> None:
    """Names, issuer and last day of the certificate are told, and the days that are left."""
    ended = check("humio", "--url", tls(nginx, intake, authority.issue_cert("127.0.0.1")), "--ca", bundle)

    assert 0 == ended.code
    assert "ok    certificate   for 127.0.0.1, by trustme" in ended.of("certificate")
    assert " days)" in ended.of("certificate")


def test_a_certificate_that_ends_soon_is_worth_a_word(nginx, intake, authority, bundle) -> None:
    """In its last two weeks a certificate is told as ending soon; delivery works."""
    soon = datetime.now(timezone.utc) + timedelta(days=5, hours=1)
    url = tls(nginx, intake, authority.issue_cert("127.0.0.1", not_after=soon))
    ended = check("humio", "--url", url, "--ca", bundle)

    assert 0 == ended.code
    assert "note  certificate" in ended.of("certificate")
    assert "(5 days)" in ended.of("certificate")


def test_an_own_ca_by_the_environment(nginx, intake, authority, bundle, monkeypatch) -> None:
    """REQUESTS_CA_BUNDLE is honoured, as the handler honours it."""
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", bundle)
    assert 0 == check("humio", "--url", tls(nginx, intake, authority.issue_cert("127.0.0.1"))).code


def test_an_own_ca_that_is_missing(nginx, intake, authority) -> None:
    """A certificate of an unknown CA is told with its issuer, and with where to name the CA."""
    ended = check("humio", "--url", tls(nginx, intake, authority.issue_cert("127.0.0.1")))

    assert 1 == ended.code
    assert "signed by trustme" in ended.of("certificate")
    assert "is not trusted" in ended.of("certificate")
    assert "REQUESTS_CA_BUNDLE" in ended.of("certificate")
    assert [] == intake.requests


def test_an_expired_certificate_is_told_with_its_day(nginx, intake, authority, bundle) -> None:
    """The day on which it has expired is told, and how long ago that is."""
    now = datetime.now(timezone.utc)
    expired = authority.issue_cert(
        "127.0.0.1", not_before=now - timedelta(days=9), not_after=now - timedelta(days=3, hours=1)
    )
    ended = check("humio", "--url", tls(nginx, intake, expired), "--ca", bundle)

    assert 1 == ended.code
    day = (now - timedelta(days=3, hours=1)).date().isoformat()
    assert f"of 127.0.0.1 expired on {day}, 3 days ago" in ended.of("certificate")


def test_a_certificate_of_tomorrow(nginx, intake, authority, bundle) -> None:
    """One that is not valid yet makes a person look at the clock."""
    tomorrow = datetime.now(timezone.utc) + timedelta(days=1)
    url = tls(nginx, intake, authority.issue_cert("127.0.0.1", not_before=tomorrow))
    ended = check("humio", "--url", url, "--ca", bundle)

    assert 1 == ended.code
    assert f"is valid from {tomorrow:%Y-%m-%d}" in ended.of("certificate")
    assert "clock" in ended.of("certificate")


def test_a_certificate_of_another_host(nginx, intake, authority, bundle) -> None:
    """The names that the certificate is for are told beside the one that was used."""
    url = tls(nginx, intake, authority.issue_cert("logs.example", "siem.example"))
    ended = check("humio", "--url", url, "--ca", bundle)

    assert 1 == ended.code
    assert "is for logs.example, siem.example, not for 127.0.0.1" in ended.of("certificate")


def test_http_where_https_is_spoken_and_the_other_way_round(nginx, intake, authority) -> None:
    """The wrong scheme is told as that, both ways."""
    url = tls(nginx, intake, authority.issue_cert("127.0.0.1"))

    ended = check("humio", "--url", url.replace("https", "http"))
    assert (1, True) == (ended.code, "begin the URL with https://" in ended.of("event"))
    ended = check("humio", "--url", intake.url.replace("http", "https"), "--timeout", 2)
    assert 1 == ended.code
    assert "one for http" in ended.of("certificate") or "TLS" in ended.of("certificate")


def test_a_client_certificate(nginx, intake, authority, bundle, tmp_path) -> None:
    """Where the intake asks for one, its absence is told, and --cert gives it."""
    nginx.write("clients.pem", authority.cert_pem.bytes())
    nginx.write("server.pem", authority.issue_cert("127.0.0.1").private_key_and_cert_chain_pem.bytes())
    nginx.serve(Nginx.TLS, "ssl_client_certificate clients.pem; ssl_verify_client on;", Nginx.to(intake))
    own = tmp_path / "own.pem"
    authority.issue_cert("me@example.com").private_key_and_cert_chain_pem.write_to_path(str(own))

    without = check("humio", "--url", nginx.https_url, "--ca", bundle)
    assert (1, True) == (without.code, "It wants a client certificate" in without.of("event"))
    assert 0 == check("humio", "--url", nginx.https_url, "--ca", bundle, "--cert", own).code


# ---- proxies


@pytest.mark.parametrize("kind", [Squid, Tinyproxy], ids=lambda kind: kind.name)
def test_through_a_proxy(kind: type[Proxy], nginx, intake, authority, bundle, monkeypatch) -> None:
    """Through squid and tinyproxy: with credentials it arrives; without, or with wrong ones, the proxy is named.

    tinyproxy says 401, which is not the token's fault.
    """
    url = tls(nginx, intake, authority.issue_cert("127.0.0.1"))
    with kind() as proxy:
        proxy.start()
        where = f"127.0.0.1:{proxy.port}"
        monkeypatch.setenv("HTTPS_PROXY", proxy.url)
        monkeypatch.setenv("HTTP_PROXY", proxy.url_with(WRONG))
        good = check("humio", "--url", url, "--ca", bundle)
        in_clear = check("humio", "--url", intake.url)
        monkeypatch.setenv("HTTPS_PROXY", proxy.url_with(WRONG))
        bad = check("humio", "--url", url, "--ca", bundle)
    assert 0 == good.code
    assert f"{where} lets us through to 127.0.0.1 port {nginx.port}" in good.of("proxy")
    assert "the proxy" in good.of("connection")
    assert 1 == bad.code
    assert f"{where} answers 40" in bad.of("proxy")
    assert "The proxy wants credentials" in bad.of("proxy")
    assert 1 == in_clear.code
    assert "The proxy wants credentials" in in_clear.of("event")
    assert 1 == len(intake.requests)


def test_a_proxy_that_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    """The proxy's own name and port are told where they are at fault, not the intake's."""
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy.invalid:3128")
    ended = check("sekoia", "--url", "https://intake.invalid")

    assert 1 == ended.code
    assert "proxy.invalid was not found" in ended.of("proxy's name")
    assert "HTTPS_PROXY" in ended.of("proxy's name")


# ---- a configuration


def written(tmp_path: Path, content: str, name: str = "logging.yaml") -> Path:
    path = tmp_path / name
    path.write_text(content)
    return path


def yaml_config(intake: LocalIntake, handlers: str = "", **more: str) -> str:
    """A configuration with the handlers `humio` and `sekoia`; `more` are other top-level keys, as YAML."""
    rest = "\n".join(f"{key}: {value}" for key, value in {"disable_existing_loggers": "false", **more}.items())
    return f"""
version: 1
handlers:
  humio: {{class: loghttp.HumioHECHandler, url: "{intake.url}"}}
  sekoia: {{class: loghttp.SekoiaHandler, url: "{intake.url}"}}
{handlers}
{rest}
"""


ROOT = "{level: INFO, handlers: [humio, sekoia]}"


def test_a_good_configuration(intake: LocalIntake, tmp_path: Path) -> None:
    """Each handler of ours sends one event, as configured; status 0 and nothing to complain about."""
    ended = check("--config", written(tmp_path, yaml_config(intake, root=ROOT)))

    assert (0, "All 2 delivered.") == (ended.code, ended.lines[-1])
    assert {"hec", "sekoia"} == {event.dialect for event in intake.events}
    assert 2 == len(intake.events)
    assert "handler 'humio', fed by root from INFO" in ended.out


@pytest.mark.parametrize("name", ["logging.yaml", "logging.json", "logging.toml", "logging.ini"])
def test_every_format(name: str, intake: LocalIntake, tmp_path: Path) -> None:
    """YAML, JSON, TOML and INI are read, with formatters; the event bears what the formatter makes."""
    config = {
        "version": 1,
        "formatters": {"own": {"format": "OWN %(message)s"}},
        "handlers": {"humio": {"class": "loghttp.HumioHECHandler", "url": intake.url, "formatter": "own"}},
        "root": {"level": "INFO", "handlers": ["humio"]},
        "disable_existing_loggers": False,
    }
    toml = f"""
[logging]
version = 1
disable_existing_loggers = false
formatters.own.format = "OWN %(message)s"
handlers.humio = {{class = "loghttp.HumioHECHandler", url = "{intake.url}", formatter = "own"}}
root = {{level = "INFO", handlers = ["humio"]}}
"""
    ini = f"""
[loggers]
keys = root
[handlers]
keys = humio
[formatters]
keys = own
[logger_root]
level = INFO
handlers = humio
[handler_humio]
class = loghttp.HumioHECHandler
kwargs = {{"url": "{intake.url}"}}
formatter = own
[formatter_own]
format = OWN %(message)s
"""
    if name.endswith("toml") and sys.version_info < (3, 11):
        pytest.importorskip("tomli")
    content = {"toml": toml, "ini": ini}.get(name.rpartition(".")[2], json.dumps(config))
    ended = check("--config", written(tmp_path, content, name))

    assert 0 == ended.code, ended.out
    [event] = intake.events
    assert event.message.startswith("OWN loghttp check: a test event")


def test_twice_by_propagation(intake: LocalIntake, tmp_path: Path) -> None:
    """A handler on a logger and on one above is found, with both names, the level and the cure; status 3."""
    loggers = "{shop: {level: DEBUG, handlers: [humio]}, shop.sql: {level: ERROR}}"
    ended = check("--config", written(tmp_path, yaml_config(intake, root=ROOT, loggers=loggers)))

    assert (3, 2) == (ended.code, len(intake.events))
    assert (
        "every record from DEBUG on of logger 'shop' is sent twice: there and on the root logger, to which it"
        " propagates (handler 'humio') -> Set propagate to false on logger 'shop', or take 'humio' from it."
    ) in ended.of("sent twice")


@pytest.mark.parametrize("second", ["loghttp.HumioHECHandler", "loghttp.SekoiaHandler"])
def test_twice_by_two_handlers(second: str, intake: LocalIntake, tmp_path: Path) -> None:
    """Two handlers with one destination are told as twice; two with different ones are not."""
    again = f'  again: {{class: {second}, url: "{intake.url}", level: ERROR}}'
    root = "{level: INFO, handlers: [humio, again]}"
    ended = check(
        "--config", written(tmp_path, yaml_config(intake, again, root=root, loggers="{x: {handlers: [sekoia]}}"))
    )

    if second.endswith("HumioHECHandler"):
        assert "from ERROR on of the root logger is sent twice: handlers 'humio' and 'again'" in ended.of("sent twice")
    else:
        assert "logger 'x' is sent twice: there and on the root logger" in ended.of("sent twice")
    assert 3 == ended.code


def test_not_twice(intake: LocalIntake, tmp_path: Path) -> None:
    """A logger that does not propagate, a level that nothing passes, and a handler behind a queue: all is sent once."""
    handlers = f"""
  queue: {{class: logging.handlers.MemoryHandler, capacity: 10, target: sekoia}}
  later: {{class: loghttp.HumioHECHandler, url: "{intake.url}", level: 60}}
"""
    loggers = "{shop: {level: DEBUG, handlers: [humio], propagate: false}, other: {handlers: [later]}}"
    root = "{level: INFO, handlers: [humio, queue]}"
    document = json.loads(
        check("--config", written(tmp_path, yaml_config(intake, handlers, root=root, loggers=loggers)), "--json").out
    )
    assert [] == [finding for finding in document["findings"] if finding["kind"] == "twice"]
    assert ["later"] == [finding["about"] for finding in document["findings"] if finding["kind"] == "nothing"]


def test_twice_behind_a_queue(intake: LocalIntake, tmp_path: Path) -> None:
    """A handler behind somebody else's is followed to where it delivers."""
    handlers = "  queue: {class: logging.handlers.MemoryHandler, capacity: 10, target: humio}"
    root = "{level: INFO, handlers: [humio, queue, sekoia]}"
    ended = check("--config", written(tmp_path, yaml_config(intake, handlers, root=root)))

    assert 3 == ended.code
    assert "is sent twice" in ended.of("sent twice")


def test_nothing_is_sent(intake: LocalIntake, tmp_path: Path) -> None:
    """A handler on no logger, and one that no level reaches, are told; status 3."""
    handlers = f'  late: {{class: loghttp.HumioHECHandler, url: "{intake.url}", level: 60}}'
    root = "{level: INFO, handlers: [humio, late]}"
    ended = check("--config", written(tmp_path, yaml_config(intake, handlers, root=root)), "--json")

    found = {finding["about"]: finding["text"] for finding in json.loads(ended.out)["findings"]}
    assert 3 == ended.code
    assert {
        "sekoia": "handler 'sekoia' is on no logger: nothing is sent by it",
        "late": "nothing passes the levels before handler 'late': not even CRITICAL",
    } == found


def test_levels_that_keep_things_back_are_noted(intake: LocalIntake, tmp_path: Path) -> None:
    """A root without a level, a handler above its logger, and loggers that stay silent are worth a note, status 0."""
    handlers = f'  alarm: {{class: loghttp.SekoiaHandler, url: "{intake.url}/siem", level: ERROR}}'
    loggers = "{shop: {level: INFO, handlers: [alarm]}, quiet: {propagate: false}}"
    root = "{handlers: [humio, sekoia]}"
    config = yaml_config(intake, handlers, root=root, loggers=loggers, disable_existing_loggers="true")
    intake.fail_when(lambda request: request.path.startswith("/siem"), status=200, body='{"event_ids": ["1"]}')
    ended = check("--config", written(tmp_path, config), "--json")

    found = {finding["about"]: finding["text"] for finding in json.loads(ended.out)["findings"]}
    assert (0, {"alarm", "root", "quiet", "disable_existing_loggers"}) == (ended.code, set(found))
    assert "handler 'alarm' takes ERROR and above; logger 'shop' logs from INFO on" == found["alarm"]
    assert "so it is WARNING" in found["root"]
    assert "goes to no handler of loghttp (logger 'quiet' does not propagate)" in found["quiet"]


def test_a_configuration_without_us(tmp_path: Path) -> None:
    """A configuration that makes no handler of loghttp sends nothing: status 3."""
    config = "{version: 1, handlers: {console: {class: logging.StreamHandler}}, root: {handlers: [console]}}"
    ended = check("--config", written(tmp_path, config))
    assert (3, True) == (ended.code, "makes no handler of loghttp" in ended.of("never sent"))


def test_looking_touches_nothing(intake: LocalIntake, tmp_path: Path) -> None:
    """Other people's handlers are not made: a log file opened by mode "w" keeps its lines; no spool is made."""
    precious = tmp_path / "precious.log"
    precious.write_text("years of it\n")
    handlers = f"""
  file: {{class: logging.FileHandler, filename: "{precious}", mode: w}}
  durable: {{class: loghttp.HumioHECHandler, url: "{intake.url}", spool_dir: "{tmp_path}/spool/deep"}}
"""
    before = list(logging.getLogger().handlers)
    root = "{level: INFO, handlers: [file, durable, sekoia]}"
    ended = check("--config", written(tmp_path, yaml_config(intake, handlers, root=root)))

    assert "years of it\n" == precious.read_text()
    assert not (tmp_path / "spool").exists()
    assert before == logging.getLogger().handlers
    assert f"{tmp_path}/spool/deep can be written, which the handler makes when it starts" in ended.of("spool")


def test_what_is_wrong_in_a_configuration_is_told_by_name(intake: LocalIntake, tmp_path, monkeypatch) -> None:
    """A missing token, an unknown option and a handler that is named and not there: each by name; status 2."""
    monkeypatch.delenv("SEKOIA_INTAKE_KEY")
    handlers = f"""
  odd: {{class: loghttp.HumioHECHandler, url: "{intake.url}", retries: 3}}
  gone: {{class: shop.log.Handler}}
  formatted: {{class: loghttp.HumioHECHandler, url: "{intake.url}", formatter: pretty}}
"""
    root = "{level: INFO, handlers: [humio, humo]}"
    ended = check("--config", written(tmp_path, yaml_config(intake, handlers, root=root)), "--json")

    wrong = json.loads(ended.out)["wrong"]
    assert (2, {"sekoia", "odd", "gone", "root", "formatted"}) == (ended.code, set(wrong))
    assert "SEKOIA_INTAKE_KEY" in wrong["sekoia"]
    assert "retries" in wrong["odd"]
    assert "shop" in wrong["gone"]
    assert "'pretty', which is not among the formatters" in wrong["formatted"]
    assert "it names the handler 'humo', which is not among the handlers" == wrong["root"]


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("a.yaml", f"version: 1\ntoken: [{TOKEN}\n", "not YAML: see line 3"),
        ("a.json", f'{{"version": 1,\n"token": {TOKEN}}}', "not JSON: see line 2"),
        ("a.toml", f"version = 1\ntoken = {TOKEN}", "not TOML: see at line 2"),
        ("a.ini", f"{TOKEN}\n[x]", "not INI: see line 1"),
        (
            "a.ini",
            f"[handlers]\nkeys=h\n[handler_h]\nclass=loghttp.HumioHECHandler\nargs=({TOKEN})",
            "texts must be quoted",
        ),
        ("a.ini", "[handlers]\nkeys=h", "no section or key 'handler_h'"),
        ("a.txt", "", "must end in .yaml, .json, .toml or .ini"),
        ("a.yaml", "logs: 1", "no logging configuration is in it"),
        ("a.yaml", "version: 2", "begins with version: 1"),
    ],
)
def test_a_file_that_cannot_be_read(name: str, content: str, words: str, tmp_path: Path) -> None:
    """The line is named and never repeated, for a token may stand in it; status 2."""
    if name.endswith("toml") and sys.version_info < (3, 11):
        pytest.importorskip("tomli")
    ended = check("--config", written(tmp_path, content, name))
    assert (2, True) == (ended.code, words in ended.out), ended.out


def test_a_filter_does_not_keep_the_test_event(intake: LocalIntake, tmp_path: Path, monkeypatch) -> None:
    """A handler whose filter lets only its own records through is tested all the same, and the filter told."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "shop_filters.py").write_text("def build():\n    return lambda record: record.name == 'shop'\n")
    handlers = f'  only: {{class: loghttp.HumioHECHandler, url: "{intake.url}", filters: [shop]}}'
    config = yaml_config(
        intake, handlers, root="{level: INFO, handlers: [only, sekoia]}", filters="{shop: {(): shop_filters.build}}"
    )
    ended = check("--config", written(tmp_path, config))

    assert "a filter of the handler holds the test event back" in ended.of("filter")
    assert 3 == len(intake.events)


@contextmanager
def django_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: str) -> Iterator[str]:
    """A module of settings in the current folder, which is forgotten afterwards."""
    pytest.importorskip("django")
    name = f"settings_of_{tmp_path.name}".replace("-", "_")
    (tmp_path / f"{name}.py").write_text(content)
    monkeypatch.chdir(tmp_path)
    try:
        yield name
    finally:
        sys.modules.pop(name, None)


@pytest.mark.parametrize("disables", [True, False])
def test_django(disables: bool, intake: LocalIntake, tmp_path, monkeypatch) -> None:
    """LOGGING of Django's settings is checked; that it silences Django's own loggers is told."""
    content = f"""
LOGGING = {{
    "version": 1,
    "disable_existing_loggers": {disables},
    "handlers": {{"humio": {{"class": "loghttp.HumioHECHandler", "url": "{intake.url}"}}}},
    "root": {{"level": "INFO", "handlers": ["humio"]}},
}}
"""
    with django_settings(tmp_path, monkeypatch, content) as module:
        ended = check("--django", module, "--json")

    document = json.loads(ended.out)
    assert 1 == len(intake.events)
    found = {finding["about"] for finding in document["findings"] if finding["kind"] == "nothing"}
    assert (3, {"django", "django.server"}) == (ended.code, found) if disables else (0, set()) == (ended.code, found)


@pytest.mark.parametrize(
    ("content", "words"),
    [("LOGGING_CONFIG = None", "LOGGING_CONFIG is None"), ("DEBUG = 1", "LOGGING is missing"), ("1/0", "ZeroDivision")],
)
def test_django_settings_that_do_not_configure_logging(content: str, words: str, tmp_path, monkeypatch) -> None:
    """Settings without LOGGING, with another way, or that cannot be imported: told, with status 2."""
    with django_settings(tmp_path, monkeypatch, content) as module:
        ended = check("--django", module)
        missing = check("--django", f"{module}.nowhere")
    assert (2, True) == (ended.code, words in ended.out), ended.out
    assert 2 == missing.code


# ---- as a process


def test_a_real_process_says_it_plainly_and_exits_with_the_status(intake: LocalIntake) -> None:
    """In a pipe there is no colour, nothing on stderr, and the status is the process's."""
    intake.fail_next(status=401)
    for expected in (1, 0):
        ended = run_in_pipe("-m", "loghttp", "check", "humio", HUMIO_URL=intake.url)
        assert (expected, "") == (ended.code, ended.err)
        assert "\x1b" not in ended.out
        assert TOKEN not in ended.out


def test_ctrl_c_says_so_and_is_not_taken_for_a_finding(intake: LocalIntake) -> None:
    """Ctrl-C while the intake is silent ends with one word and 130, not with 1: that says "not delivered"."""
    intake.fail_when(delay=DEADLINE)
    with Interpreter(["-m", "loghttp", "check", "humio"], environment(HUMIO_URL=intake.url), warm=True) as process:
        intake.wait_until(lambda intake: bool(intake.requests))
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=DEADLINE)
    assert (130, "\nStopped.") == (process.returncode, err[:9])


def test_the_handler_is_left_as_it_was(intake: LocalIntake, tmp_path: Path) -> None:
    """What `--config` changes for its own look is undone: handlers made afterwards are patient again."""
    check("--config", written(tmp_path, yaml_config(intake, root=ROOT)))
    handler = HumioHECHandler(intake.url, TOKEN)
    assert "retry_for=None" in repr(handler._options)
    handler.close()
