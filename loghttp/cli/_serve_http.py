"""The page of `loghttp serve` over HTTP: its files and its small API.

Rule: what is shown may be hostile, so nothing is loaded from elsewhere, and no script runs but our own files. Who may
see it is asked of `_serve_gate`.

    GET  /            the page, and its files beside it
    GET  /api/about   what does not change: URLs, snippets, bounds
    GET  /api/poll    what came since ?event=N&change=N of &boot=...; waits until there is something
    POST /api/mode    {"mode": "503"}
    POST /api/clear   {}
    POST /login       token=..., from the form that is shown to those who have no cookie
"""

from __future__ import annotations

import contextlib
import json
import socket
import sys
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib import resources
from typing import Any, Final, cast
from urllib.parse import parse_qs

from loghttp.cli._serve_gate import Gate, host_name
from loghttp.cli._serve_intake import FAULTS, ServedIntake
from loghttp.cli._serve_store import Store

_POLL_SECONDS: Final = 20.0
_SOCKET_SECONDS: Final = 60.0  # longer than a poll; a phone that fell asleep does not hold a thread for ever
_MOST_POSTED: Final = 4096  # bytes
_STOP_POLL: Final = 0.02  # seconds: how often the accepting thread looks whether it shall stop
_TYPES: Final = {
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".svg": "image/svg+xml",
}
_JSON: Final = "application/json"
_HEADERS: Final = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
    "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'; "
    "require-trusted-types-for 'script'; trusted-types 'none'",
    "Cache-Control": "no-store",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
}
#: What the form for the token is made of: all that is given to somebody who has none.
_PUBLIC: Final = frozenset({"/style.css", "/theme.js", "/icon.svg"})


def page_files() -> dict[str, bytes]:
    """The files of the page by their path in its URL."""
    folder = resources.files("loghttp.cli") / "_serve_page"
    return {f"/{file.name}": file.read_bytes() for file in folder.iterdir() if file.is_file()}


@dataclass(frozen=True, slots=True)
class Site:
    """What the page needs to be served."""

    store: Store
    intake: ServedIntake
    #: What `/api/about` says to a browser that knows this machine by a name.
    about: Callable[[str], Mapping[str, Any]]
    #: What the page demands; None: nothing, and only on loopback.
    token: str | None = field(default=None, repr=False)
    files: Mapping[str, bytes] = field(default_factory=page_files, repr=False)


