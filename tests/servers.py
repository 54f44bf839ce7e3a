"""Real programs for the tests: nginx, squid and tinyproxy, and an ear for what loghttp says of its troubles.

Each program runs in the foreground, on loopback, with a port and a folder of its own, and ends with the `with`
that started it. A test that needs a missing one is skipped. It works for a normal user and for root alike.
"""

from __future__ import annotations

import logging
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import quote

import pytest

from loghttp.testing import LocalIntake
from loghttp.testing._server import ReservedPort

DEADLINE = 15.0  # seconds that anything here may take, on a loaded machine

#: What makes a handler quick: the defaults are for the internet, and a test waits for nobody.
QUICK: dict[str, Any] = {"flush_interval": 0.01, "retry_wait_max": 0.05, "close_timeout": 1.0, "timeout": (5.0, 5.0)}

#: What a machine's environment may hold that changes where requests go, or whom they trust.
_ENVIRONMENT = (
    *("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "all_proxy", "no_proxy"),
    *("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE", "SSL_CERT_DIR", "NETRC"),
    *("HUMIO_URL", "HUMIO_INGEST_TOKEN", "SEKOIA_URL", "SEKOIA_INTAKE_KEY"),
)


def clean_environment(patch: pytest.MonkeyPatch) -> None:
    """Take away what the machine's own environment says of proxies, certificates and tokens."""
    for name in _ENVIRONMENT:
        patch.delenv(name, raising=False)


def wait_until(true: Callable[[], Any], what: str, timeout: float = DEADLINE) -> None:
    """Ask again and again until `true()`, which must become so in time."""
    until = time.monotonic() + timeout
    while not true():
        if time.monotonic() > until:
            raise TimeoutError(f"{what}: not within {timeout} s")
        time.sleep(0.01)


def has_ipv6() -> bool:
    """Whether this machine has IPv6's loopback."""
    with suppress(OSError), socket.socket(socket.AF_INET6) as tried:
        tried.bind(("::1", 0))
        return True
    return False


def messages(intake: LocalIntake) -> list[str]:
    """What has arrived."""
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


class Voice(logging.Handler):
    """Hears the logger `loghttp`, at every level."""

    def __init__(self) -> None:
        super().__init__()
        self._heard = threading.Condition()
        self._lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        with self._heard:
            self._lines.append(f"{record.levelname} {self.format(record)}")
            self._heard.notify_all()

    @property
    def text(self) -> str:
        with self._heard:
            return "\n".join(self._lines)

    def wait_for(self, word: str = "") -> str:
        """The first line that holds `word`."""
        with self._heard:
            if not self._heard.wait_for(lambda: any(word in line for line in self._lines), DEADLINE):
                raise TimeoutError(f"{word!r} was not said, but: {self._lines}")
            return next(line for line in self._lines if word in line)


@contextmanager
def listening() -> Iterator[Voice]:
    """The voice of loghttp, as long as this lasts."""
    logger, voice = logging.getLogger("loghttp"), Voice()
    level, propagate = logger.level, logger.propagate
    logger.setLevel(logging.DEBUG)
    logger.propagate = False
    logger.addHandler(voice)
    try:
        yield voice
    finally:
        logger.removeHandler(voice)
        logger.setLevel(level)
        logger.propagate = propagate


_Server = TypeVar("_Server", bound="Server")


def _program(name: str) -> str:
    """Where a program is; a normal user's PATH lacks the folders of servers."""
    path = shutil.which(name, path=os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin", "/usr/local/sbin"]))
    if path is None:
        pytest.skip(f"{name} is not installed")
    return path


class Server:
    """A program that serves on `port` from `start` on, with files of its own in `directory`, until its `with` ends."""

    name: str
    stop_signal = signal.SIGTERM

    def __init__(self) -> None:
        self._path = self.program()
        self._reserved = ReservedPort()
        self.port = self._reserved.number
        self.directory = Path(tempfile.mkdtemp(prefix=f"loghttp-{self.name}-"))
        self._process: subprocess.Popen[bytes] | None = None

    def program(self) -> str:
        return _program(self.name)

    def command(self) -> list[str]:
        raise NotImplementedError

    def start(self) -> None:
        with (self.directory / "output").open("wb") as output:
            self._process = subprocess.Popen(
                [self._path, *self.command()], stdin=subprocess.DEVNULL, stdout=output, stderr=output
            )
        wait_until(self._is_up, f"{self.name} listens")

    def stop(self) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        process.send_signal(self.stop_signal)
        try:
            process.wait(DEADLINE)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def __enter__(self: _Server) -> _Server:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
        self._reserved.release()
        shutil.rmtree(self.directory, ignore_errors=True)

    def write(self, name: str, content: str | bytes) -> Path:
        """A file in the program's folder."""
        path = self.directory / name
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path

    def read(self, name: str) -> str:
        path = self.directory / name
        return path.read_text(errors="replace") if path.exists() else ""

    def _is_up(self) -> bool:
        assert self._process is not None
        if self._process.poll() is not None:
            raise RuntimeError(f"{self.name} did not start: {self.read('output')} {self.read('log')}")
        with suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 1.0):
            return True
        return False


class Nginx(Server):
    """nginx with one `server`, once it is told what to serve; relative names are looked for in `directory`."""

    name = "nginx"

    #: Directives for `serve`: in clear; and with TLS, certificate and key in one file. Bodies of any size.
    PLAIN = "listen 127.0.0.1:{port}; client_max_body_size 0;"
    TLS = "listen 127.0.0.1:{port} ssl; ssl_certificate server.pem; ssl_certificate_key server.pem;"

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def https_url(self) -> str:
        return f"https://127.0.0.1:{self.port}"

    @staticmethod
    def to(intake: LocalIntake, *directives: str) -> str:
        """The location that passes everything on to the intake."""
        return f"location / {{ {' '.join(directives)} proxy_pass {intake.url}; }}"

    def command(self) -> list[str]:
        return ["-p", str(self.directory), "-c", str(self.directory / "nginx.conf"), "-e", str(self.directory / "log")]

    def serve(self, *directives: str, http: str = "") -> None:
        """Start with these directives of `server`, or go on with them; `{port}` in them is its own port.

        What is in flight, or comes in the next few milliseconds, may still be answered by the old ones.
        """
        folders = " ".join(f"{kind}_temp_path temp;" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
        self.write(
            "nginx.conf",
            f"""
            {"user root;" if os.geteuid() == 0 else ""}
            daemon off;
            worker_processes 1;
            pid pid;
            error_log log;
            events {{ worker_connections 64; }}
            http {{
                access_log off;
                {folders}
                {http}
                server {{
                    {" ".join(directives).replace("{port}", str(self.port))}
                }}
            }}
            """,
        )
        if self._process is None:
            self.start()
        else:
            self._process.send_signal(signal.SIGHUP)


class Proxy(Server):
    """A forward proxy that takes one user's password."""

    user = "pr0xy-us3r"
    password = "pr0xy-p4ssw0rd"
    log = "log"

    def __init__(self) -> None:
        super().__init__()
        self._configure(self.password)

    @property
    def url(self) -> str:
        """As users write it in HTTPS_PROXY, with the right credentials."""
        return self.url_with(self.password)

    def url_with(self, password: str | None) -> str:
        """The same with another password, or without credentials."""
        credentials = "" if password is None else f"{self.user}:{quote(password, safe='')}@"
        return f"http://{credentials}127.0.0.1:{self.port}"

    def restart(self, password: str) -> None:
        """Take this password instead."""
        self.stop()
        self._configure(password)
        self.start()

    def wait_for_request(self, line: str) -> None:
        """Wait until the proxy has noted such a request."""
        wait_until(lambda: line in self.read(self.log), f"{self.name} sees {line!r}")

    def _configure(self, password: str) -> None:
        raise NotImplementedError


class Squid(Proxy):
    name = "squid"
    password = "pr0xy/p4ss+w0rd"  # with characters that an URL must quote; tinyproxy has no such passwords
    log = "access"
    stop_signal = signal.SIGKILL  # its own way of ending takes a second, and it has nothing to lose

    @property
    def _service(self) -> str:
        """Its name among other squids; two of one name, when they start at once, are in each other's way."""
        return f"squid{self.port}"

    def command(self) -> list[str]:
        return ["-N", "-n", self._service, "-f", str(self.directory / "squid.conf")]

    def stop(self) -> None:
        super().stop()
        for memory in Path("/dev/shm").glob(f"{self._service}-*"):  # noqa: S108  what it shares there outlives it
            memory.unlink(missing_ok=True)

    def _configure(self, password: str) -> None:
        as_root = os.geteuid() == 0
        if as_root:  # squid then becomes another user, who wants to write its logs
            shutil.chown(self.directory, "nobody")
            self.directory.chmod(0o755)
        helper = self.write(
            "helper.sh",
            f"""while read -r line; do [ "$line" = "{self.user} {password}" ] && echo OK || echo ERR; done""",
        )
        self.write(
            "squid.conf",
            f"""
            {"cache_effective_user nobody" if as_root else ""}
            http_port 127.0.0.1:{self.port}
            pid_filename none
            cache_log {self.directory / "log"}
            logformat seen %rm %ru %>Hs token=%{{Authorization}}>h
            access_log stdio:{self.directory / "access"} seen
            coredump_dir none
            netdb_filename none
            cache deny all
            cache_mem 8 MB
            memory_cache_shared off
            max_filedescriptors 1024
            pinger_enable off
            visible_hostname localhost
            auth_param basic program /bin/sh {helper}
            auth_param basic children 1 startup=1
            acl known proxy_auth REQUIRED
            http_access allow known
            http_access deny all
            """.replace("\n" + " " * 12, "\n"),
        )


class Tinyproxy(Proxy):
    name = "tinyproxy"

    def command(self) -> list[str]:
        return ["-d", "-c", str(self.directory / "tinyproxy.conf")]

    def _configure(self, password: str) -> None:
        self.write(
            "tinyproxy.conf",
            f"""
            Port {self.port}
            Listen 127.0.0.1
            Timeout 60
            MaxClients 50
            LogFile "{self.directory / "log"}"
            LogLevel Connect
            Allow 127.0.0.1
            BasicAuth {self.user} {password}
            """.replace("\n" + " " * 12, "\n"),
        )
