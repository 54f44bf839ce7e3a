"""One POST, one reply.

Rule: the only import of requests; foreign exceptions end here, as a `Failure` in words without secrets. Used
by one courier's thread. No redirect is followed and `.netrc` is not read (requests#3929): the token goes to
the address that was configured, and only that token.
"""

from __future__ import annotations

import gzip
import json
import os
import time
from base64 import b64encode
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from queue import Empty, LifoQueue
from typing import Any, Final
from urllib.parse import quote, quote_plus, unquote, urlsplit

import requests
from requests.adapters import HTTPAdapter
from requests.utils import get_environ_proxies, select_proxy
from urllib3.exceptions import DecodeError, HTTPError

from loghttp import _checks
from loghttp._gevent import looking_up_here_if_need_be
from loghttp._options import Delivery
from loghttp._verdict import Failure, FailureKind, Reply, visible
from loghttp.intakes import Request

USER_AGENT: Final = "loghttp/0.1"
_TELLING: Final = 8  # characters; a shorter header's value is no secret, and would be masked in plain words
_REPLY_MAX: Final = 4 * 1024 * 1024  # bytes; the ids of 50,000 events fit


def _fastest_gzip() -> Callable[[bytes], bytes]:
    """Level 1: log lines shrink sixfold, and a higher level costs twice the time for a sixth less."""
    try:
        from isal import igzip  # noqa: PLC0415  the `fast` extra
    except ImportError:
        return lambda body: gzip.compress(body, 1, mtime=0)
    return lambda body: igzip.compress(body, 1, mtime=0)


# How urllib3 names a connection that the server had closed while it was idle, and we noticed too late.
_CUT_OFF: Final = ("RemoteDisconnected", "ConnectionResetError", "BrokenPipeError")

# It came whole, under a Content-Encoding that it has not, and would come so again.
_NOT_DECODED: Final = (requests.exceptions.ContentDecodingError, DecodeError)

_compress: Final = _fastest_gzip()


class _Connections(LifoQueue[Any]):
    """Connections of one process: in a forked child they are the parent's, and their lock may be held for ever.

    urllib3 takes all of them out to close them, there too, when the interpreter goes down.
    """

    def __init__(self, maxsize: int = 0) -> None:
        super().__init__(maxsize)
        self._owner = os.getpid()

    def get(self, block: bool = True, timeout: float | None = None) -> Any:
        if os.getpid() != self._owner:
            raise Empty
        return super().get(block, timeout)


class _Pool:
    QueueCls = _Connections
    adapter: _Adapter

    def _validate_conn(self, conn: Any) -> None:
        """Called before each request. urllib3 would give the whole body no longer than a connection may take to be
        made (psf/requests#5263): on a slow link a large batch would never get through."""
        if conn.sock is None:
            self._connect(conn)
        conn.timeout = self.adapter.read_timeout
        conn.sock.settimeout(conn.timeout)

    def _connect(self, conn: Any) -> None:
        super()._validate_conn(conn)  # type: ignore[misc]  # urllib3's, which connects for TLS
        if conn.sock is None:
            conn.connect()


class _UnverifiedPool(_Pool):
    """As the user asked by `verify=False`, and without a warning into the program at each request.

    urllib3 warns here, on our thread; under `-W error` nothing could be sent. Warnings cannot be caught for
    one thread alone, and to mute them for the whole program is not ours to do.
    """

    def _connect(self, conn: Any) -> None:
        conn.connect()


