"""A real nginx in front of the intake: TLS, and what reverse proxies answer in the intake's place.

Every test ends with the same question: is each record at the intake exactly once, or still held?
"""

from __future__ import annotations

import http.client
import logging
import re
import warnings
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import datetime, timedelta, timezone
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import trustme
from servers import DEADLINE, QUICK, Nginx, Voice, clean_environment, listening, wait_until

from loghttp.testing import LocalIntake, ReceivedEvent

Factory = Callable[..., Any]


@pytest.fixture(autouse=True)
def _own_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    clean_environment(monkeypatch)


@pytest.fixture
def voice(intake: LocalIntake) -> Iterator[Voice]:
    """What loghttp says during a test, in which no secret may be."""
    with listening() as voice:
        yield voice
    assert intake.token not in voice.text
    assert intake.intake_key not in voice.text


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    """The company's own CA, which no machine knows."""
    return trustme.CA()


@pytest.fixture
def bundle(authority: trustme.CA, tmp_path: Path) -> str:
    """The path of that CA's certificate."""
    path = tmp_path / "ca.pem"
    authority.cert_pem.write_to_path(str(path))
    return str(path)


@pytest.fixture
def nginx() -> Iterator[Nginx]:
    """An nginx that is started by its first `serve`."""
    with Nginx() as server:
        yield server


#: Bodies of any size, and small answers in the intake's place as admins configure them.
PLAIN = "listen 127.0.0.1:{port}; client_max_body_size 0;"


def to(intake: LocalIntake, *directives: str) -> str:
    """The location that passes everything on to the intake."""
    return f"location / {{ {' '.join(directives)} proxy_pass {intake.url}; }}"


#: Certificate and key stand in one file.
TLS = "listen 127.0.0.1:{port} ssl; ssl_certificate server.pem; ssl_certificate_key server.pem;"


def install(nginx: Nginx, certificate: trustme.LeafCert) -> None:
    nginx.write("server.pem", certificate.private_key_and_cert_chain_pem.bytes())


def messages(intake: LocalIntake) -> list[str]:
    return [event.message for event in intake.events]


def log_orders(logger: logging.Logger, number: int = 5) -> list[str]:
    """Log some orders; return the messages that the intake must then have."""
    for order in range(number):
        logger.info("order %d", order)
    return [f"order {order}" for order in range(number)]


def is_held(handler: Any, number: int) -> bool:
    """Are all records waiting, none lost and none delivered?"""
    stats = handler.stats()
    return (number, 0, {}) == (stats.pending, stats.delivered, dict(stats.dropped))


# ---- TLS


@pytest.fixture
def tls(nginx: Nginx, intake: LocalIntake, authority: trustme.CA) -> str:
    """The https URL of an nginx with a certificate of the company's CA."""
    install(nginx, authority.issue_cert("127.0.0.1"))
    nginx.serve(TLS, to(intake))
    return nginx.url.replace("http:", "https:")


@pytest.mark.parametrize("kind", ["humio", "sekoia"])
def test_own_ca_by_verify(request: pytest.FixtureRequest, kind: str, intake, logger, tls, bundle, voice) -> None:
    """`verify=` names the CA bundle that the intake's certificate is checked against."""
    handler = request.getfixturevalue(kind)(url=tls, verify=bundle, **QUICK)
    expected = log_orders(logger)
    assert handler.flush(DEADLINE)
    assert expected == messages(intake)


@pytest.mark.parametrize("variable", ["REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"])
def test_own_ca_by_the_environment(variable: str, intake, humio, logger, tls, bundle, monkeypatch) -> None:
    """A company's CA bundle in the environment is honoured, as everybody who uses requests expects."""
    monkeypatch.setenv(variable, bundle)
    handler = humio(url=tls, **QUICK)
    expected = log_orders(logger)
    assert handler.flush(DEADLINE)
    assert expected == messages(intake)


@pytest.mark.parametrize("action", ["error", "always"])
def test_no_verification_on_request(action: Any, intake, humio, logger, tls, bundle, monkeypatch, voice) -> None:
    """`verify=False` takes any certificate, whatever the environment says, and the program sees no warning of urllib3.

    Under `-W error` that warning would be an exception in our thread, and nothing would ever be delivered.
    """
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", bundle)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter(action)
        handler = humio(url=tls.replace("127.0.0.1", "localhost"), verify=False, **QUICK)
        expected = log_orders(logger)
        assert handler.flush(DEADLINE), handler.stats()
    assert [] == [str(warning.message) for warning in caught]
    assert expected == messages(intake)


