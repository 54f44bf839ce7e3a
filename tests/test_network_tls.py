"""TLS by a real nginx in front of the intake: whom we trust, who trusts us, and what becomes of records meanwhile."""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
import trustme
from servers import (
    DEADLINE,
    QUICK,
    Nginx,
    is_held,
    log_orders,
    messages,
    wait_until,
)

from loghttp.testing import LocalIntake


def install(nginx: Nginx, certificate: trustme.LeafCert) -> None:
    nginx.write("server.pem", certificate.private_key_and_cert_chain_pem.bytes())


@pytest.fixture
def tls(nginx: Nginx, intake: LocalIntake, authority: trustme.CA) -> str:
    """The https URL of an nginx with a certificate of the company's CA."""
    install(nginx, authority.issue_cert("127.0.0.1"))
    nginx.serve(Nginx.TLS, Nginx.to(intake))
    return nginx.https_url


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
    "wrong host": (
        lambda authority: authority.issue_cert("elsewhere.example"),
        "not valid for '127.0.0.1'|doesn't match",
    ),
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
    nginx.serve(Nginx.TLS, Nginx.to(intake))
    handler = humio(url=nginx.https_url, verify=bundle, **QUICK)
    expected = log_orders(logger)
    told = voice.wait_for("WARNING")
    assert re.search(reason, told), told
    assert "nothing is lost" in told
    wait_until(lambda: handler.stats().requests >= 2, "it is tried again")
    assert is_held(handler, len(expected)), handler.stats()
    assert [] == intake.requests

    install(nginx, authority.issue_cert("127.0.0.1"))
    nginx.serve(Nginx.TLS, Nginx.to(intake))
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
    nginx.serve(Nginx.TLS, "ssl_client_certificate clients.pem; ssl_verify_client on;", Nginx.to(intake))
    return nginx.https_url


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
    nginx.serve(Nginx.TLS, Nginx.to(intake))
    assert handler.flush(DEADLINE), handler.stats()
    asked = [message for message in messages(intake) if message.startswith("loghttp asks")]
    assert [*asked, *expected] == messages(intake)  # it may have asked, with an event of its own, if any is taken


def test_healing_in_the_middle_of_a_question(intake, humio, logger, voice) -> None:
    """The same to the letter: a record refused just before the reload is not lost by a question just after it."""
    answers = iter([400] * 3)  # to the record, to the question whether anything is taken at all, to the record again
    intake.fail_when(lambda _: next(answers, 200) == 400, status=400)
    handler = humio(**QUICK)
    logger.info("hello")
    assert handler.flush(DEADLINE), handler.stats()
    assert (1, {}) == (handler.stats().delivered, dict(handler.stats().dropped))
