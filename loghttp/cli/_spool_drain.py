"""`loghttp spool DIR --drain`: which handler delivers which files, and what came of it.

Rule: the real handlers do all of it, as in the next process of the program: they adopt the files of dead owners,
one at a time and each file by one process only, deliver, and delete what is delivered. Nothing here
touches a file. The token goes only where it went before: a file's name proves, by a digest of both, that this
token was used with the URL that the file holds.
"""

from __future__ import annotations

import os
import signal
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from loghttp import HumioHECHandler, SekoiaHandler, Stats, _checks
from loghttp._spool import fingerprint
from loghttp.cli._spool_folder import File, Folder
from loghttp.intakes import humio, sekoia

_CLOSE_SECONDS: Final = 2.0  # for the reply to the request in hand; without it, its events would go twice
_LOOK_EVERY: Final = 0.05

Tell = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class Kind:
    """A handler class, and how to know its files and its place in the environment."""

    handler: type[Any]
    endpoints: tuple[str, ...]
    url_variable: str
    token_variable: str


KINDS: Final = (
    Kind(HumioHECHandler, humio.ENDPOINTS, "HUMIO_URL", "HUMIO_INGEST_TOKEN"),
    Kind(SekoiaHandler, sekoia.ENDPOINTS, "SEKOIA_URL", "SEKOIA_INTAKE_KEY"),  # "/" fits all URLs, so it is last
)


@dataclass(frozen=True, slots=True)
class Target:
    """A destination that the environment's URL and token make, and its files."""

    kind: Kind
    url: str
    base: str
    endpoint: str
    digest: str
    files: list[File] = field(default_factory=list)

    @property
    def to_adopt(self) -> int:
        """Events of dead owners."""
        return sum(file.events for file in self.files if file.owner == "dead")


@dataclass(frozen=True, slots=True)
class Elsewhere:
    """Files that are left alone."""

    url: str
    files: list[File]
    reason: str
    token_missing: bool = False

    @property
    def events(self) -> int:
        return sum(file.events for file in self.files)


@dataclass(frozen=True, slots=True)
class Outcome:
    target: Target
    stats: Stats


def plan(folder: Folder) -> tuple[list[Target], list[Elsewhere]]:
    """Who gets which files.

    Raises:
        ConfigurationError: a URL or token of the environment cannot be one.
    """
    groups: dict[tuple[str, str], list[File]] = {}
    for file in folder.readable:
        if file.events:
            groups.setdefault((file.url, file.digest), []).append(file)
    targets, elsewhere = [], []
    for (url, digest), files in groups.items():
        found = _judge(url, digest, files)
        if isinstance(found, Target):
            targets.append(found)
        else:
            elsewhere.append(found)
    return targets, elsewhere


def _judge(url: str, digest: str, files: list[File]) -> Target | Elsewhere:
    route = _route(url)
    if route is None:
        return Elsewhere(url, files, "their destination is not known")
    kind, base, endpoint = route
    if not os.environ.get(kind.token_variable):
        return Elsewhere(url, files, f"{kind.token_variable} is not set", token_missing=True)
    if os.environ.get(kind.url_variable):
        wanted = _checks.join_url(_checks.base_url(None, kind.url_variable, ""), endpoint)
        if wanted != url:
            return Elsewhere(url, files, f"{kind.url_variable} names another destination")
    token = _checks.secret("token", None, kind.token_variable).reveal()
    if fingerprint(url, [token]) != digest:
        return Elsewhere(
            url, files, f"the token in {kind.token_variable} is not the one that these events were spooled for"
        )
    return Target(kind, url, base, endpoint, digest, files)


def _route(url: str) -> tuple[Kind, str, str] | None:
    """The handler, the base URL and the endpoint that make this URL."""
    for kind in KINDS:
        for endpoint in kind.endpoints:
            base = url.removesuffix(endpoint)
            if base and base != url and _checks.join_url(urlsplit(base), endpoint) == url:
                return kind, base, endpoint
    return None


def deliver(
    folder: Path, targets: list[Target], *, auth_scheme: str, timeout: float | None, tell: Tell
) -> tuple[list[Outcome], str]:
    """Deliver what dead owners have left; returns the books, and why it ended early if it did.

    Ctrl-C and the time-out end it in good order: the reply to the request in hand is waited for a moment.
    `tell` hears (delivered or dropped, of how many).
    """
    deadline = float("inf") if timeout is None else time.monotonic() + timeout
    handlers: list[tuple[Target, Any]] = []
    why = ""
    try:
        for target in targets:
            if target.to_adopt:
                with _interrupted_later():  # a handler delivers as soon as it is made
                    handlers.append((target, _handler(folder, target, auth_scheme)))
        while not all(_done(target, handler, deadline) for target, handler in handlers):
            tell(*_progress(handlers))
            if time.monotonic() >= deadline:
                why = f"Stopped after {timeout:g} seconds."
                break
            time.sleep(_LOOK_EVERY)
    except KeyboardInterrupt:
        why = "Stopped."
    finally:
        for _, handler in handlers:
            handler.close()
    tell(*_progress(handlers))
    return [Outcome(target, handler.stats()) for target, handler in handlers], why


@contextmanager
def _interrupted_later() -> Iterator[None]:
    """Have Ctrl-C wait for what is within."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _handler(folder: Path, target: Target, auth_scheme: str) -> Any:
    own = {"auth_scheme": auth_scheme} if target.kind.handler is HumioHECHandler else {}
    with warnings.catch_warnings():
        # That the URL is not https:// was told to the program that made the files.
        warnings.simplefilter("ignore", UserWarning)
        return target.kind.handler(
            url=target.base, endpoint=target.endpoint, spool_dir=folder, close_timeout=_CLOSE_SECONDS, **own
        )


def _done(target: Target, handler: Any, deadline: float) -> bool:
    """Whether the handler has nothing left to deliver. It adopts a few files at a time."""
    stats = handler.stats()
    if stats.pending:
        return False
    if stats.accepted >= target.to_adopt:
        return True
    # It has not looked for more yet, or somebody else was faster: a flush that comes back has been past the look.
    passed = handler.flush(max(0.0, min(1.0, deadline - time.monotonic())))
    return passed and not handler.stats().pending


def _progress(handlers: list[tuple[Target, Any]]) -> tuple[int, int]:
    books = [(target.to_adopt, handler.stats()) for target, handler in handlers]
    settled = sum(stats.accepted - stats.pending for _, stats in books)
    return settled, sum(max(expected, stats.accepted) for expected, stats in books)