class _Adapter(HTTPAdapter):
    """With pools of our own kind, be they for a proxy or not."""

    pool: type[_Pool] = _Pool
    read_timeout = 0.0  # seconds, of the request under way

    def send(self, *args: Any, **kwargs: Any) -> requests.Response:
        _, self.read_timeout = kwargs["timeout"]
        return super().send(*args, **kwargs)

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, **kwargs)
        self._use_own_pools(self.poolmanager)

    def proxy_manager_for(self, proxy: Any, **kwargs: Any) -> Any:
        known = proxy in self.proxy_manager
        manager = super().proxy_manager_for(proxy, **kwargs)
        if not known:
            self._use_own_pools(manager)
        return manager

    def _use_own_pools(self, manager: Any) -> None:
        kinds = manager.pool_classes_by_scheme.items()
        manager.pool_classes_by_scheme = {
            name: type(kind.__name__, (self.pool, kind), {"adapter": self}) for name, kind in kinds
        }


class _UnverifiedAdapter(_Adapter):
    pool = _UnverifiedPool


class Sender:
    """Sends requests over one kept-alive connection."""

    def __init__(self, options: Delivery, secrets: Sequence[str]) -> None:
        self._options = options
        self._session: requests.Session | None = None
        self._reused = False  # has the connection at hand been used before
        own = [*secrets, *(value for value in options.headers.values() if len(value) >= _TELLING)]
        self._own_spellings = [spelling for secret in own for spelling in _spellings(secret)]
        self._spellings = self._own_spellings
        self._proxy: str | None = None  # host:port of the proxy in use
        self.bytes_sent = 0
        """Bytes of the last request's body on the wire."""

    def send(self, request: Request, within: float | None = None) -> Reply | Failure:
        """POST `request`; `within` shortens the time-outs when the program is about to end. Never raises."""
        url, body = request.url, request.body
        headers = {**request.headers, **self._options.headers, "User-Agent": USER_AGENT}
        if self._options.compression == "gzip":
            body = _compress(body)
            del request  # and with it the body as it was, which may be megabytes
            headers["Content-Encoding"] = "gzip"
        self.bytes_sent = len(body)
        reused, self._reused = self._reused, True
        try:
            return looking_up_here_if_need_be(partial(self._post, url, body, headers, within))
        except Exception as error:  # noqa: BLE001  the border where foreign exceptions end
            self.reset()
            return self._failure(error, reused)

    def reset(self) -> None:
        """Close the connection; the next request reads certificates, proxies and names afresh."""
        session, self._session, self._reused = self._session, None, False
        if session is None:
            return
        # urllib3 closes its pools when they are collected, which does not happen any more at exit.
        for adapter in session.adapters.values():
            if isinstance(adapter, HTTPAdapter):
                for manager in (adapter.poolmanager, *adapter.proxy_manager.values()):
                    for key in manager.pools.keys():  # noqa: SIM118  not a dict
                        if (pool := manager.pools.get(key)) is not None:
                            pool.close()
        session.close()

    def _post(self, url: str, body: bytes, headers: Mapping[str, str], within: float | None) -> Reply:
        connect, read = self._options.timeout
        if within is not None:
            connect, read = min(connect, within), min(read, within)
        if self._session is None:
            self._session = self._open(url)
        until = time.monotonic() + read
        with self._session.post(
            url, data=body, headers=headers, timeout=(connect, read), allow_redirects=False, stream=True
        ) as response:
            content = bytearray()
            try:
                for chunk in _chunks(response):
                    content += chunk
                    if len(content) > _REPLY_MAX or time.monotonic() > until:
                        self.reset()  # the rest is not worth reading: what matters stands at the front
                        break
            except (requests.exceptions.RequestException, HTTPError) as error:
                if response.ok and not isinstance(error, _NOT_DECODED):
                    raise  # half a success: rather send twice than lose
                self.reset()
            headers = {name.lower(): self._mask(value) for name, value in response.headers.items()}
            masked = self._mask(content.decode("utf-8", "surrogateescape")).encode("utf-8", "surrogateescape")
            return Reply(response.status_code, headers, masked, time.time(), self._proxy is not None)

    def _open(self, url: str) -> requests.Session:
        """A session that takes proxies and CA bundles from the environment once, and nothing else of it."""
        options = self._options
        session = requests.Session()
        session.trust_env = False
        session.cert = options.cert
        session.mount("http://", _Adapter())
        session.mount("https://", _Adapter() if options.verify else _UnverifiedAdapter())
        bundle = os.environ.get("REQUESTS_CA_BUNDLE") or os.environ.get("CURL_CA_BUNDLE")
        session.verify = bundle if options.verify is True and bundle else options.verify
        proxies = options.proxies
        if proxies is None:
            proxies = {of: _with_scheme(proxy) for of, proxy in get_environ_proxies(url).items()}
        session.proxies.update(proxies)
        proxy = select_proxy(url, proxies)
        self._proxy = _checks.proxy_host("the proxy of the environment", proxy) if proxy else None
        self._spellings = [*self._own_spellings, *(_proxy_spellings(proxy) if proxy else ())]
        return session

    def _failure(self, error: Exception, reused: bool) -> Failure:
        kind = _kind_of(error)
        if reused and kind == "connection" and any(name in repr(error) for name in _CUT_OFF):
            kind = "stale"
        words = _root_words(error) + (f" (by the proxy {self._proxy})" if self._proxy else "")
        return Failure(kind, self._mask(words))

    def _mask(self, text: str) -> str:
        """An intake or a proxy may repeat in its answer what it was sent."""
        for spelling in self._spellings:
            if spelling in text:
                text = text.replace(spelling, "[secret]")
        return text


