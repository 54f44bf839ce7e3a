"""The way to an intake, looked at step by step: name, connection, proxy, certificate.

Rule: it only looks. Whether an event arrives is for the handler to show; this says why, if it does not. Nothing of
the token is sent here, and of a proxy's credentials only to the proxy.
"""

from __future__ import annotations

import socket
import threading
import time
from base64 import b64encode
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from ipaddress import ip_address
from typing import Any, Final, TypeVar
from urllib.parse import unquote, urlsplit

from loghttp import _checks
from loghttp._verdict import visible
from loghttp.cli import _check_certificate as certificate
from loghttp.cli._check_step import Step

_T = TypeVar("_T")
_PORTS: Final = {"http": 80, "https": 443}
_HEAD_MOST: Final = 65_536  # bytes of a proxy's reply


@dataclass(frozen=True, slots=True)
class Way:
    """How a handler's requests go. What may hold a password is not in the repr."""

    url: str
    proxy: str | None = field(repr=False)
    verify: bool | str
    cert: str | tuple[str, str] | None = field(repr=False)
    timeout: float
    """Seconds for each step."""

    @classmethod
    def of(cls, handler: Any) -> Way:
        """As the handler goes: its sender itself is asked which proxy and which CA bundle it takes."""
        # They take as long to import as all else here, which `loghttp --help` needs not wait for.
        from requests.utils import select_proxy  # noqa: PLC0415

        from loghttp._sender import Sender  # noqa: PLC0415

        url, options = handler._intake.url, handler._options
        session = Sender(options, ())._open(url)
        proxy = select_proxy(url, session.proxies)
        session.close()
        return cls(url, proxy, True if session.verify is None else session.verify, options.cert, options.timeout[0])

    @property
    def target(self) -> tuple[str, int]:
        return _host_and_port(self.url)

    @property
    def secure(self) -> bool:
        return urlsplit(self.url).scheme == "https"

    @property
    def hop(self) -> tuple[str, int]:
        """Where the connection goes: to the proxy, or to the intake."""
        return _host_and_port(self.proxy) if self.proxy else self.target

    @property
    def proxy_name(self) -> str:
        """`host:port`, without the password."""
        return _checks.proxy_host("the proxy", self.proxy) if self.proxy else ""


def probe(way: Way) -> Iterator[Step]:
    """Go the way, one step after the other; the first that fails is the last."""
    scheme = urlsplit(way.proxy).scheme if way.proxy else "http"
    if scheme != "http":
        yield Step("proxy", "note", f"{way.proxy_name} ({scheme}): not looked into; the event will show")
        return
    for look in (_name, _connection, *((_tunnel,) if way.proxy and way.secure else ()), _certificate):
        step = look(way)
        if step is not None:
            yield step
            if step.outcome == "failed":
                return