def _now_expired(authority: trustme.CA) -> trustme.LeafCert:
    now = datetime.now(timezone.utc)
    return authority.issue_cert("127.0.0.1", not_before=now - timedelta(9), not_after=now - timedelta(1))


def _self_signed(_: trustme.CA) -> bytes:
    alone = trustme.CA()
    return alone.private_key_pem.bytes() + alone.cert_pem.bytes()


BAD_CERTIFICATES: dict[str, tuple[Callable[[trustme.CA], Any], str]] = {
    "wrong host": (lambda authority: authority.issue_cert("elsewhere.example"), "not valid for '127.0.0.1'"),
    "expired": (_now_expired, "certificate has expired"),
    "self-signed": (_self_signed, "self.signed certificate"),
    "unknown CA": (lambda _: trustme.CA().issue_cert("127.0.0.1"), "unable to get local issuer|self.signed"),
}


@pytest.mark.parametrize("fault", BAD_CERTIFICATES)
def test_bad_certificate_holds_until_it_is_good(fault, nginx, authority, bundle, intake, humio, logger, voice):
    """Nothing goes to whoever cannot prove to be the intake: records wait, the reason is told, and time heals it."""
    make, reason = BAD_CERTIFICATES[fault]
    certificate = make(authority)
    if isinstance(certificate, bytes):
        nginx.write("server.pem", certificate)
    else:
        install(nginx, certificate)
    nginx.serve(TLS, to(intake))
    handler = humio(url=nginx.url.replace("http:", "https:"), verify=bundle, **QUICK)
    expected = log_orders(logger)
    told = voice.wait_for("WARNING")
    assert re.search(reason, told), told
    assert "nothing is lost" in told
    wait_until(lambda: handler.stats().requests >= 2, "it is tried again")
    assert is_held(handler, len(expected)), handler.stats()
    assert [] == intake.requests

    install(nginx, authority.issue_cert("127.0.0.1"))
    nginx.serve(TLS, to(intake))
    assert handler.flush(DEADLINE), handler.stats()
    assert expected == messages(intake)
    voice.wait_for("INFO")


def test_new_ca_bundle_is_read_without_a_restart(tls, bundle, authority, intake, humio, logger, voice, tmp_path):
    """When the bundle is the one at fault, putting the right CA into the file is enough."""
    outdated = tmp_path / "outdated.pem"
    trustme.CA().cert_pem.write_to_path(str(outdated))
    handler = humio(url=tls, verify=str(outdated), **QUICK)
    expected = log_orders(logger)
    voice.wait_for("WARNING")
    authority.cert_pem.write_to_path(str(outdated))
    assert handler.flush(DEADLINE), handler.stats()
    assert expected == messages(intake)


def wants_client_certificate(nginx: Nginx, intake: LocalIntake, authority: trustme.CA) -> str:
    """Have nginx ask every client for a certificate of the company's CA; return its URL."""
    nginx.write("clients.pem", authority.cert_pem.bytes())
    install(nginx, authority.issue_cert("127.0.0.1"))
    nginx.serve(TLS, "ssl_client_certificate clients.pem; ssl_verify_client on;", to(intake))
    return nginx.url.replace("http:", "https:")


@pytest.mark.parametrize("files", ["one file", "two files"])
def test_client_certificate(files, nginx, authority, bundle, intake, humio, logger, tmp_path, voice) -> None:
    """`cert=` shows the intake who sends (mTLS): one PEM file, or the pair of certificate and key."""
    url = wants_client_certificate(nginx, intake, authority)
    own = authority.issue_cert("service@example.com")
    both, public, private = (str(tmp_path / name) for name in ("both.pem", "public.pem", "private.pem"))
    own.private_key_and_cert_chain_pem.write_to_path(both)
    own.cert_chain_pems[0].write_to_path(public)
    own.private_key_pem.write_to_path(private)
    handler = humio(url=url, verify=bundle, cert=both if files == "one file" else (public, private), **QUICK)
    expected = log_orders(logger)
    assert handler.flush(DEADLINE), handler.stats()
    assert expected == messages(intake)


def test_missing_client_certificate_loses_nothing(nginx, authority, bundle, intake, humio, logger, voice) -> None:
    """nginx answers 400 to a client without certificate; that is no fault of the records, which wait."""
    url = wants_client_certificate(nginx, intake, authority)
    handler = humio(url=url, verify=bundle, **QUICK)
    expected = log_orders(logger)
    assert "certificate" in voice.wait_for("WARNING")
    assert is_held(handler, len(expected)), handler.stats()
    nginx.serve(TLS, to(intake))
    assert handler.flush(DEADLINE), handler.stats()
    asked = [message for message in messages(intake) if message.startswith("loghttp asks")]
    assert [*asked, *expected] == messages(intake)  # it may have asked, with an event of its own, if any is taken


