"""The wire: HTTP/1.1 with keep-alive on loopback, a thread for each connection, nothing left after a stop.

Knows sockets and framing, nothing else: what a request means is asked of `_strict`, and what becomes of it of
the `Desk`. Clients that vanish are nothing to speak of: no log, no traceback.
"""

from __future__ import annotations

import contextlib
import socket
import socketserver
import struct
import sys
import threading
import time
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Literal, Protocol, cast

from loghttp.testing import _strict
from loghttp.testing._faults import Connection
from loghttp.testing._received import Headers, ReceivedRequest
from loghttp.testing._replies import Answer
from loghttp.testing._strict import Judgement, Rules

#: How often the accepting thread looks whether it shall stop, in seconds: the most that `stop` waits for it.
_STOP_POLL = 0.02
#: How long `close_idle` waits for answers that are being written: a safety net, for they are small.
_ANSWERING_SECONDS = 5.0
_RESET_ON_CLOSE = struct.pack("ii", 1, 0)  # SO_LINGER: on, for 0 seconds
_CHUNK = 65_536

_State = Literal["idle", "busy", "answering", "gone"]


class Desk(Protocol):
    """What the server asks of the intake behind it."""

    @property
    def rules(self) -> Rules: ...

    @property
    def host(self) -> str: ...

    @property
    def keep_alive(self) -> bool: ...

    def settle(self, request: ReceivedRequest, judgement: Judgement) -> tuple[Answer | None, Connection]:
        """The answer to a request (None: none) and what becomes of its connection; may wait."""
        ...


@dataclass(slots=True, eq=False)
class _Client:
    """A connection: "idle" between requests, "busy" from a request's first line, "answering" at its end."""

    socket: socket.socket
    thread: threading.Thread
    state: _State = "idle"

    def hang_up(self) -> None:
        """Say goodbye, which wakes the connection's thread wherever it waits; it closes the socket itself."""
        self.state = "gone"
        with contextlib.suppress(OSError):  # the client was faster
            self.socket.shutdown(socket.SHUT_RDWR)


def _family_of(host: str) -> socket.AddressFamily:
    """What a socket has to be to listen on `host`: IPv6 where that is such an address, else IPv4."""
    return socket.AF_INET6 if ":" in host else socket.AF_INET


class ReservedPort:
    """Keeps a port of `host` for its owner, who may listen on it and stop as often as it likes, until `release`.

    Bound and never listening: clients are refused. Whoever asks the system for a free port gets another one, for a
    server or for a connection, so that what was meant for a stopped server never reaches a stranger's.

    Raises:
        OSError: when somebody listens on that port.
    """

    def __init__(self, port: int = 0, host: str = "127.0.0.1") -> None:
        self._socket = socket.socket(_family_of(host))
        try:
            # On Linux a server that sets this too may listen on the same port, and `IntakeServer` does.
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            self._socket.bind((host, port))
            self.number: int = self._socket.getsockname()[1]
            if sys.platform != "linux":  # BSD lets no two sockets have the same address, in whatever state
                self._socket.close()
        except OSError:
            self._socket.close()
            raise

    def release(self) -> None:
        """Let others have the port."""
        self._socket.close()


