"""What is measured: one value a scenario, each with a name by which it can be chosen."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Literal

from peers import PEERS

Intake = Literal["up", "down", "hang"]

# Room for all that a flood has: nothing is lost by choice, and no call waits for room.
ROOMY: Mapping[str, Any] = {"buffer_events": 20_000_000, "buffer_bytes": 16 * 1024**3}
# The default buffers, and calls that wait for room: what a flood without end comes down to.
WAITING: Mapping[str, Any] = {"overflow": "block"}
# The default buffers: an intake that stays down fills them, and the oldest records give way.
DEFAULTS: Mapping[str, Any] = {}
BUFFER_BYTES = 64 * 1024**2  # the default, which the budget of memory is in terms of


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
    """`down` refuses connections, `hang` takes requests and never answers; both after the handler has warmed up."""
    delay: float = 0.0
    """Seconds that the intake takes to answer."""
    threads: int = 1
    rate: int | None = None
    """Records a second; None: as fast as they can be logged."""
    events: int = 100_000
    message: int = 0
    """Bytes that the message is longer than `msg x 1`."""
    distinct: bool = False
    """Whether each message is a text of its own, so that no two share memory."""
    extras: int = 3
    idle: float = 0.0
    """Seconds to watch the handler doing nothing, after the flood."""
    turns: int = 0
    """How often a short flood and the floor take turns, for ratios that the machine's drift does not reach."""
    marks: int = 1
    """How often a record's text stands in what is sent."""
    options: Mapping[str, Any] = field(default_factory=lambda: ROOMY)

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)

    def but(self, suffix: str, **changes: Any) -> Scenario:
        return replace(self, name=f"{self.name}-{suffix}", **changes)


def _bases() -> Iterator[Scenario]:
    for handler in ("hec", "sekoia"):
        for fast in (True, False):
            for durable in (False, True):
                name = f"{handler}-{'fast' if fast else 'plain'}{'-durable' if durable else ''}"
                yield Scenario(name=name, handler=handler, fast=fast, durable=durable)


def _variants(base: Scenario) -> Iterator[Scenario]:
    """One base, and what becomes of it when one condition is another."""
    yield replace(base, turns=10)
    yield base.but("50ms", delay=0.05)
    yield base.but("4-threads", threads=4)
    yield base.but("8-threads", threads=8)
    yield base.but("paced", rate=2_000, events=10_000)
    yield base.but("down", intake="down", options=DEFAULTS)
    yield base.but("hang", intake="hang", options=DEFAULTS)
    if base.handler == "hec" and not base.durable:
        down = replace(base, intake="down", distinct=True, options=DEFAULTS)
        yield down.but("memory-100-bytes", message=93, events=400_000)
        yield down.but("memory-1-megabyte", message=1_000_000, events=600, rate=200)
        yield base.but("idle", idle=10.0, events=1_000)


def _peers() -> Iterator[Scenario]:
    for peer in PEERS.values():
        base = Scenario(name=peer.name, handler=peer.name, events=peer.events, marks=peer.marks)
        yield base
        yield base.but("50ms", delay=0.05, events=min(peer.events, peer.events_50ms))


def _cliffs() -> Iterator[Scenario]:
    for fast in (True, False):
        base = Scenario(name="fast" if fast else "plain", handler="hec", fast=fast, options=WAITING)
        for events in (100, 1_000, 10_000, 100_000, 1_000_000):
            yield base.but(f"records-{events}", events=events)
        for threads in (1, 2, 4, 8, 16, 32, 64):
            yield base.but(f"threads-{threads}", threads=threads, events=64_000)
        for message in (100, 1_000, 10_000, 100_000):
            yield base.but(f"bytes-{message}", message=message, events=min(50_000, 200_000_000 // message))
        for extras in (0, 1, 3, 10, 25, 50):
            yield base.but(f"extras-{extras}", extras=extras, events=30_000)


NULL = Scenario(name="null", handler="null")
MAIN = (NULL, *(variant for base in _bases() for variant in _variants(base)))
PEER = tuple(_peers())
CLIFFS = tuple(_cliffs())
LONG = tuple(replace(each, name=f"{each.name}0", events=10_000_000) for each in CLIFFS if each.events == 1_000_000)

_QUICK = ("null", "hec-fast", "hec-plain", "hec-fast-durable", "hec-fast-50ms", "hec-fast-4-threads", "sekoia-fast")
QUICK = tuple(replace(each, events=30_000, turns=min(each.turns, 3)) for each in MAIN if each.name in _QUICK)