def test_healing_in_the_middle_of_a_question(intake, humio, logger, voice) -> None:
    """The same to the letter: a record refused just before the reload is not lost because our question came just after."""
    answers = iter([400] * 3)  # to the record, to the question whether anything is taken at all, to the record again
    intake.fail_when(lambda _: next(answers, 200) == 400, status=400)
    handler = humio(**QUICK)
    logger.info("hello")
    assert handler.flush(DEADLINE), handler.stats()
    assert (1, {}) == (handler.stats().delivered, dict(handler.stats().dropped))


# ---- what nginx answers by itself


def test_batch_too_large_for_nginx_is_halved(nginx, intake, humio, logger, voice) -> None:
    """413 (`client_max_body_size`) halves the batch until the parts pass; nothing is sent twice, nothing is told."""
    nginx.serve(PLAIN, to(intake, "client_max_body_size 4k;"))
    handler = humio(url=nginx.url, compression=None, batch_events=64, **{**QUICK, "flush_interval": 30})
    expected = log_orders(logger, 64)
    assert expected == [event.message for event in intake.wait_for(64)]
    assert handler.flush(DEADLINE)
    stats = handler.stats()
    assert stats.splits > 0
    assert len(intake.requests) + stats.splits == stats.requests
    assert "" == voice.text


def test_nginx_with_its_default_limit(nginx, intake, humio, logger, voice) -> None:
    """Out of the box nginx takes 1 MB and answers 413 before it has read the rest; the answer is understood."""
    nginx.serve(PLAIN, to(intake, "client_max_body_size 1m;"))
    handler = humio(url=nginx.url, compression=None, batch_events=12, **{**QUICK, "flush_interval": 30})
    expected = [f"{order:02d}" * 150_000 for order in range(12)]
    for message in expected:
        logger.info(message)
    assert expected == [event.message for event in intake.wait_for(12, DEADLINE)]
    assert handler.flush(DEADLINE)
    assert {} == handler.stats().dropped
    assert "" == voice.text


def is_cut(event: ReceivedEvent) -> bool:
    """Does the event say that loghttp has cut it?"""
    own = event.fields if event.dialect == "hec" else event.event
    return isinstance(own, dict) and own.get("loghttp_cut") is True


@pytest.mark.parametrize("kind", ["humio", "sekoia"])
def test_one_event_too_large_for_nginx_is_cut(request, kind, nginx, intake, logger, voice) -> None:
    """A single event that nginx does not take is cut, and says so; its neighbours arrive whole."""
    nginx.serve(PLAIN, to(intake, "client_max_body_size 4k;"))
    handler = request.getfixturevalue(kind)(
        url=nginx.url, compression=None, batch_events=9, **{**QUICK, "flush_interval": 30}
    )
    for order in range(9):
        logger.info("order %d %s", order, "x" * 20_000 if order == 4 else "")
    events = intake.wait_for(9, DEADLINE)
    assert handler.flush(DEADLINE)
    assert [f"order {order} " for order in range(9)] == [event.message[:8] for event in events]
    assert [4] == [order for order, event in enumerate(events) if is_cut(event)]
    assert 500 < len(events[4].message) < 4_096
    assert (9, {}) == (handler.stats().delivered, dict(handler.stats().dropped))


def test_rate_limit_is_obeyed(nginx, intake, humio, logger, voice) -> None:
    """429 with Retry-After (`limit_req`): each batch waits as long as it is told, and is sent again just once."""
    limited = "limit_req zone=all; limit_req_status 429; error_page 429 = @busy;"
    busy = "location @busy { add_header Retry-After 1 always; return 429; }"
    nginx.serve(PLAIN, to(intake, limited), busy, http="limit_req_zone $host zone=all:64k rate=1r/s;")
    handler = humio(url=nginx.url, **{**QUICK, "batch_events": 1})
    expected = log_orders(logger, 3)
    events = intake.wait_for(3, DEADLINE)
    assert expected == [event.message for event in events]
    times = [request.received_at for request in intake.requests]
    assert [] == [later - earlier for earlier, later in pairwise(times) if later - earlier < 1.0]
    assert handler.flush(DEADLINE)
    assert (5, 2) == (handler.stats().requests, handler.stats().retries)


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_redirect_is_not_followed(status: int, nginx, intake, humio, logger, voice) -> None:
    """The token would travel along to another server: that one sees no request, and the records wait."""
    with LocalIntake() as other:
        nginx.serve(PLAIN, f"return {status} {other.url.replace('127.0.0.1', 'localhost')}$request_uri;")
        handler = humio(url=nginx.url, **QUICK)
        expected = log_orders(logger)
        told = voice.wait_for("WARNING")
        assert "redirect" in told
        assert f"{other.url.rpartition(':')[2]}" in told  # to where, so that one sees what is wrong with the URL
        wait_until(lambda: handler.stats().requests >= 2, "it is tried again")
        assert is_held(handler, len(expected)), handler.stats()
        nginx.serve(PLAIN, to(intake))
        assert handler.flush(DEADLINE), handler.stats()
        assert [] == other.requests
    assert expected == messages(intake)


