"""Which records of a logging configuration reach which intake: what would be sent twice, and what not at all.

Rule: pure. It follows `logging`'s own rules: a record passes the level of the logger that it is logged on, then each
handler's own level, there and on every logger above, until one does not propagate.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal

Kind = Literal["twice", "nothing", "note"]
_HIGHEST: Final = logging.CRITICAL


@dataclass(frozen=True, slots=True)
class Made:
    """A handler of the configuration."""

    name: str
    level: int = logging.NOTSET
    handler: Any = None
    """One of ours; None: somebody else's, which is not made."""
    destination: str = ""
    """Of ours: the same text for the same address and token."""
    passes_to: tuple[str, ...] = ()
    """Of somebody else's, such as QueueHandler: the handlers behind it."""


@dataclass(frozen=True, slots=True)
class Logger:
    """A logger of the configuration; the root's name is empty."""

    name: str
    level: int = logging.NOTSET
    propagate: bool = True
    handlers: tuple[str, ...] = ()

    @property
    def title(self) -> str:
        return f"logger {self.name!r}" if self.name else "the root logger"


@dataclass(slots=True)
class Plan:
    """A logging configuration, as far as it decides what is sent where."""

    handlers: dict[str, Made] = field(default_factory=dict)
    loggers: dict[str, Logger] = field(default_factory=dict)
    disables_others: bool = False
    """`disable_existing_loggers`: loggers that are there before the configuration, and not named in it, fall silent."""
    disabled: tuple[str, ...] = ()
    """Loggers that are known to be there before."""

    @property
    def ours(self) -> list[Made]:
        return [made for made in self.handlers.values() if made.handler is not None]


@dataclass(frozen=True, slots=True)
class Finding:
    kind: Kind
    about: str
    text: str
    advice: str = ""

    def as_json(self) -> dict[str, Any]:
        return {"kind": self.kind, "about": self.about, "text": self.text, "advice": self.advice or None}


def findings(plan: Plan) -> list[Finding]:
    """What a person should know before the program runs; nothing, of a plan that sends everything once."""
    if not plan.ours:
        advice = "Add loghttp.HumioHECHandler or loghttp.SekoiaHandler to it."
        return [Finding("nothing", "handlers", "the configuration makes no handler of loghttp", advice)]
    return [*_twice(plan), *_nothing(plan), *_partly(plan), *_silent(plan), *_disabled(plan)]


def _disabled(plan: Plan) -> Iterator[Finding]:
    advice = "Set disable_existing_loggers to false."
    for name in plan.disabled:
        yield Finding(
            "nothing", name, f"logger {name!r} is disabled by this configuration: nothing of it is sent", advice
        )
    if plan.disables_others and not plan.disabled:
        text = "loggers made before this configuration, and not named in it, fall silent"
        yield Finding("note", "disable_existing_loggers", text, advice)


def _twice(plan: Plan) -> Iterator[Finding]:
    """A logger's own handlers, against each other and against those above that its records also reach."""
    for logger in plan.loggers.values():
        own = [(logger, *leaf) for leaf in _leaves(plan, logger)]
        reached = own + [(other, *leaf) for other in _chain(plan, logger)[1:] for leaf in _leaves(plan, other)]
        for index, (_, made, level) in enumerate(own):
            for where_else, other, other_level in reached[index + 1 :]:
                from_level = max(_effective(plan, logger), level, other_level)
                if made.destination == other.destination and from_level <= _HIGHEST:
                    yield _is_twice(logger, made, where_else, other, from_level)


def _is_twice(logger: Logger, made: Made, where: Logger, other: Made, from_level: int) -> Finding:
    what = "every record" if from_level <= logging.NOTSET else f"every record from {_level(from_level)} on"
    names = f"handler {made.name!r}" if made is other else f"handlers {made.name!r} and {other.name!r}"
    if where is logger:
        text = f"{what} of {logger.title} is sent twice: {names} on it go to the same place"
        return Finding("twice", logger.name or "root", text, "Take one of the two away.")
    text = f"{what} of {logger.title} is sent twice: there and on {where.title}, to which it propagates ({names})"
    advice = f"Set propagate to false on {logger.title}, or take {made.name!r} from it."
    return Finding("twice", logger.name, text, advice)


