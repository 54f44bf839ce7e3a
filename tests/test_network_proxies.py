"""Through real forward proxies, squid and tinyproxy; and beside them, with NO_PROXY; and what `.netrc` must not do."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
import trustme
from servers import (
    DEADLINE,
    QUICK,
    Nginx,
    Proxy,
    Squid,
    Tinyproxy,
    Voice,
    is_held,
    messages,
    wait_until,
)

from loghttp import ConfigurationError
from loghttp.testing import LocalIntake
from loghttp.testing._server import ReservedPort

WRONG = "not-the-p4ssw0rd"


@pytest.fixture
def voice(voice: Voice) -> Iterator[Voice]:
    """The same, in which no password of a proxy may be either, however it is written."""
    yield voice
    for password in (Squid.password, Tinyproxy.password, WRONG):
        assert password not in voice.text
        assert quote(password, safe="") not in voice.text
        assert base64.b64encode(f"{Proxy.user}:{password}".encode()).decode() not in voice.text


@pytest.fixture(params=[Squid, Tinyproxy], ids=lambda kind: kind.name)
def proxy(request: pytest.FixtureRequest) -> Iterator[Proxy]:
    """A proxy that wants a user's password."""
    with request.param() as proxy:
        proxy.start()
        yield proxy


@pytest.fixture
def squid() -> Iterator[Squid]:
    with Squid() as proxy:
        proxy.start()
        yield proxy


@pytest.fixture(params=["http", "https"])
def target(request: pytest.FixtureRequest, intake: LocalIntake, tmp_path: Path) -> Iterator[dict[str, Any]]:
    """Options of a handler that sends to the intake in clear, or by TLS that an nginx speaks for it."""
    if request.param == "http":
        yield {"url": intake.url, **QUICK}
        return
    with secured(intake, tmp_path) as options:
        yield options


class secured:  # noqa: N801 - it reads as a word
    """While it is entered: an nginx that speaks TLS in front of the intake."""

    def __init__(self, intake: LocalIntake, tmp_path: Path) -> None:
        self._intake = intake
        self._bundle = tmp_path / "ca.pem"
        self._nginx = Nginx()

    def __enter__(self) -> dict[str, Any]:
        authority = trustme.CA()
        authority.cert_pem.write_to_path(str(self._bundle))
        certificate = authority.issue_cert("127.0.0.1").private_key_and_cert_chain_pem
        self._nginx.write("server.pem", certificate.bytes())
        self._nginx.serve(Nginx.TLS, Nginx.to(self._intake))
        return {"url": self._nginx.https_url, "verify": str(self._bundle), **QUICK}

    def __exit__(self, *_: object) -> None:
        self._nginx.__exit__()


def scheme_of(target: dict[str, Any]) -> str:
    return target["url"].partition(":")[0]


def request_line(target: dict[str, Any]) -> str:
    """What the proxy is asked: a tunnel for https, the request itself for http."""
    url = target["url"]
    return f"CONNECT {url.removeprefix('https://')}" if scheme_of(target) == "https" else f"POST {url}/"


