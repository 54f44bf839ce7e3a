"""What came of `loghttp spool DIR --drain`: the handlers' books, and what is still in the folder. Pure."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

from loghttp import DROP_REASONS
from loghttp.cli._output import count
from loghttp.cli._spool_drain import Elsewhere, Outcome, Target
from loghttp.cli._spool_folder import File, Folder


class Report:
    """What came of draining: the handlers' books, and what is still in the folder."""

    def __init__(
        self,
        targets: list[Target],
        outcomes: list[Outcome],
        elsewhere: list[Elsewhere],
        after: Folder,
    ) -> None:
        self._targets = targets
        self._outcomes = {outcome.target.digest: outcome.stats for outcome in outcomes}
        self._elsewhere = elsewhere
        self._after = after

    @property
    def fine(self) -> bool:
        lost = any(stats.dropped for stats in self._outcomes.values())
        if not self._targets:
            return not self._elsewhere
        return not lost and not any(self._unread(target) or sum(self._left(target)) for target in self._targets)

    def lines(self) -> Iterator[str]:
        if not self._targets and not self._elsewhere:
            yield "Nothing to deliver."
        for target in self._targets:
            yield from self._of_target(target)
        for other in self._elsewhere:
            events, files = count(other.events, "event"), count(len(other.files), "file")
            yield f"Left alone: {events} in {files} for {other.url or 'an unknown destination'}: {other.reason}."

    def as_json(self) -> dict[str, Any]:
        return {
            "destinations": [self._target_as_json(target) for target in self._targets],
            "left_alone": [
                {"destination": other.url, "files": len(other.files), "events": other.events, "reason": other.reason}
                for other in self._elsewhere
            ],
            "complete": self.fine,
        }

    def _of_target(self, target: Target) -> Iterator[str]:
        stats = self._outcomes.get(target.digest)
        if stats is None:
            yield f"No dead process has left events for {target.url}."
        else:
            requests = count(stats.requests, "request")
            events = f"{stats.delivered:,} of {count(stats.accepted, 'event')}"
            yield f"{events} delivered to {target.url} ({requests})."
            for reason, number in stats.dropped.items():
                kept = "; kept, see --dead-letters" if reason == "refused" else ""
                yield f"  {number:,} {reason}: {DROP_REASONS[reason]}{kept}"  # type: ignore[index]  # its own names
        left, living = self._left(target)
        if left:
            because = f"; last error: {stats.last_error}" if stats and stats.last_error else ""
            yield f"  {left:,} still in the folder{because}"
        if living:
            yield f"  {living:,} with living processes, which deliver them themselves"
        for file in self._unread(target):
            yield f"  {file.name} cannot be read: {file.trouble}"

    def _target_as_json(self, target: Target) -> dict[str, Any]:
        stats = self._outcomes.get(target.digest)
        left, living = self._left(target)
        return {
            "destination": target.url,
            "accepted": stats.accepted if stats else 0,
            "delivered": stats.delivered if stats else 0,
            "dropped": dict(stats.dropped) if stats else {},
            "requests": stats.requests if stats else 0,
            "last_error": stats.last_error if stats else None,
            "left": left,
            "with_living_owners": living,
        }

    def _left(self, target: Target) -> tuple[int, int]:
        """Events of the destination that are still there: of nobody (or of us), of the living."""
        files = [file for file in self._after.readable if file.digest == target.digest]
        living = sum(file.events for file in files if file.owner == "alive" and file.pid != os.getpid())
        return sum(file.events for file in files) - living, living

    def _unread(self, target: Target) -> list[File]:
        return [file for file in self._after.files if file.digest == target.digest and file.state != "readable"]
