"""The thread that delivers: what becomes of a batch, by the verdict on each reply.

Rule: a batch leaves this room delivered or dropped with a reason, and only what the intake refused by itself
is dropped for it. All waits end at once when the handler closes; then each batch has one more attempt.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from loghttp._backoff import Backoff
from loghttp._batch import Batch, Run, parted
from loghttp._options import Delivery
from loghttp._queue import Buffer
from loghttp._selflog import SelfLog, own_thread
from loghttp._stats import Books
from loghttp._verdict import (
    Delivered,
    Failure,
    Misconfigured,
    Refused,
    Reply,
    TooLarge,
    TryLater,
    Verdict,
    judge_failure,
)
from loghttp._worker import FAULTS_MAX, Worker
from loghttp.intakes import Intake

if TYPE_CHECKING:
    from loghttp._sender import Sender  # see `_line` for when it is imported

_CUT_LEAST: Final = 1_024  # bytes; an event that is too large even so will not be taken at all
_TRUST: Final = 30  # more than the 13 halvings that lead from a batch of 5,000 to one event
_TELL_INTERVAL: Final = 10.0  # seconds between two notices of loss, when records are lost all the time


class Courier(Worker):
    """Delivers what the buffer hands out, one request at a time and in order."""

    thread_name = "loghttp-courier"

    def __init__(
        self,
        buffer: Buffer,
        intake: Intake,
        sender: Sender,
        backoff: Backoff,
        *,
        options: Delivery,
        books: Books,
        selflog: SelfLog,
        notice: Callable[[str], Run],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._buffer = buffer
        self._intake = intake
        self._sender = sender
        self._backoff = backoff
        self._options = options
        self._books = books
        self._selflog = selflog
        self._notice = notice
        self._clock = clock
        self._last_chance = False  # the last attempt began when the handler was closing already
        self._told = float("-inf")  # when the intake was last told of losses
        self.deadline: float | None = None
        """When closing: the moment, by the clock, after which nothing more is sent. Set by the closing thread."""

    def run(self) -> None:
        faults = 0
        with own_thread():
            while faults < FAULTS_MAX or not self._buffer.closing.is_set():
                try:
                    runs = self._buffer.take_runs()
                    if runs is None:
                        break
                    self._deliver(Batch(tuple(runs)))
                    self._tell_losses()
                    faults = 0
                except BaseException:  # noqa: BLE001  a fault of our own: a batch is lost, the thread is not
                    faults += 1
                    self._selflog.broke("a batch could not be handled")
                    with suppress(Exception):
                        self._buffer.lose_in_hand()
                    self._buffer.pause(1.0)
            with suppress(Exception):
                self._tell_losses(at_end=True)
                self._selflog.lost(at_end=True)
            self._sender.reset()

    # ---- the verdict table

    def _deliver(self, batch: Batch) -> None:
        pieces = [batch]  # the last one is sent next
        suspects: list[Batch] = []  # refused alone, while nothing has shown that others are taken; two at the most
        trust = 0  # refusals that may still count against single events; each success renews it
        refuses_all = False
        while pieces or suspects:
            if not pieces:  # what was between them is settled, and they still stand unproven
                pieces, suspects = suspects, []
            piece = pieces.pop()
            verdict = self._send(piece)
            piece = Batch(piece.runs, piece.attempts + 1)
            match verdict:
                case Delivered(taken):
                    self._delivered(piece, taken)
                    pieces += suspects  # once more: the intake may have been mended since it refused them
                    suspects, trust, refuses_all = [], _TRUST, False
                case TryLater() | Misconfigured():
                    pieces += self._wait(piece, verdict)
                case TooLarge():
                    pieces += reversed(self._smaller(piece))
                case Refused(reason, hint):
                    unsure = refuses_all or bool(suspects)
                    if len(piece) > 1:
                        pieces += reversed(self._split(piece, hint))
                    elif trust:
                        self._buffer.dropped(piece.runs, "refused", reason)
                    else:
                        suspects.append(piece)
                    trust = max(0, trust - 1)
                    if trust or not (unsure or (suspects and not pieces)):
                        continue
                    # Bad events, or an intake that refuses everything? An event of our own tells.
                    answer = self._ask(reason)
                    pieces += reversed(suspects)
                    suspects, refuses_all = [], not isinstance(answer, Delivered)
                    if isinstance(answer, Delivered):
                        trust = _TRUST
                    else:
                        pieces = self._wait(Batch(_in_order(pieces), piece.attempts), _refuses_all(answer, reason))
        self._selflog.lost()

    def _send(self, batch: Batch) -> Verdict:
        """One attempt. A fault in an intake's own code holds the batch back; it does not lose it."""
        self._last_chance = self._buffer.closing.is_set()
        within = None if self.deadline is None else self.deadline - self._clock()
        if within is not None and within <= 0:
            return TryLater("close_timeout is over")
        try:
            outcome = self._sender.send(self._intake.request(batch.bodies), within)
            self._count(batch.attempts > 0)
            if isinstance(outcome, Failure) and outcome.kind == "stale":
                # It was never received: no wait, no duplicate.
                outcome = self._sender.send(self._intake.request(batch.bodies), within)
                self._count(True)
            verdict = self._intake.judge(outcome) if isinstance(outcome, Reply) else judge_failure(outcome)
            if not isinstance(verdict, Verdict):
                raise TypeError(f"`judge` returned {type(verdict).__name__}")
        except Exception as error:  # noqa: BLE001  see above
            self._selflog.broke("an intake's own code raised")
            verdict = TryLater(f"{type(error).__name__} in loghttp")
        if not isinstance(verdict, Delivered):
            self._books.last_error = verdict.reason
        return verdict

    def _count(self, again: bool) -> None:
        with self._books.lock:
            self._books.requests += 1
            self._books.retries += again
            self._books.bytes_sent += self._sender.bytes_sent

    def _delivered(self, batch: Batch, taken: int | None) -> None:
        """Enter a success; what the intake did not take of it is lost, and is not sent again."""
        number = len(batch) if taken is None else min(taken, len(batch))
        accepted, rejected = parted(batch.runs, number)
        self._buffer.delivered(accepted)
        if rejected:
            self._books.last_error = f"the intake took {number} of {len(batch)} events"
            self._buffer.dropped(rejected, "intake_rejected")
        self._backoff.succeeded()
        self._selflog.delivered()

    def _wait(self, batch: Batch, verdict: TryLater | Misconfigured) -> list[Batch]:
        """Wait before the next attempt; what is then left to send, without what is expired or given up."""
        if self._last_chance:
            self._buffer.dropped(batch.runs, "shutdown")
            return []
        if isinstance(verdict, TryLater):
            self._selflog.not_delivered("later", verdict.reason, "it is tried again")
            self._buffer.pause(self._backoff.failed(verdict.after), at_least=verdict.after or 0.0)
        else:
            self._selflog.not_delivered("misconfigured", verdict.reason, verdict.advice)
            self._buffer.pause(self._backoff.slow())
        rest = self._unexpired(batch)
        self._selflog.lost()
        return rest

    def _unexpired(self, batch: Batch) -> list[Batch]:
        retry_for = self._options.retry_for
        if retry_for is None:
            return [batch]
        born_since = self._clock() - retry_for
        self._buffer.dropped([run for run in batch.runs if run.born < born_since], "expired")
        rest = tuple(run for run in batch.runs if run.born >= born_since)
        return [Batch(rest, batch.attempts)] if rest else []

    def _split(self, batch: Batch, hint: int | None = None) -> list[Batch]:
        with self._books.lock:
            self._books.splits += 1
        return batch.split(hint)

    def _smaller(self, batch: Batch) -> list[Batch]:
        if len(batch) > 1:
            return self._split(batch)
        (event,) = batch.runs
        limit = len(event.body) // 2
        body = self._cut(event.body, limit) if limit >= _CUT_LEAST else None
        if body is None or len(body) >= len(event.body):
            self._buffer.dropped(batch.runs, "too_large")
            return []
        return [Batch((self._buffer.exchanged(event, event._replace(body=body)),), batch.attempts)]

    def _cut(self, event: bytes, limit: int) -> bytes | None:
        try:
            cut = self._intake.cut(event, limit)
            return cut if isinstance(cut, bytes) else None
        except Exception:  # noqa: BLE001  as in `_send`
            self._selflog.broke("an intake's own code raised")
            return None

    # ---- events of our own, which are in no book

    def _ask(self, reason: str) -> Verdict:
        return self._send_notice(f"loghttp asks if this intake takes events, for it refused one: {reason}")

    def _send_notice(self, text: str) -> Verdict:
        try:
            event = self._notice(text)
        except Exception as error:  # noqa: BLE001  as in `_send`
            self._selflog.broke("an intake's own code raised")
            return TryLater(f"{type(error).__name__} in loghttp")
        return self._send(Batch((event,)))

    def _tell_losses(self, *, at_end: bool = False) -> None:
        """When delivery works, tell the intake how many records were lost, why, and between which times."""
        if self._backoff.failures or not self._books.untold_intake.counts:
            return
        now = self._clock()
        if now - self._told < _TELL_INTERVAL and not at_end:
            return
        losses = self._books.take_untold_intake()
        if not losses.counts:
            return  # another line of this handler has just told them
        verdict = self._send_notice(f"loghttp: {losses}")
        if isinstance(verdict, Delivered):
            self._told = now
        elif isinstance(verdict, TryLater | Misconfigured):
            with self._books.lock:
                self._books.untold_intake.merge(losses)


def _refuses_all(answer: Verdict, reason: str) -> TryLater | Misconfigured:
    """The verdict on an intake that did not take our own event either, after it refused others for `reason`."""
    if isinstance(answer, TryLater | Misconfigured):
        return answer
    return Misconfigured(reason, "the intake refuses every event: check url, endpoint, index, sourcetype")


def _age(run: Run) -> tuple[float, int]:
    return run.born, run.row


def _in_order(pieces: Sequence[Batch]) -> tuple[Run, ...]:
    """What is still to be delivered, oldest first."""
    return tuple(sorted((run for piece in reversed(pieces) for run in piece.runs), key=_age))