def use(how: str, proxy_url: str, target: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Options of a handler behind a proxy that is named in the environment, or given."""
    scheme = scheme_of(target)
    if how == "option":
        return {**target, "proxies": {scheme: proxy_url}}
    if how == "environment, bare":  # `host:port`, as requests, curl and pip take it
        proxy_url = proxy_url.removeprefix("http://")
    monkeypatch.setenv(f"{scheme}_proxy" if how == "environment, small" else f"{scheme.upper()}_PROXY", proxy_url)
    return target


# ---- through a proxy


@pytest.mark.parametrize("how", ["environment", "environment, small", "environment, bare", "option"])
def test_through_a_proxy(how, proxy, target, intake, humio, logger, voice, monkeypatch) -> None:
    """With the right credentials a proxy passes everything on: http by request, https by a tunnel."""
    handler = humio(**use(how, proxy.url, target, monkeypatch))
    logger.info("hello")
    assert handler.flush(DEADLINE), handler.stats()
    assert ["hello"] == messages(intake)
    assert f"Bearer {intake.token}" == intake.requests[0].headers["Authorization"]
    assert "Proxy-Authorization" not in intake.requests[0].headers
    assert "" == voice.text
    handler.close()  # squid notes a tunnel when it ends
    proxy.wait_for_request(request_line(target))


@pytest.mark.parametrize("how", ["environment", "option"])
@pytest.mark.parametrize("password", [WRONG, None], ids=["wrong password", "no password"])
def test_refused_by_the_proxy(password, how, proxy, target, intake, humio, logger, voice, monkeypatch) -> None:
    """Credentials that the proxy refuses (squid: 407, tinyproxy: 401) hold the records; the advice names the proxy.

    Nobody should go and rotate a token because tinyproxy says 401.
    """
    handler = humio(**use(how, proxy.url_with(password), target, monkeypatch))
    logger.info("hello")
    told = voice.wait_for("WARNING")
    wait_until(lambda: handler.stats().requests >= 2, "it is tried again")
    assert is_held(handler, 1), handler.stats()
    assert [] == intake.requests
    assert re.search("check .*proxy", told), told
    assert "check the token" not in told
    for text in (repr(handler), repr(vars(handler)), repr(handler.stats())):
        assert WRONG not in text


def test_refused_by_the_proxy_heals(proxy, target, intake, humio, logger, voice) -> None:
    """When the proxy learns the password, what was held is delivered."""
    handler = humio(proxies={scheme_of(target): proxy.url_with(WRONG)}, **target)
    logger.info("hello")
    voice.wait_for("WARNING")
    proxy.restart(WRONG)
    assert handler.flush(DEADLINE), handler.stats()
    assert ["hello"] == messages(intake)
    voice.wait_for("INFO")


def test_dead_proxy_is_named(target, intake, humio, logger, voice, monkeypatch) -> None:
    """A proxy that nobody answers at is not the intake's outage: the records wait, and the reason says "proxy"."""
    port = ReservedPort()
    handler = humio(**use("environment", f"http://{Proxy.user}:{WRONG}@127.0.0.1:{port.number}", target, monkeypatch))
    logger.info("hello")
    told = voice.wait_for("WARNING")
    wait_until(lambda: handler.stats().requests >= 2, "it is tried again")
    assert is_held(handler, 1), handler.stats()
    assert [] == intake.requests
    port.release()
    assert "proxy" in told.lower()


def test_intake_down_behind_a_proxy(proxy, intake, humio, logger, voice) -> None:
    """The proxy's own 50x for an intake that is down is an outage: all arrives, once, when it is back."""
    handler = humio(proxies={"http": proxy.url}, **QUICK)
    intake.stop()
    logger.info("hello")
    assert "credentials" not in voice.wait_for("WARNING")
    wait_until(lambda: handler.stats().requests >= 2, "it is tried again")
    assert is_held(handler, 1), handler.stats()
    intake.start()
    assert handler.flush(DEADLINE), handler.stats()
    assert ["hello"] == messages(intake)
    voice.wait_for("INFO")


def test_no_tunnel_to_an_intake_that_is_down(proxy, humio, logger, voice) -> None:
    """The same where a tunnel cannot be dug: not the fault of anybody's credentials."""
    port = ReservedPort()
    handler = humio(url=f"https://127.0.0.1:{port.number}", proxies={"https": proxy.url}, **QUICK)
    logger.info("hello")
    assert "credentials" not in voice.wait_for("WARNING")
    wait_until(lambda: handler.stats().requests >= 2, "it is tried again")
    assert is_held(handler, 1), handler.stats()
    port.release()


def test_tunnel_hides_the_token_from_the_proxy(squid, intake, humio, logger, voice, tmp_path) -> None:
    """Promise 7: with https, the proxy is told where to connect to, and nothing that is meant for the intake."""
    with secured(intake, tmp_path) as target:
        handler = humio(proxies={"https": squid.url}, **target)
        logger.info("hello")
        assert handler.flush(DEADLINE), handler.stats()
        handler.close()
        squid.wait_for_request(request_line(target))
    assert "token=-" in squid.read(squid.log)
    assert intake.token not in squid.read(squid.log)
    assert intake.requests[0].headers["User-Agent"].startswith("loghttp/")


@pytest.mark.parametrize("name", ["NO_PROXY", "no_proxy"])
@pytest.mark.parametrize("value", ["127.0.0.1", "10.0.0.1, 127.0.0.0/8", "*"])
def test_no_proxy(name, value, target, intake, humio, logger, voice, monkeypatch) -> None:
    """NO_PROXY sends to the intake directly, past a proxy that would not have taken it."""
    port = ReservedPort()
    for scheme in ("HTTP_PROXY", "HTTPS_PROXY"):
        monkeypatch.setenv(scheme, f"http://127.0.0.1:{port.number}")
    monkeypatch.setenv(name, value)
    handler = humio(**target)
    logger.info("hello")
    assert handler.flush(DEADLINE), handler.stats()
    assert ["hello"] == messages(intake)
    assert "" == voice.text
    port.release()


def test_no_proxies_at_all(intake, humio, logger, monkeypatch) -> None:
    """`proxies={}` is the program's word that there is none, whatever the environment says."""
    port = ReservedPort()
    monkeypatch.setenv("HTTP_PROXY", f"http://127.0.0.1:{port.number}")
    handler = humio(proxies={}, **QUICK)
    logger.info("hello")
    assert handler.flush(DEADLINE), handler.stats()
    assert ["hello"] == messages(intake)
    port.release()


def test_proxy_of_another_scheme_is_not_used(intake, humio, logger, monkeypatch) -> None:
    """HTTPS_PROXY is for https only: http goes directly, as with every other client."""
    port = ReservedPort()
    monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{port.number}")
    handler = humio(**QUICK)
    logger.info("hello")
    assert handler.flush(DEADLINE), handler.stats()
    assert ["hello"] == messages(intake)
    port.release()


# ---- whose credentials


@pytest.fixture(params=["HOME", "NETRC"])
def netrc(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A `.netrc` with a login for the intake's host, and for any other."""
    path = tmp_path / ".netrc"
    path.write_text("machine 127.0.0.1 login somebody password else\ndefault login any password body\n")
    path.chmod(0o600)
    monkeypatch.setenv(request.param, str(tmp_path if request.param == "HOME" else path))


def test_netrc_does_not_replace_the_token(netrc, intake, humio, logger) -> None:
    """requests puts the login of `~/.netrc` in the place of the token (requests#3929): not on our requests."""
    handler = humio(**QUICK)
    logger.info("hello")
    assert handler.flush(DEADLINE), handler.stats()
    assert [f"Bearer {intake.token}"] == [request.headers["Authorization"] for request in intake.requests]


def test_netrc_adds_nothing(netrc, intake, sekoia, logger) -> None:
    """SEKOIA.IO's key is in the body; no login of the user's goes along in the header."""
    handler = sekoia(**QUICK)
    logger.info("hello")
    assert handler.flush(DEADLINE), handler.stats()
    assert [False] == ["Authorization" in request.headers for request in intake.requests]


def test_netrc_is_not_for_proxies(netrc, proxy, intake, humio, logger, voice) -> None:
    """A login for the proxy's host is not the proxy's password either."""
    handler = humio(proxies={"http": proxy.url}, **QUICK)
    logger.info("hello")
    assert handler.flush(DEADLINE), handler.stats()
    assert [f"Bearer {intake.token}"] == [request.headers["Authorization"] for request in intake.requests]


@pytest.mark.parametrize("name", ["Authorization", "authorization", "AUTHORIZATION"])
@pytest.mark.parametrize("kind", ["humio", "sekoia"])
def test_headers_cannot_replace_the_token(request, kind, name, intake) -> None:
    """`headers=` is for what a gateway wants besides; it cannot replace the token, and its value is not shown."""
    with pytest.raises(ConfigurationError, match=name) as caught:
        request.getfixturevalue(kind)(headers={name: "Bearer other-t0ken"})
    assert "other-t0ken" not in str(caught.value)


def test_extra_headers_are_sent(intake, humio, logger) -> None:
    """An extra header travels along, and the token stays as it is."""
    handler = humio(headers={"X-Gateway": "eu-1"}, **QUICK)
    logger.info("hello")
    assert handler.flush(DEADLINE), handler.stats()
    assert ("eu-1", f"Bearer {intake.token}") == tuple(
        intake.requests[0].headers[name] for name in ("X-Gateway", "Authorization")
    )
