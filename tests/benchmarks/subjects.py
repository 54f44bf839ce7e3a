"""What can be measured here: `logging.NullHandler` and loghttp's own handlers. The peers are in `peers`.

Rule: nothing is imported before it is asked for, so that each child process holds only what it measures.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Subject:
    """A handler, and how to wait until it has sent everything."""

    handler: logging.Handler
    flush: Callable[[], object]
    flush_waits: bool = False
    """Whether `flush` can be trusted to return no sooner."""
    books: Callable[[], dict[str, Any]] = dict


def null() -> Subject:
    handler = logging.NullHandler()
    return Subject(handler, handler.flush, flush_waits=True)


def ours(handler: str, url: str, options: dict[str, Any]) -> Subject:
    import loghttp

    made: loghttp.HumioHECHandler | loghttp.SekoiaHandler
    if handler == "hec":
        made = loghttp.HumioHECHandler(url=url, token="benchmark", **options)  # the sink takes any
    else:
        made = loghttp.SekoiaHandler(url=url, intake_key="benchmark", **options)

    def books() -> dict[str, Any]:
        stats = made.stats()
        accounted = stats.delivered + stats.pending + sum(stats.dropped.values())
        return {"accepted": stats.accepted, "accounted": accounted}

    return Subject(made, lambda: made.flush(timeout=600), flush_waits=True, books=books)