def _name(way: Way) -> Step | None:
    host, port = way.hop
    with suppress(ValueError):
        ip_address(host)
        return None  # nothing to look up
    what = "proxy's name" if way.proxy else "name"
    try:
        found, seconds = _timed(lambda: _within(way.timeout, lambda: _addresses(host, port)))
    except TimeoutError:
        text = f"{host}: no answer from the name servers within {way.timeout:g} s"
        return Step(what, "failed", text, "Check this machine's DNS (/etc/resolv.conf).", way.timeout)
    except (OSError, UnicodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        where = "the proxy's URL (HTTPS_PROXY, HTTP_PROXY)" if way.proxy else "the URL"
        advice = f"Check {where} for a typo, then this machine's DNS."
        return Step(what, "failed", f"{host} was not found: {reason}", advice)
    more = f" and {len(found) - 1} more" if len(found) > 1 else ""
    return Step(what, "ok", f"{host} is {found[0]}{more}", seconds=seconds)


def _connection(way: Way) -> Step:
    host, port = way.hop
    where = f"{'the proxy ' if way.proxy else ''}{host} port {port}"
    try:
        (connected, seconds) = _timed(lambda: socket.create_connection((host, port), way.timeout))
    except TimeoutError:
        text = f"{where} did not answer within {way.timeout:g} s"
        advice = "A firewall may swallow it; " + (
            "check the proxy's address." if way.proxy else "if this network wants a proxy, set HTTPS_PROXY."
        )
        return Step("connection", "failed", text, advice, way.timeout)
    except ConnectionRefusedError:
        advice = "Check the proxy's host and port." if way.proxy else "Check host and port of the URL; is it running?"
        return Step("connection", "failed", f"{where} refused it: nothing listens there", advice)
    except OSError as error:
        return Step("connection", "failed", f"{where}: {error.strerror or error}", "Check the network.")
    with connected:
        address = str(connected.getpeername()[0])
    at = "" if address == host else f" at {address}"
    return Step("connection", "ok", f"{where}{at} answers", seconds=seconds)


def _tunnel(way: Way) -> Step:
    host, port = way.target
    try:
        (connected, seconds) = _timed(lambda: reach(way))
    except ProxyRefusal as refusal:
        return Step("proxy", "failed", f"{way.proxy_name} answers {refusal.words}", _of_refusal(refusal.status, host))
    except OSError as error:
        return Step("proxy", "failed", f"{way.proxy_name}: {error}", "Check that it is an HTTP proxy.")
    connected.close()
    return Step("proxy", "ok", f"{way.proxy_name} lets us through to {host} port {port}", seconds=seconds)


def _of_refusal(status: int, host: str) -> str:
    if status in (401, 407):
        return CREDENTIALS
    if status == 403:
        return f"The proxy does not allow {host}: ask who runs it."
    return f"The proxy cannot reach {host}: check the URL, and the proxy's own log."


CREDENTIALS: Final = (
    "The proxy wants credentials, or others: HTTPS_PROXY=http://user:password@host:port, special characters of the"
    " password percent-encoded."
)


def _certificate(way: Way) -> Step | None:
    if not way.secure:
        return None
    if way.verify is False:
        return Step("certificate", "note", "not looked at: verify is False", "Name the CA's file instead.")
    return certificate.look(lambda: reach(way), way.target[0], way.verify, way.cert)


class ProxyRefusal(OSError):  # noqa: N818  it is the proxy's answer
    """The proxy's answer to CONNECT was no."""

    def __init__(self, status: int, words: str) -> None:
        super().__init__(words)
        self.status = status
        self.words = words


def reach(way: Way) -> socket.socket:
    """A connection to the intake, through the proxy if there is one; not yet TLS.

    Raises:
        ProxyRefusal: the proxy says no.
        OSError: there is no connection.
    """
    connected = socket.create_connection(way.hop, way.timeout)
    try:
        if way.proxy:
            _connect_through(connected, way)
    except BaseException:
        connected.close()
        raise
    return connected


def _connect_through(connected: socket.socket, way: Way) -> None:
    host, port = way.target
    host = f"[{host}]" if ":" in host else host
    parts = urlsplit(way.proxy or "")
    lines = [f"CONNECT {host}:{port} HTTP/1.1", f"Host: {host}:{port}"]
    if parts.username:
        pair = f"{unquote(parts.username)}:{unquote(parts.password or '')}".encode("latin-1", "replace")
        lines.append(f"Proxy-Authorization: Basic {b64encode(pair).decode()}")
    connected.sendall("\r\n".join([*lines, "", ""]).encode("ascii"))
    head = b""
    while b"\r\n\r\n" not in head and len(head) < _HEAD_MOST:
        if not (more := connected.recv(1)):  # byte by byte: what follows is TLS, and not ours to read
            break
        head += more
    protocol, _, words = head.partition(b"\r\n")[0].decode("latin-1").partition(" ")
    status = words[:3]
    if not protocol.startswith("HTTP/") or not status.isdigit():
        raise OSError("what it answers is not HTTP")
    if not 200 <= int(status) < 300:
        raise ProxyRefusal(int(status), visible(" ".join(words.split())))


def _host_and_port(url: str) -> tuple[str, int]:
    parts = urlsplit(url)
    return parts.hostname or "", parts.port or _PORTS.get(parts.scheme, 80)


def _addresses(host: str, port: int) -> list[str]:
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


def _timed(work: Callable[[], _T]) -> tuple[_T, float]:
    began = time.monotonic()
    return work(), time.monotonic() - began


def _within(seconds: float, work: Callable[[], _T]) -> _T:
    """The system's resolver takes no time-out, and can take minutes. Raises TimeoutError, and what `work` raises."""
    outcome: list[Any] = []

    def run() -> None:
        try:
            outcome.append((work(), None))
        except Exception as error:  # noqa: BLE001  it is raised on the other side
            outcome.append((None, error))

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(seconds)
    if not outcome:
        raise TimeoutError
    value, error = outcome[0]
    if error is not None:
        raise error
    return value  # type: ignore[no-any-return]
