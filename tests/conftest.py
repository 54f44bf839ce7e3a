"""What the tests of the handlers share: a strict intake, handlers on it that are closed, and a logger of their own."""

from __future__ import annotations

import logging
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import trustme
from servers import Nginx, Voice, clean_environment, listening
from terminals import KEY, TOKEN

import loghttp
from loghttp.testing import LocalIntake

# Where no byte code is kept, each of some hundred processes compiles loghttp anew, and each worker all tests.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False
# Whoever runs the tests in the background may have us ignore Ctrl-C, and so would all that is started here.
signal.signal(signal.SIGINT, signal.default_int_handler)

Handler = loghttp.HumioHECHandler | loghttp.SekoiaHandler
Factory = Callable[..., Any]


SHARING = {"test_serve_page.py"}  # whose tests go to one worker, for they share what is dear: a browser
WAITING = {"test_workers.py"}  # whose tests take long and do little: beside others, that costs nobody any time


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What waits begins first, lest at the end nothing else is left to do."""
    items.sort(key=lambda item: item.path.name not in WAITING)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """A test goes to the next worker that is free, but for those of the files above, which begin first.

    xdist's own marks for this have no effect with pytest 9.2, whose tests keep the names that they were given.
    """
    from xdist.scheduler import LoadScopeScheduling

    class Sharing(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            file, _, _ = nodeid.partition("::")
            return file if Path(file).name in SHARING else nodeid

        def _assign_work_unit(self, node: Any) -> None:
            """Forget what is done, all of which would be counted again after each test."""
            done = [scope for scope, tests in self.assigned_work[node].items() if all(tests.values())]
            for scope in done:
                del self.assigned_work[node][scope]
            super()._assign_work_unit(node)

    return Sharing(config, log) if config.getvalue("dist") == "load" else None


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the developer's shell holds does not decide about a test."""
    clean_environment(monkeypatch)


@pytest.fixture
def intake(local_intake: LocalIntake) -> LocalIntake:
    """A strict intake on loopback, new for each test."""
    return local_intake


@pytest.fixture
def voice(intake: LocalIntake) -> Iterator[Voice]:
    """What loghttp says during a test, in which no secret may be."""
    with listening() as voice:
        yield voice
    assert intake.token not in voice.text
    assert intake.intake_key not in voice.text


@pytest.fixture
def nginx() -> Iterator[Nginx]:
    """An nginx that is started by its first `serve`."""
    with Nginx() as server:
        yield server


@pytest.fixture(scope="session")
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
def credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    """The user of the commands has both credentials in the environment."""
    monkeypatch.setenv("HUMIO_INGEST_TOKEN", TOKEN)
    monkeypatch.setenv("SEKOIA_INTAKE_KEY", KEY)


@pytest.fixture
def logger() -> logging.Logger:
    """A logger that no other test knows: it is not in logging's tree, so nothing has to be undone."""
    return logging.Logger("shop.orders", logging.DEBUG)


@pytest.fixture
def open_handler(intake: LocalIntake, logger: logging.Logger) -> Iterator[Factory]:
    """Makes a handler of a class, pointed at `intake` and added to `logger`; closed, and its books audited."""
    handlers: list[Handler] = []

    def make(kind: type[Any], /, **options: Any) -> Any:
        secret = "token" if issubclass(kind, loghttp.HumioHECHandler) else "intake_key"
        given = {"url": intake.url, secret: getattr(intake, secret), "flush_interval": 0.02, **options}
        handler = kind(**given)
        handlers.append(handler)
        logger.addHandler(handler)
        return handler

    yield make
    for handler in handlers:
        handler.close()
        stats = handler.stats()
        assert stats.pending == 0, stats
        assert stats.accepted == stats.delivered + sum(stats.dropped.values()), stats


@pytest.fixture
def humio(open_handler: Factory) -> Factory:
    """`humio(**options)`: a HumioHECHandler on `logger`, which sends to `intake`."""
    return lambda **options: open_handler(loghttp.HumioHECHandler, **options)


@pytest.fixture
def sekoia(open_handler: Factory) -> Factory:
    """`sekoia(**options)`: a SekoiaHandler on `logger`, which sends to `intake`."""
    return lambda **options: open_handler(loghttp.SekoiaHandler, **options)


def make_record(**attributes: Any) -> logging.LogRecord:
    """A LogRecord with what a call of `logger.info` gives it, and `attributes` over that."""
    return logging.makeLogRecord(
        {"name": "shop.orders", "levelno": logging.INFO, "levelname": "INFO", "msg": "order placed", **attributes}
    )


def wait_until(condition: Callable[[], Any], timeout: float = 10.0) -> None:
    """Wait until `condition()` is true, and fail if that takes longer than `timeout` seconds."""
    deadline = time.monotonic() + timeout
    while not condition():
        assert time.monotonic() < deadline, "it did not become so in time"
        time.sleep(0.005)


def line_threads() -> list[str]:
    """The names of the threads of loghttp's handlers that run in this process."""
    return sorted(thread.name for thread in threading.enumerate() if thread.name.startswith("loghttp-"))