def _nothing(plan: Plan) -> Iterator[Finding]:
    """Handlers of ours that no record ever reaches."""
    for made in plan.ours:
        levels = [
            max(level, _effective(plan, logger))
            for logger in plan.loggers.values()
            for other in _chain(plan, logger)
            for leaf, level in _leaves(plan, other)
            if leaf is made
        ]
        if not levels:
            text = f"handler {made.name!r} is on no logger: nothing is sent by it"
            yield Finding("nothing", made.name, text, f"Name {made.name!r} among the handlers of root.")
        elif min(levels) > _HIGHEST:
            text = f"nothing passes the levels before handler {made.name!r}: not even CRITICAL"
            yield Finding("nothing", made.name, text, "Lower the level of the handler, or of its loggers.")


def _partly(plan: Plan) -> Iterator[Finding]:
    """Levels that keep back what somebody may miss."""
    for made in plan.ours:
        for logger, level in _routes(plan, made):
            passes = _effective(plan, logger)
            if passes < level <= _HIGHEST:
                text = f"takes {_level(level)} and above; {logger.title} logs from {_level(passes)} on"
                yield Finding("note", made.name, f"handler {made.name!r} {text}")
    root = plan.loggers.get("")
    if root is not None and root.level == logging.NOTSET and any(True for _ in _leaves(plan, root)):
        text = "the root logger has no level of its own, so it is WARNING: INFO and DEBUG are not sent"
        yield Finding("note", "root", text, "Give root a level, for example INFO.")


def _silent(plan: Plan) -> Iterator[Finding]:
    """Loggers whose records stay away from every handler of ours, while others' arrive."""
    for logger in plan.loggers.values():
        if logger.name and not any(_leaves(plan, other) for other in _chain(plan, logger)):
            cut = next((other for other in _chain(plan, logger) if not other.propagate), logger)
            because = f" ({cut.title} does not propagate)" if not cut.propagate else ""
            yield Finding("note", logger.name, f"what {logger.title} logs goes to no handler of loghttp{because}")


def _routes(plan: Plan, made: Made) -> list[tuple[Logger, int]]:
    """The loggers that a handler of ours is on, and the lowest level that gets through there."""
    return [
        (logger, max(level, _effective(plan, logger)))
        for logger in plan.loggers.values()
        for leaf, level in _leaves(plan, logger)
        if leaf is made
    ]


def _chain(plan: Plan, logger: Logger) -> list[Logger]:
    """The logger, and those above that its records reach."""
    chain, name = [logger], logger.name
    while name and chain[-1].propagate:
        name = name.rpartition(".")[0]
        if name in plan.loggers:
            chain.append(plan.loggers[name])
    return chain


def _effective(plan: Plan, logger: Logger) -> int:
    """The logger's level, or the nearest above that is set; propagation has no part in it."""
    name = logger.name
    while True:
        known = plan.loggers.get(name)
        if known is not None and known.level:
            return known.level
        if not name:
            return logging.WARNING  # the root's, in a fresh process
        name = name.rpartition(".")[0]


def _leaves(plan: Plan, logger: Logger) -> list[tuple[Made, int]]:
    """The handlers of ours on a logger, directly or behind another handler; and the level on the way to each."""
    found: list[tuple[Made, int]] = []
    waiting = [(name, logging.NOTSET, frozenset[str]()) for name in reversed(logger.handlers)]
    while waiting:
        name, level, seen = waiting.pop()
        made = plan.handlers.get(name)
        if made is None or name in seen:
            continue
        level = max(level, made.level)
        if made.handler is not None:
            found.append((made, level))
        waiting += [(other, level, seen | {name}) for other in reversed(made.passes_to)]
    return found


def _level(level: int) -> str:
    return logging.getLevelName(level) if level else "the lowest level"


def where(plan: Plan, made: Made) -> str:
    """The loggers that feed a handler, in words: `root from INFO`, `root from INFO, 'shop' from DEBUG`."""
    routes: Mapping[str, int] = {logger.name: level for logger, level in _routes(plan, made)}
    return ", ".join(f"{name or 'root'} from {_level(level)}" for name, level in routes.items())