class PageServer(ThreadingHTTPServer):
    """Serves the page on `host` and `port` until `stop`, each connection on a thread of its own."""

    daemon_threads = False  # so that server_close waits for them
    request_queue_size = 64
    allow_reuse_port = False

    def __init__(self, host: str, port: int, site: Site) -> None:
        self.site = site
        self._lock = threading.Lock()  # held for `_open`
        self._open: set[socket.socket] = set()
        self.address_family = socket.AF_INET6 if ":" in host else socket.AF_INET
        super().__init__((host, port), _Handler)
        self.gate = Gate(site.token, self.server_port)
        self._acceptor = threading.Thread(
            target=self.serve_forever, args=(_STOP_POLL,), name="loghttp serve page", daemon=True
        )

    def start(self) -> None:
        """Begin to answer."""
        self._acceptor.start()

    def stop(self) -> None:
        """Stop answering; everything is closed when this returns."""
        self.site.store.close()
        if self._acceptor.is_alive():
            self.shutdown()
            self._acceptor.join()
        with self._lock:
            for connection in self._open:
                with contextlib.suppress(OSError):  # the browser was faster
                    connection.shutdown(socket.SHUT_RD)  # an answer on its way may still leave
        self.server_close()

    def server_bind(self) -> None:
        """Bind without HTTPServer's look-up of the host's name, which may take seconds."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.socket.bind(cast(tuple[str, int], self.server_address))
        self.server_address = self.socket.getsockname()
        self.server_name, self.server_port = str(self.server_address[0]), int(self.server_address[1])

    def process_request(self, request: Any, client_address: Any) -> None:
        with self._lock:
            self._open.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        with self._lock:
            self._open.discard(request)
        super().shutdown_request(request)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Let a browser vanish in silence; anything else is a bug of ours and must show."""
        if not isinstance(sys.exc_info()[1], OSError):
            super().handle_error(request, client_address)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    timeout = _SOCKET_SECONDS
    server_version = "loghttp"
    sys_version = ""

    @property
    def _site(self) -> Site:
        return cast(PageServer, self.server).site

    @property
    def _gate(self) -> Gate:
        return cast(PageServer, self.server).gate

    def do_GET(self) -> None:
        path, _, asked = self.path.partition("?")
        query = {name: values[-1] for name, values in parse_qs(asked).items()}
        if not self._gate.knows_name(self.headers):
            self._reply(HTTPStatus.MISDIRECTED_REQUEST, "this page is served under loopback names only")
        elif path == "/" and "token" in query:
            self._let_in(query["token"])
        elif not self._gate.admits(self.headers):
            self._ask_for_token(path)
        elif path == "/":
            self._send_file("/index.html")
        elif path == "/api/about":
            self._send_json(self._site.about(host_name(self.headers) or ""))
        elif path == "/api/poll":
            self._poll(query)
        else:
            self._send_file(path)

    do_HEAD = do_GET  # noqa: N815 - http.server

    def do_POST(self) -> None:
        posted = self._read()
        if posted is None:
            self.close_connection = True
            self._reply(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"at most {_MOST_POSTED} bytes, with a Content-Length")
        elif not (self._gate.knows_name(self.headers) and self._gate.is_our_page(self.headers)):
            self._reply(HTTPStatus.FORBIDDEN, "only the page itself may do this")
        elif self.path == "/login":
            self._let_in(parse_qs(posted.decode("utf-8", "replace")).get("token", [""])[-1].strip())
        elif not self._gate.admits(self.headers):
            self._ask_for_token(self.path)
        elif self.headers.get("Content-Type") != _JSON:  # a form of another page cannot send this
            self._reply(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "Content-Type must be application/json")
        elif self.path == "/api/mode":
            self._switch(posted)
        elif self.path == "/api/clear":
            self._site.store.clear()
            self._send_json({})
        else:
            self._reply(HTTPStatus.NOT_FOUND, "there is nothing here")

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing: the terminal belongs to the user, and a URL may hold the token."""

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:  # noqa: ARG002
        """What http.server refuses by itself, in plain text and with our headers."""
        self.close_connection = True
        self._reply(HTTPStatus(code), message or HTTPStatus(code).phrase)

    def _ask_for_token(self, path: str) -> None:
        if path in _PUBLIC:
            self._send_file(path)
        elif path == "/":
            self._send(HTTPStatus.UNAUTHORIZED, self._site.files["/login.html"], _TYPES[".html"])
        else:
            self._reply(HTTPStatus.UNAUTHORIZED, "the token is needed")

    def _let_in(self, token: str) -> None:
        """Give the cookie for the token, and take the token out of the address bar."""
        cookie = self._gate.cookie_for(token)
        headers = {"Location": "/", "Set-Cookie": cookie} if cookie else {"Location": "/#again"}
        self._send(HTTPStatus.SEE_OTHER, b"", "text/plain", headers)

    def _poll(self, query: Mapping[str, str]) -> None:
        try:
            event, change = int(query.get("event", 0)), int(query.get("change", -1))
        except ValueError:
            self._reply(HTTPStatus.BAD_REQUEST, "event and change must be numbers")
        else:
            answer = self._site.store.poll(event, change, _POLL_SECONDS, query.get("boot"))
            self._send(HTTPStatus.OK, answer, _JSON)

    def _switch(self, posted: bytes) -> None:
        try:
            mode = json.loads(posted)["mode"]
            self._site.intake.switch(mode)
        except (ValueError, TypeError, LookupError, RecursionError):
            self._reply(HTTPStatus.BAD_REQUEST, f"mode must be one of {', '.join(FAULTS)}")
        except OSError as error:
            self._reply(HTTPStatus.CONFLICT, f"the intake cannot listen again: {error.strerror}")
        else:
            self._send_json({"mode": mode})

    def _read(self) -> bytes | None:
        """The body; None if it is too long or of no known length."""
        digits = self.headers.get("Content-Length", "")
        known = digits.isascii() and digits.isdigit() and len(digits) <= len(str(_MOST_POSTED))
        return self.rfile.read(int(digits)) if known and int(digits) <= _MOST_POSTED else None

    def _send_file(self, path: str) -> None:
        body = self._site.files.get(path)
        if body is None:
            self._reply(HTTPStatus.NOT_FOUND, "there is nothing here")
        else:
            self._send(HTTPStatus.OK, body, _TYPES[path[path.rindex(".") :]])

    def _send_json(self, value: Mapping[str, Any]) -> None:
        self._send(HTTPStatus.OK, json.dumps(value).encode(), _JSON)

    def _reply(self, status: HTTPStatus, why: str) -> None:
        self._send(status, f"{why}\n".encode(), "text/plain; charset=utf-8")

    def _send(self, status: HTTPStatus, body: bytes, kind: str, more: Mapping[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in {"Content-Type": kind, "Content-Length": len(body), **_HEADERS, **(more or {})}.items():
            self.send_header(name, str(value))
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)