def _chunks(response: requests.Response) -> Iterator[bytes]:
    """The body as it comes: a reply that dribbles must come by the clock's check now and then."""
    read1 = getattr(response.raw, "read1", None)  # since urllib3 2.1
    if read1 is None:
        yield from response.iter_content(1_024)
        return
    while chunk := read1(65_536, decode_content=True):
        yield chunk


def _with_scheme(proxy: str) -> str:
    """As requests and curl take it: in the environment, `host:port` is usual."""
    return proxy if "://" in proxy else f"http://{proxy}"


def _spellings(secret: str) -> list[str]:
    """How a server may write a secret: as it is, in JSON (also PHP's), in a URL, in a form; longest first."""
    in_json = json.dumps(secret)[1:-1]
    spellings = {
        secret,
        in_json,
        in_json.replace("/", "\\/"),
        quote(secret),
        quote(secret, safe=""),
        quote_plus(secret),
    }
    spellings |= {spelling.replace("&", "&amp;") for spelling in spellings}
    return sorted(spellings, key=len, reverse=True)


def _proxy_spellings(proxy: str) -> list[str]:
    """The password in a proxy's URL, and the Basic credentials made of it."""
    parts = urlsplit(proxy)
    if not parts.password:
        return []
    user, password = unquote(parts.username or ""), unquote(parts.password)
    basic = b64encode(f"{user}:{password}".encode("latin-1", "replace")).decode()
    return [*_spellings(basic), *_spellings(parts.password), *_spellings(password)]


def _kind_of(error: Exception) -> FailureKind:
    text = str(error)
    if isinstance(error, requests.exceptions.ProxyError):
        return "proxy_credentials" if " 407 " in text or "failed: 401" in text else "proxy"
    if isinstance(error, requests.exceptions.SSLError):
        return "tls"
    if isinstance(error, requests.exceptions.Timeout):
        return "timeout"
    if isinstance(error, (requests.exceptions.ConnectionError, requests.exceptions.ChunkedEncodingError)):
        return "timeout" if "timed out" in text else "connection"
    return "request"


def _root_words(error: BaseException) -> str:
    """The innermost reason: `[Errno 111] Connection refused`, not four wrappings of it."""
    reason: BaseException = error
    while True:
        inner = getattr(reason, "reason", None) or next(
            (arg for arg in reason.args if isinstance(arg, BaseException)), None
        )
        if not isinstance(inner, BaseException) or inner is reason:
            break
        reason = inner
    return f"{type(reason).__name__}: {visible(' '.join(str(reason).split()))}"[:400]
