"""One step of `loghttp check`: what was tried, how it went, how long it took, and what to do about it. A value."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

Outcome = Literal["ok", "note", "failed"]


@dataclass(frozen=True, slots=True)
class Step:
    name: str
    outcome: Outcome
    text: str
    """What happened, in one sentence."""
    advice: str = ""
    """What to do about it; empty where there is nothing to do."""
    seconds: float | None = None

    def as_json(self) -> dict[str, Any]:
        seconds = None if self.seconds is None else round(self.seconds, 4)
        return {
            "step": self.name,
            "outcome": self.outcome,
            "text": self.text,
            "advice": self.advice or None,
            "seconds": seconds,
        }
