"""The thread that turns records into events.

Rule: it always drains. A record becomes bytes within milliseconds, so that nothing of the program's objects
is kept alive; it waits for nothing but records (and for room, with `overflow="block"`), never dies, and never
logs through our handlers.
"""

from __future__ import annotations

import logging
import logging.handlers
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any, Final

from loghttp._batch import RUN_EVENTS, Run, gathered
from loghttp._capture import PLAIN_COST, Bare, Captured, Plain, named
from loghttp._entry import Entry, Reader
from loghttp._queue import Buffer
from loghttp._selflog import SelfLog, own_thread
from loghttp._template import Templates
from loghttp._worker import FAULTS_MAX, Worker
from loghttp.intakes import Intake

HandleError = Callable[[logging.LogRecord], None]

_AFTER_A_FAULT: Final = 0.02  # seconds; where there was no memory, there may be some by then


class Listener(Worker, logging.handlers.QueueListener):
    """A `logging.handlers.QueueListener` by its part: it takes records from a queue and handles each.

    The queue is a `Buffer`, and the loop and its thread are ours: the standard library's would end with the
    first error, and wait for ever at exit.
    """

    thread_name = "loghttp-listener"

    def __init__(
        self,
        buffer: Buffer,
        reader: Reader,
        intake: Intake,
        *,
        selflog: SelfLog,
        flush_level: int,
        handle_error: HandleError,
    ) -> None:
        super().__init__(buffer)  # type: ignore[arg-type]  # not a queue.Queue: `run` is our own
        self._buffer = buffer
        self._reader = reader
        self._intake = intake
        self._templates = Templates(reader, intake)
        self._selflog = selflog
        self._flush_level = flush_level
        self._handle_error = handle_error

    def run(self) -> None:
        faults = 0
        records: list[Captured | Bare] | None = []
        with own_thread():
            self._buffer.open()
            while faults < FAULTS_MAX or not self._buffer.closing.is_set():
                try:
                    if not records and (records := self._buffer.take_records()) is None:
                        break
                    self._put(records)
                    self._selflog.lost()
                    self._buffer.pass_markers()
                    faults = 0
                except BaseException:  # noqa: BLE001  a fault of our own: some records are lost, the thread is not
                    faults += 1
                    with suppress(Exception):
                        self._buffer.lose_burst(records or ())
                    self._selflog.broke("records could not be handled")
                    time.sleep(_AFTER_A_FAULT)

    def _put(self, records: list[Captured | Bare]) -> None:
        """Put the events of all of these, and empty the list: what is left in it after a fault has not been touched."""
        while records:
            some = records[:RUN_EVENTS]
            del records[:RUN_EVENTS]
            while some and (alike := self._put_alike(some)):
                del some[:alike]
            if some:
                self._put_one_by_one(some)

    def _put_alike(self, records: Sequence[Any]) -> int:
        """Put the first of these, if they are small and of one call site, as a loop or a storm logs them; how many."""
        if (written := self._templates.encode_alike(records)) is None:
            return 0
        run = Run(*written, time.monotonic())
        self._buffer.put_runs([run], run.number * PLAIN_COST, urgent=self._is_urgent(records[0][1][1]))
        return run.number

    def _put_one_by_one(self, records: list[Captured | Bare]) -> None:
        events: list[bytes] = []
        created: list[float] = []
        size, urgent, now = 0, False, time.monotonic()
        encode, flush_level = self._templates.encode, self._flush_level
        records.reverse()
        while records:  # taken off one by one, so that a large one is let go as soon as it is encoded
            record = records.pop()
            if isinstance(record, tuple):
                event, (_, site, _, _, when, _, cost) = encode(record), record
                level = site[1]
            else:
                event, when, cost, level = None, record.when, record.size, record.__dict__.get("levelno")
            if event is None and (event := self._encode(named(record))) is None:
                continue
            events.append(event)
            created.append(when)
            size += cost
            if not urgent:
                urgent = level >= flush_level if type(level) is int else self._is_urgent(level)
        self._buffer.put_runs([*gathered(events, created, now)], size, urgent=urgent)

    def _is_urgent(self, level: Any) -> bool:
        try:
            return isinstance(level, int) and level >= self._flush_level
        except Exception:  # noqa: BLE001  any object's methods may run here
            return False

    def _encode(self, record: Captured | Plain) -> bytes | None:
        """The event that a record becomes; one that cannot be encoded is entered as lost."""
        try:
            entry = self._reader.read(record)
        except BaseException:  # noqa: BLE001  a user's formatter raised: as logging does
            self._buffer.lose(record)
            if not isinstance(record, Plain):
                with suppress(BaseException):
                    self._handle_error(record)
            return None
        try:
            event = self._intake.shape(entry)
            if not isinstance(event, bytes):
                raise TypeError(f"`shape` returned {type(event).__name__}")
            return event
        except BaseException:  # noqa: BLE001  whatever it was, this thread lives
            self._buffer.lose(record)
            self._selflog.broke("a record could not be encoded")
            return None


def notice(text: str, intake: Intake) -> Run:
    """An event of loghttp's own, such as the one that tells the intake of lost records."""
    entry = Entry(time.time(), text, {"level": "ERROR", "logger": "loghttp"})
    return Run(intake.shape(entry), (entry.created,), time.monotonic())
