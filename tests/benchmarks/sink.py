"""The sink: an intake in a process of its own that costs next to nothing while it is measured against.

Rule: on the clock it only reads `Content-Length` bodies, keeps them and answers; what is in them is counted when
the run is over. Each record that is measured carries `MARK` exactly once, in every dialect, so that counting needs
no parser; those that warm things up carry `WARM`. It is steered by lines on a second port: `down` (from now on it
refuses), `hang` (it accepts and never answers), `report`.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import socket
import subprocess
import sys
import threading
import time
import zlib
from collections import deque
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any

MARK, WARM = b"msg x", b"warm x"
_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
# What each peer takes for success; all others are content with 200.
_STATUS = {b"/loki": b"204 No Content", b"/logtail": b"202 Accepted"}


class Server:
    """One thread a connection: a reply that is delayed holds up no other."""

    def __init__(self, delay: float) -> None:
        self._delay = delay
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._connections: set[socket.socket] = set()
        self._bodies: deque[tuple[float, bytearray]] = deque()  # (when it was there, on the monotonic clock; the body)
        self._report = {"warm": 0, "events": 0, "last": 0.0, "requests": 0, "sent": 0}
        self._hangs = False
        _start(self._accept)

    def command(self, word: str) -> dict[str, Any]:
        match word:
            case "hang":
                self._hangs = True
            case "down":
                _end(self._listener)
                for connection in tuple(self._connections):
                    _end(connection)
            case "report":
                self._count()
                return self._report
        return {}

    def _count(self) -> None:
        while self._bodies:
            arrived, body = self._bodies.popleft()
            text = zlib.decompress(body, 47) if body[:2] == b"\x1f\x8b" else body
            self._report["warm"] += text.count(WARM)
            if found := text.count(MARK):
                self._report["events"] += found
                self._report["last"] = max(self._report["last"], arrived)
                self._report["requests"] += 1
                self._report["sent"] += len(body)

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:  # closed: the intake is down
                return
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._connections.add(connection)
            _start(self._serve, connection)

    def _serve(self, connection: socket.socket) -> None:
        rest = b""
        with connection:
            try:
                while True:
                    path, body, rest = _read(connection, rest)
                    if self._hangs:
                        threading.Event().wait()
                    self._bodies.append((time.monotonic(), body))
                    if self._delay:
                        time.sleep(self._delay)
                    connection.sendall(_reply(path))
            except OSError:
                self._connections.discard(connection)


def _start(target: Callable[..., None], *args: object) -> None:
    threading.Thread(target=target, args=args, daemon=True).start()


def _read(connection: socket.socket, buffer: bytes) -> tuple[bytes, bytearray, bytes]:
    """One request: its path, its body, and what came after it."""
    while (end := buffer.find(b"\r\n\r\n")) < 0:
        received = connection.recv(65536)
        if not received:
            raise ConnectionError
        buffer += received
    head, begun = buffer[:end], buffer[end + 4 :]
    length = _LENGTH.search(head)
    if length is None:
        raise ValueError("a request without Content-Length")
    body = bytearray(int(length[1]))
    filled = min(len(begun), len(body))
    body[:filled] = begun[:filled]
    view = memoryview(body)
    while filled < len(body):
        count = connection.recv_into(view[filled:])
        if not count:
            raise ConnectionError
        filled += count
    return head.split(b" ", 2)[1], body, begun[len(body) :]


def _reply(path: bytes) -> bytes:
    status = next((status for prefix, status in _STATUS.items() if path.startswith(prefix)), b"200 OK")
    body = b"" if status.startswith(b"204") else b"{}"
    return b"HTTP/1.1 %s\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s" % (status, len(body), body)


def _end(connection: socket.socket) -> None:
    with contextlib.suppress(OSError):  # it was closed already
        connection.shutdown(socket.SHUT_RDWR)
    connection.close()


def ask(port: int, word: str) -> dict[str, Any]:
    """Give the sink at this control port a command; its answer."""
    with socket.create_connection(("127.0.0.1", port), timeout=600) as connection, connection.makefile("rw") as lines:
        lines.write(word + "\n")
        lines.flush()
        answer: dict[str, Any] = json.loads(lines.readline())
        return answer


class Sink:
    """The sink as a child process, for the length of a `with` block."""

    def __init__(self, delay: float) -> None:
        self._delay = delay

    def __enter__(self) -> Sink:
        command = [sys.executable, str(Path(__file__)), str(self._delay)]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert self._process.stdout is not None
        self.port, self.control = map(int, self._process.stdout.readline().split())
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self._process.kill()
        self._process.communicate()


def main(delay: float) -> None:
    server = Server(delay)
    _start(lambda: os._exit(bool(sys.stdin.read())))  # when the parent has died, however it did
    with socket.create_server(("127.0.0.1", 0)) as control:
        print(server.port, control.getsockname()[1], flush=True)
        while True:
            connection, _ = control.accept()
            with connection, connection.makefile("rw") as lines:
                lines.write(json.dumps(server.command(lines.readline().strip())) + "\n")


if __name__ == "__main__":
    main(float(sys.argv[1]))
