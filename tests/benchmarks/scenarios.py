"""What is measured: one value a scenario, each with a name by which it can be chosen."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Literal

Intake = Literal["up", "down", "hang"]

# Room for everything: nothing is lost by choice and no call waits for room. A million events a second would not fill it.
ROOMY: Mapping[str, Any] = {"buffer_events": 20_000_000, "buffer_bytes": 16 * 1024**3}
# The default buffers, and calls that wait for room: what a flood without end comes down to.
WAITING: Mapping[str, Any] = {"overflow": "block"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """One flood of records by one handler."""

    name: str
    handler: str
    """`null`, `hec`, `sekoia`, or the name of a peer."""
    fast: bool = True
    """Whether orjson and isal may be imported."""
    durable: bool = False
    intake: Intake = "up"
    delay: float = 0.0
    """Seconds that the intake takes to answer."""
    threads: int = 1
    rate: int | None = None
    """Records a second; None: as fast as they can be logged."""
    events: int = 100_000
    message: int = 0
    """Bytes that the message is longer than `msg x 1`."""
    extras: int = 3
    idle: float = 0.0
    """Seconds to watch the handler doing nothing, after the flood."""
    options: Mapping[str, Any] = field(default_factory=lambda: ROOMY)

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


def _variants(base: Scenario) -> Iterator[Scenario]:
    """One base, and what becomes of it when one condition is another."""

    def but(suffix: str, **changes: Any) -> Scenario:
        return replace(base, name=f"{base.name}-{suffix}", **changes)

    yield base
    yield but("50ms", delay=0.05)
    yield but("4-threads", threads=4)
    yield but("8-threads", threads=8)
    yield but("paced", rate=2_000, events=10_000)
    # Default buffers: an intake that is down for long fills them, and the oldest give way.
    yield but("down", intake="down", options={})
    yield but("hang", intake="hang", options={})


def bases() -> Iterator[Scenario]:
    for handler in ("hec", "sekoia"):
        for fast in (True, False):
            for durable in (False, True):
                name = f"{handler}-{'fast' if fast else 'plain'}{'-durable' if durable else ''}"
                yield Scenario(name=name, handler=handler, fast=fast, durable=durable)


NULL = Scenario(name="null", handler="null")
FULL: tuple[Scenario, ...] = (NULL, *(variant for base in bases() for variant in _variants(base)))

_QUICK = ("null", "hec-fast", "hec-plain", "hec-fast-durable", "hec-fast-50ms", "hec-fast-4-threads", "sekoia-fast")
QUICK: tuple[Scenario, ...] = tuple(replace(each, events=30_000) for each in FULL if each.name in _QUICK)