def test_dead_backend_loses_nothing(nginx, intake, humio, logger, voice) -> None:
    """502 while the intake behind nginx is down; when it is back, every record arrives exactly once."""
    nginx.serve(PLAIN, to(intake))
    intake.stop()
    handler = humio(url=nginx.url, **QUICK)
    expected = log_orders(logger)
    assert "502" in voice.wait_for("WARNING")
    assert is_held(handler, len(expected)), handler.stats()
    intake.start()
    expected += log_orders(logger)
    assert handler.flush(DEADLINE), handler.stats()
    assert expected == messages(intake)
    voice.wait_for("INFO")


@pytest.mark.parametrize(("status", "advice"), [(401, "token"), (403, "token"), (404, "url"), (405, "url")])
def test_misconfiguration_heals(status: int, advice: str, nginx, intake, humio, logger, voice) -> None:
    """A revoked token or a wrong path keeps the records, and says what to check, until somebody has put it right."""
    nginx.serve(PLAIN, f"return {status};")
    handler = humio(url=nginx.url, **QUICK)
    expected = log_orders(logger)
    told = voice.wait_for("WARNING")
    assert str(status) in told
    assert f"check {advice}" in told or f"check the {advice}" in told
    wait_until(lambda: handler.stats().requests >= 2, "it is tried again")
    assert is_held(handler, len(expected)), handler.stats()
    nginx.serve(PLAIN, to(intake))
    assert handler.flush(DEADLINE), handler.stats()
    assert expected == messages(intake)
    voice.wait_for("INFO")


def connections(nginx: Nginx) -> int:
    """How many connections nginx has, without the one that asks."""
    connection = http.client.HTTPConnection("127.0.0.1", nginx.port, timeout=DEADLINE)
    with closing(connection):
        connection.request("GET", "/status")
        found = re.search(rb"Active connections: (\d+)", connection.getresponse().read())
    assert found is not None
    return int(found[1]) - 1


def test_idle_connection_closed_by_nginx_costs_nothing(nginx, intake, humio, logger, voice) -> None:
    """nginx closes what is idle (`keepalive_timeout`): the next record takes a new connection, unseen by anyone."""
    nginx.serve(PLAIN, "keepalive_timeout 1s; location = /status { stub_status; }", to(intake))
    handler = humio(url=nginx.url, **QUICK)
    logger.info("before")
    assert handler.flush(DEADLINE)
    assert 1 == connections(nginx)
    wait_until(lambda: connections(nginx) == 0, "nginx has closed it")
    logger.info("after")
    assert handler.flush(DEADLINE)
    assert (2, 0) == (handler.stats().requests, handler.stats().retries)
    assert ["before", "after"] == messages(intake)
    assert "" == voice.text


def test_idle_connection_closed_by_the_intake_costs_nothing(intake, humio, logger, voice) -> None:
    """The same without nginx: however often the intake closes, no retry, no duplicate and no warning."""
    handler = humio(**QUICK)
    for order in range(5):
        logger.info("order %d", order)
        assert handler.flush(DEADLINE)
        wait_until(intake.close_idle, "the connection is idle")
    assert [f"order {order}" for order in range(5)] == messages(intake)
    assert (5, 0) == (handler.stats().requests, handler.stats().retries)
    assert "" == voice.text


def url_of(nginx: Nginx) -> str:
    return f"http://127.0.0.1:{nginx.port}"


def ask(nginx: Nginx, path: str) -> http.client.HTTPResponse:
    connection = http.client.HTTPConnection("127.0.0.1", nginx.port, timeout=DEADLINE)
    try:
        connection.request("GET", path)
        response = connection.getresponse()
        response.read_all = response.read()
        return response
    finally:
        connection.close()


def answer_of(nginx: Nginx) -> int:
    return ask(nginx, "/").status


def body_of(nginx: Nginx, path: str) -> str:
    return ask(nginx, path).read_all.decode()