class IntakeServer(ThreadingHTTPServer):
    """Accepts connections on the desk's host and serves each on a thread of its own, until `stop`."""

    daemon_threads = True
    request_queue_size = 128  # the default of 5 makes a burst of new clients wait a second for TCP's retry
    allow_reuse_port = False  # two servers must never share a port in silence

    def __init__(self, port: int, desk: Desk) -> None:
        self.desk = desk
        self._clients: dict[socket.socket, _Client] = {}
        self._changed = threading.Condition()
        self.address_family = _family_of(desk.host)
        super().__init__((desk.host, port), _Handler)
        self._acceptor = threading.Thread(
            target=self.serve_forever, args=(_STOP_POLL,), name="LocalIntake", daemon=True
        )
        self._acceptor.start()

    def server_bind(self) -> None:
        """Bind without HTTPServer's look-up of the host's name, which may take seconds."""
        socketserver.TCPServer.server_bind(self)
        self.server_name, self.server_port = self.desk.host, self.server_address[1]

    def stop(self) -> None:
        """Stop accepting, cut every connection, and wait until their threads are gone."""
        self.shutdown()
        self._acceptor.join()
        self.server_close()
        with self._changed:
            clients = list(self._clients.values())
            for client in clients:
                client.hang_up()
        for client in clients:
            client.thread.join()

    def close_idle(self) -> int:
        """Close the connections that wait for a next request; how many they were."""
        with self._changed:
            # A client with its answer in hand takes its connection for idle: wait until our side does too.
            self._changed.wait_for(
                lambda: all(client.state != "answering" for client in self._clients.values()),
                _ANSWERING_SECONDS,
            )
            idle = [client for client in self._clients.values() if client.state == "idle"]
            for client in idle:
                client.hang_up()
        return len(idle)

    def mark(self, connection: socket.socket, state: _State) -> None:
        """Note what the thread of a connection is at."""
        with self._changed:
            client = self._clients[connection]
            if client.state != "gone":
                client.state = state
                self._changed.notify_all()

    def process_request(self, request: Any, client_address: Any) -> None:
        """Start the connection's thread, and remember both: ThreadingMixIn forgets daemon threads."""
        thread = threading.Thread(
            target=self.process_request_thread,
            args=(request, client_address),
            name="LocalIntake connection",
            daemon=True,
        )
        with self._changed:
            self._clients[request] = _Client(request, thread)
        thread.start()

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        """Serve one connection to its end."""
        try:
            super().process_request_thread(request, client_address)
        finally:
            with self._changed:
                del self._clients[request]
                self._changed.notify_all()

    def handle_error(self, request: Any, client_address: Any) -> None:  # noqa: ARG002 - socketserver's signature
        """Let a client vanish in silence; anything else is a bug of ours and must show."""
        if not isinstance(sys.exc_info()[1], OSError):
            raise  # noqa: PLE0704 - called from the except clause of socketserver


class _Handler(BaseHTTPRequestHandler):
    """Reads requests off one connection and writes their answers."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    @property
    def _server(self) -> IntakeServer:
        return cast(IntakeServer, self.server)

    def handle_one_request(self) -> None:
        self._server.mark(self.connection, "idle")
        super().handle_one_request()

    def parse_request(self) -> bool:
        self._server.mark(self.connection, "busy")
        return super().parse_request()

    def do_POST(self) -> None:
        received_at = time.time()
        desk = self._server.desk
        headers = Headers(self.headers.items())
        wire = self._read_body(headers)
        judgement = _strict.judge(desk.rules, self.command, self.path, headers, wire)
        request = ReceivedRequest(
            method=self.command,
            path=self.path,
            headers=headers,
            body=judgement.body,
            wire_bytes=len(wire or b""),
            status=None,
            refusal=judgement.refusal,
            events=judgement.events,
            received_at=received_at,
        )
        answer, connection = desk.settle(request, judgement)
        if not desk.keep_alive or connection != "keep":
            self.close_connection = True
        if connection == "reset":
            self._reset()
        elif answer is not None:
            self._write(answer, half=connection == "half")
            if wire is None:
                self._read_to_the_end()

    do_GET = do_HEAD = do_PUT = do_PATCH = do_DELETE = do_OPTIONS = do_TRACE = do_POST  # noqa: N815 - http.server

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing: the requests are kept, which tells more."""

    def _read_body(self, headers: Headers) -> bytes | None:
        """The body as it comes; None if it is left unread, being too large or of no known length."""
        length = _strict.body_length(headers)
        if length is None or length > self._server.desk.rules.body_bytes(self.path):
            self.close_connection = True
            return None
        body = self.rfile.read(length)
        if len(body) < length:
            raise ConnectionAbortedError("the client left in the middle of its request")
        return body

    def _write(self, answer: Answer, *, half: bool) -> None:
        self._server.mark(self.connection, "answering")
        phrase = self.responses.get(answer.status, ("",))[0]
        lines = [f"{self.protocol_version} {answer.status:d} {phrase}", f"Date: {self.date_time_string()}"]
        lines += [f"{name}: {value}" for name, value in answer.headers.items()]
        asked_to_close = Headers(answer.headers.items()).get("Connection", "").lower() == "close"
        if asked_to_close:
            self.close_connection = True
        elif self.close_connection and not half:
            lines.append("Connection: close")
        if answer.status not in {204, 304}:
            lines.append(f"Content-Length: {len(answer.body)}")
        body = b"" if self.command == "HEAD" else answer.body
        if half:
            body = body[: len(body) // 2]
        self.wfile.write("\r\n".join([*lines, "", ""]).encode("latin-1") + body)

    def _reset(self) -> None:
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
        # Closed here, for socketserver would send a FIN first; first the file, which holds the socket open.
        self.rfile.close()
        self.connection.close()

    def _read_to_the_end(self) -> None:
        """Read on after the answer: to close on unread bytes sends an RST, which may destroy the answer."""
        self.connection.shutdown(socket.SHUT_WR)
        while self.rfile.read1(_CHUNK):
            pass
