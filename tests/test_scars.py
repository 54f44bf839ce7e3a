"""What handlers of this kind got wrong, so that ours does not: one test for each scar, with its story.

The scars were measured on some twenty logging handlers that ship over HTTP, or read in their source and on their
public issue trackers. The tests here are short, against a real intake on loopback and with real processes where the
scar needs one; other files prove at length what matters most (`test_exit`, `test_fork`, `test_feedback`,
`test_secrets`, `test_hostile`, `test_bounded`, `test_chaos`).
"""

from __future__ import annotations

import gc
import json
import logging
import threading
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import requests
import trustme
from conftest import Factory, make_record, wait_until
from processes import DOWN, State, an_intake_that, messages, numbered, run
from servers import Nginx, Tinyproxy, listening

import loghttp
from loghttp import HumioHECHandler, SekoiaHandler
from loghttp.testing import LocalIntake, ReceivedRequest
from loghttp.testing._server import ReservedPort

DEADLINE = 20.0  # seconds; what waits longer hangs


@pytest.fixture(params=[HumioHECHandler, SekoiaHandler], ids=["humio", "sekoia"])
def ship(request: pytest.FixtureRequest, open_handler: Factory) -> Factory:
    """Makes a handler of either kind on `logger`, which tries again soon."""
    return lambda **options: open_handler(request.param, **{"retry_wait_max": 0.02, **options})


def log_records(logger: logging.Logger, count: int) -> list[str]:
    for n in range(count):
        logger.info("record %d", n)
    return numbered("record", count)


def records(intake: LocalIntake) -> list[str]:
    """The program's own messages as they came, without what loghttp tells the intake."""
    return [message for message in messages(intake) if not message.startswith("loghttp")]


def in_time(work: Callable[[], Any]) -> None:
    """Do the work in a thread, so that one that hangs is a test that fails."""
    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    thread.join(DEADLINE)
    assert not thread.is_alive(), "it hangs"


# ---- One bad event


def holds(message: str) -> Callable[[ReceivedRequest], bool]:
    return lambda request: any(event.message == message for event in request.events)


def test_one_event_that_is_refused_costs_the_others_nothing(
    intake: LocalIntake, logger: logging.Logger, ship: Factory
) -> None:
    """One bad record among 100 and every peer that batches delivered none of the 99 good ones.

    A 400 is for the whole batch (loki-logger-handler#25, splunk-otel-collector-chart#696); ours halves it until
    the bad event stands alone.
    """
    intake.fail_when(holds("record 37"), status=400, body="no such day")
    handler = ship(flush_interval=60)

    logged = log_records(logger, 100)
    assert handler.flush(DEADLINE)

    assert [message for message in logged if message != "record 37"] == records(intake)
    assert (99, {"refused": 1}) == (handler.stats().delivered, handler.stats().dropped)


def test_a_batch_that_is_too_large_loses_nothing(intake: LocalIntake, logger: logging.Logger, ship: Factory) -> None:
    """A 413 and every peer lost the whole batch (opentelemetry-collector-contrib#51393); ours halves it."""
    intake.fail_when(lambda request: len(request.events) > 10, status=413)
    handler = ship(flush_interval=60)

    logged = log_records(logger, 100)
    assert handler.flush(DEADLINE)

    assert logged == records(intake)
    assert (100, {}) == (handler.stats().delivered, handler.stats().dropped)


def test_an_event_that_is_too_large_is_cut_and_says_so(
    intake: LocalIntake, logger: logging.Logger, ship: Factory
) -> None:
    """One oversize event was dropped untold, or with its batch (serilog-sinks-seq#5); ours is cut and marked."""
    handler = ship(flush_interval=60)

    logger.info("before")
    logger.info("x" * 2_000_000)
    logger.info("after")
    assert handler.flush(DEADLINE)

    before, large, after = intake.events
    marks = [(event.fields or event.event).get("loghttp_cut") in (True, "true") for event in (before, large, after)]
    assert ["before", "after"] == [before.message, after.message]
    assert "characters left out" in large.message
    assert [False, True, False] == marks


ODD: dict[str, Callable[[logging.Logger], None]] = {
    "NaN": lambda log: log.info("odd", extra={"ratio": float("nan")}),
    "infinity": lambda log: log.info("odd", extra={"ratio": float("inf")}),
    "lone surrogate": lambda log: log.info("odd \ud83d", extra={"who": "\ud83d", "\ud83d": 1}),
    "% that does not fit": lambda log: log.info("odd %d", "seven"),
    "% without arguments": lambda log: log.info("odd %s %s", 1),  # noqa: PLE1206  it is the scar
    "tuple key": lambda log: log.info("odd", extra={"prices": {("a", 1): 2}}),
    "huge int": lambda log: log.info("odd", extra={"n": 10**5_000}),
    "cycle": lambda log: log.info("odd", extra={"logger_itself": vars(log)}),
    "repr that raises": lambda log: log.info("odd %s", type("Rude", (), {"__repr__": lambda self: 1 / 0})()),
    "bytes": lambda log: log.info("odd", extra={"body": b"\xff\xfe"}),
    "empty message": lambda log: log.info(""),
}


@pytest.mark.parametrize("what", ODD)
def test_nothing_that_is_logged_breaks_delivery_or_the_program(
    what: str, intake: LocalIntake, logger: logging.Logger, ship: Factory, capsys: pytest.CaptureFixture[str]
) -> None:
    """NaN blocked one peer for ever, a surrogate lost a batch in another, bad args raised into the program in six.

    Ours sends each as something that strict JSON can carry, so no request of its batch is refused.
    """
    handler = ship(flush_interval=60)

    log_records(logger, 50)
    ODD[what](logger)
    log_records(logger, 49)
    assert handler.flush(DEADLINE)

    assert (100, {200}) == (len(intake.events), {request.status for request in intake.requests})
    assert (100, {}) == (handler.stats().delivered, handler.stats().dropped)
    assert "" == capsys.readouterr().err


# ---- Crash
# `kill -9` in an outage, rows that stay marked "being sent", a full or damaged disk, replay by the next process
# (vector#18130, fluent-bit#1950, opentelemetry-collector#12711): these scars are in the tests of durable mode.

# ---- Exit


@pytest.mark.parametrize("state", DOWN)
def test_a_program_ends_in_time_and_tells_what_it_lost(state: State) -> None:
    """Connection refused took peers 60 to 71 s at exit, no answer over 75 s; the one with a deadline told nothing.

    Ours ends within `close_timeout` and says on stderr how many records were lost.
    """
    with an_intake_that(state) as intake:
        ended = run("endings.py", "returns", intake=intake, close_timeout=1.0)

    assert (0, 300) == (ended.status, ended.lost)


def test_a_plain_exit_loses_nothing(intake: LocalIntake) -> None:
    """A plain exit lost 290 of 300 records in one peer, and 297 of 300 in another."""
    ended = run("endings.py", "returns", intake=intake)

    assert (0, "") == (ended.status, ended.stderr)
    assert numbered("record", 300) == messages(intake)


def test_a_first_record_at_exit_is_delivered(intake: LocalIntake) -> None:
    """Since Python 3.12 no thread starts while the interpreter goes down, so a first record then was lost, or raised.

    opentelemetry-python#4752, google python-logging#850, sentry-python#2299; ours is sent by the thread that logs.
    """
    ended = run("endings.py", "logs_first_in_atexit_after_loghttps", intake=intake)

    assert (0, "") == (ended.status, ended.stderr)
    assert numbered("record", 30) == messages(intake)


# ---- Deadlocks


def test_a_second_dict_config_while_a_batch_is_in_flight(intake: LocalIntake) -> None:
    """`dictConfig` waits for the worker with logging's lock held, and the worker's HTTP library logs: for ever, in two.

    logtail-python#42, logdna/python#103, opentelemetry-python#3193, cpython#91555; here with root at DEBUG.
    """
    intake.fail_when(delay=0.5)

    ended = run("endings.py", "configures_twice_while_sending", intake=intake)

    assert (0, "") == (ended.status, ended.stderr)
    assert numbered("record", 300) == messages(intake)


class Chatty:
    """Logs when it is collected, which happens where it likes; in a cycle, so that only the collector finds it."""

    def __init__(self, logger: logging.Logger) -> None:
        self.itself = self
        self.logger = logger

    def __del__(self) -> None:
        self.logger.info("collected")


def test_a_del_that_logs_in_the_middle_of_put(intake: LocalIntake, logger: logging.Logger, humio: Factory) -> None:
    """A `__del__` that logs while `queue.Queue.put` holds its lock waits for itself (sentry-python#803, bpo-14976)."""
    handler = humio()
    thresholds = gc.get_threshold()

    def work() -> None:
        for n in range(300):
            Chatty(logger)
            logger.info("record %d", n)

    gc.set_threshold(3)  # the collector runs after every third container, hence in the middle of everything
    try:
        in_time(work)
    finally:
        gc.set_threshold(*thresholds)
    gc.collect()
    assert handler.flush(DEADLINE)

    assert sorted(["collected"] * 300 + numbered("record", 300)) == sorted(messages(intake))


def test_our_own_records_never_reach_the_handlers_lock(
    intake: LocalIntake, logger: logging.Logger, humio: Factory
) -> None:
    """A guard in `emit` comes after the handler's lock, for which the worker then waits: ours is before it.

    braintrust-sdk-python PR#759, opentelemetry-python#3858. Who holds that lock here is `logging.shutdown`.
    """
    handler = humio()
    urllib3_logger = logging.getLogger("urllib3.connectionpool")
    level = urllib3_logger.level
    urllib3_logger.addHandler(handler)
    urllib3_logger.setLevel(logging.DEBUG)
    try:
        with handler.lock:
            logger.info("record 0")
            in_time(lambda: handler.flush(DEADLINE))
    finally:
        urllib3_logger.removeHandler(handler)
        urllib3_logger.setLevel(level)

    assert ["record 0"] == messages(intake)


def test_a_fork_while_another_thread_holds_a_lock(intake: LocalIntake) -> None:
    """A lock that a thread holds at the fork stays locked in the child, which hung in two peers."""
    intake.fail_when(delay=0.05)

    ended = run("forks.py", "exits", intake=intake)

    of_children = [message for message in messages(intake) if message.startswith("child")]
    assert (0, "") == (ended.status, ended.stderr)
    assert sorted(f"child-{c} {n}" for c in range(10) for n in range(5)) == sorted(of_children)


def test_logging_from_a_callback_of_the_fork(intake: LocalIntake) -> None:
    """A callback of `os.register_at_fork` that logs in the child hung there (datadogpy PR#989)."""
    ended = run("children.py", "grandchildren_that_log_first_in_a_callback", "fork", intake=intake)

    of_callbacks = [message for message in messages(intake) if message.startswith("callback")]
    assert (0, "") == (ended.status, ended.stderr)
    assert ["callback of the child", "callback of the grandchild"] == sorted(of_callbacks)


# ---- Fork


def test_the_records_of_a_multiprocessing_child_arrive(intake: LocalIntake) -> None:
    """Such children end by `os._exit`, without `atexit`: nine peers lost their records, three sent others twice."""
    ended = run("children.py", "processes", "fork", "returns", intake=intake)

    logged = [message for label in ("parent", "child-0", "child-1", "child-2") for message in numbered(label, 20)]
    assert (0, "") == (ended.status, ended.stderr)
    assert sorted(logged) == sorted(messages(intake))


def test_what_waits_at_the_fork_is_sent_by_the_parent_alone(intake: LocalIntake) -> None:
    """A child inherits the parent's queue with all that waits in it, which three peers sent from every child."""
    ended = run("forks.py", "forks_while_much_is_pending", intake=intake)

    of_parent = [message for message in messages(intake) if message.startswith("parent")]
    assert (0, "") == (ended.status, ended.stderr)
    assert numbered("parent", 200) == of_parent


def test_the_workers_of_a_prefork_server_are_heard(intake: LocalIntake) -> None:
    """A server that loads the program and then forks has workers whose delivery thread does not exist: silence.

    splunk_handler PR#25 and #61, watchtower#31 and #189, logtail-python#6, seqlog#26. Here ten workers log on a
    handler whose thread ran in the parent.
    """
    ended = run("forks.py", "flushes_and_leaves", intake=intake)

    of_workers = [message for message in messages(intake) if message.startswith("child")]
    assert (0, "") == (ended.status, ended.stderr)
    assert sorted(f"child-{c} {n}" for c in range(10) for n in range(5)) == sorted(of_workers)


# ---- Feedback


def test_root_at_debug_does_not_feed_itself(intake: LocalIntake) -> None:
    """The worker's own urllib3 lines came back to it: 3,930 requests and 7.4 million lines in 75 s in one peer.

    axiom-py#23, splunk_handler PR#23. Ours makes twenty requests of twenty records.
    """
    ended = run("feedback.py", "delivers", intake=intake)

    assert (0, "") == (ended.status, ended.stderr)
    assert (numbered("record", 20), 20) == (messages(intake), len(intake.requests))


def test_the_programs_own_urllib3_records_are_delivered(
    intake: LocalIntake, logger: logging.Logger, humio: Factory
) -> None:
    """The cure in five peers mutes urllib3 or requests for the whole program (seqlog#89), which is not ours to do."""
    urllib3_logger = logging.getLogger("urllib3.connectionpool")
    before = (urllib3_logger.level, urllib3_logger.propagate, urllib3_logger.disabled, list(urllib3_logger.filters))
    handler = humio()
    urllib3_logger.addHandler(handler)
    urllib3_logger.setLevel(logging.DEBUG)
    try:
        logger.info("ours")
        assert handler.flush(DEADLINE)
        requests.get(f"{intake.url}/of-the-program", timeout=10)
        assert handler.flush(DEADLINE)
    finally:
        urllib3_logger.removeHandler(handler)
        urllib3_logger.setLevel(before[0])

    after = (urllib3_logger.level, urllib3_logger.propagate, urllib3_logger.disabled, list(urllib3_logger.filters))
    [line] = [message for message in messages(intake) if "HTTP/1.1" in message]
    assert '"GET /of-the-program HTTP/1.1"' in line
    assert before == after


def test_an_idle_handler_sends_nothing(intake: LocalIntake, logger: logging.Logger, ship: Factory) -> None:
    """Four peers sent one needless request each interval for ever."""
    handler = ship(flush_interval=0.001)
    logger.info("record 0")
    assert handler.flush(DEADLINE)

    with pytest.raises(TimeoutError):
        intake.wait_until(lambda intake: len(intake.requests) > 1, timeout=0.3)


def test_root_at_debug_ends(intake: LocalIntake) -> None:
    """Four peers looped or hung at exit with root at DEBUG, for the last request made new records."""
    ended = run("feedback.py", "logs_first_at_exit", intake=intake)

    assert (0, "", ["record 0"]) == (ended.status, ended.stderr, messages(intake))


# ---- Secrets


def test_netrc_changes_nothing(
    intake: LocalIntake, logger: logging.Logger, ship: Factory, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`~/.netrc` put its own credentials on the request in 11 of 17, in 8 instead of the token (requests#3929)."""
    for name in (".netrc", "_netrc"):
        (tmp_path / name).write_text("default login somebody password else\n")
        (tmp_path / name).chmod(0o600)
    monkeypatch.setenv("HOME", str(tmp_path))
    handler = ship()

    logger.info("record 0")
    assert handler.flush(DEADLINE)

    expected = f"Bearer {intake.token}" if isinstance(handler, HumioHECHandler) else None
    assert [expected] == [request.headers.get("Authorization") for request in intake.requests]


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_does_not_carry_the_token_along(
    status: int, intake: LocalIntake, logger: logging.Logger, ship: Factory
) -> None:
    """A redirect to another host carried the token along in four; ours is not followed, and the records wait."""
    with LocalIntake() as elsewhere:
        intake.fail_next(3, status=status, headers={"Location": f"{elsewhere.url}/batch"})
        handler = ship()

        logger.info("record 0")
        assert handler.flush(DEADLINE)

        assert [] == elsewhere.requests
    assert ["record 0"] == messages(intake)


@pytest.mark.parametrize(("kind", "name"), [(HumioHECHandler, "token"), (SekoiaHandler, "intake_key")])
def test_a_token_with_a_newline_is_stripped_or_refused_unseen(
    kind: Any, name: str, intake: LocalIntake, logger: logging.Logger, open_handler: Factory
) -> None:
    """A mounted Kubernetes secret ends in a newline, and six printed the token in clear for it.

    Ours strips it; what is still no legal header is refused at once, by name and without its value.
    """
    handler = open_handler(kind, **{name: f"{getattr(intake, name)}\n"})
    logger.info("record 0")
    assert handler.flush(DEADLINE)

    with pytest.raises(loghttp.ConfigurationError, match=name) as refusal:
        kind(url=intake.url, **{name: "hidden-\nword"})

    assert ["record 0"] == messages(intake)
    assert [] == [part for part in ("hidden", "word") if part in str(refusal.value)]


def test_no_token_in_url_or_user_agent(intake: LocalIntake, logger: logging.Logger, ship: Factory) -> None:
    """Tokens in URLs and User-Agents end in the access logs of every proxy on the way."""
    handler = ship()
    logger.info("record 0")
    assert handler.flush(DEADLINE)

    [request] = intake.requests
    public = f"{request.path} {request.headers['User-Agent']} {handler!r} {handler.stats()!r}"
    assert [] == [secret for secret in (intake.token, intake.intake_key) if secret in public]


# ---- Status codes


@pytest.mark.parametrize("status", [300, 301, 304, 307])
def test_a_3xx_is_no_success(status: int, intake: LocalIntake, logger: logging.Logger, ship: Factory) -> None:
    """Peers that ask `status < 400` count a redirect, such as one to a login page, as delivered; ours keeps it."""
    intake.fail_when(status=status)
    handler = ship()

    logger.info("record 0")
    wait_until(lambda: handler.stats().requests >= 2)
    stats = handler.stats()
    intake.heal()
    assert handler.flush(DEADLINE)

    assert (1, 0, {}) == (stats.pending, stats.delivered, stats.dropped)
    assert ["record 0"] == messages(intake)


def test_a_429_is_not_dropped(intake: LocalIntake, logger: logging.Logger, ship: Factory) -> None:
    """A 429 was dropped like any other 4xx; ours waits as long as it is asked to, and sends it again."""
    intake.fail_next(1, status=429, headers={"Retry-After": "1"})
    handler = ship()

    logger.info("record 0")
    intake.wait_for(1)
    assert handler.flush(DEADLINE)

    first, second = intake.requests
    assert 1.0 <= second.received_at - first.received_at + 0.01  # two clocks of the same machine
    assert (1, {}, 1) == (handler.stats().delivered, handler.stats().dropped, handler.stats().retries)


@pytest.mark.parametrize("status", [401, 403, 404, 405])
def test_a_403_is_held_and_not_hammered(
    status: int, intake: LocalIntake, logger: logging.Logger, ship: Factory
) -> None:
    """A wrong token was retried as if it would heal in a second, or the records forgotten at once.

    Ours keeps them, asks again slowly, and loses nothing when somebody has put the token right.
    """
    intake.fail_when(status=status)
    handler = ship(retry_wait_max=300)

    logged = log_records(logger, 10)
    intake.wait_until(lambda intake: intake.requests)
    with pytest.raises(TimeoutError):
        intake.wait_until(lambda intake: len(intake.requests) > 1, timeout=0.3)
    stats = handler.stats()
    intake.heal()
    assert handler.flush(DEADLINE)

    assert (10, {}) == (stats.pending, stats.dropped)
    assert logged == messages(intake)


@pytest.mark.parametrize("status", [408, 425, 500, 502, 503, 504])
def test_a_status_is_looked_at(status: int, intake: LocalIntake, logger: logging.Logger, ship: Factory) -> None:
    """Some never looked at the status: a POST that did not raise was a success. Ours is one when the intake says so."""
    intake.fail_next(2, status=status)
    handler = ship()

    logged = log_records(logger, 10)
    assert handler.flush(DEADLINE)

    assert [status, status, 200] == [request.status for request in intake.requests][:3]
    assert logged == messages(intake)


def test_a_retry_wait_ends_when_the_program_does(intake: LocalIntake, logger: logging.Logger, ship: Factory) -> None:
    """Retry sleeps of 60 s that nothing can interrupt held up the exit; ours ends at close, with one more attempt."""
    intake.fail_next(1, status=503, headers={"Retry-After": "300"})
    handler = ship()

    logger.info("record 0")
    wait_until(lambda: handler.stats().last_error)
    in_time(handler.close)

    assert ["record 0"] == messages(intake)
    assert (1, {}) == (handler.stats().delivered, handler.stats().dropped)


# ---- The program's own records


def test_the_next_handler_sees_the_record_as_it_was(intake: LocalIntake, logger: logging.Logger, ship: Factory) -> None:
    """`record.msg`, `exc_text` or `levelname` changed under the next handler's eyes; ours works on its own copy."""
    handler = ship()
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
    try:
        raise ValueError("sold out")
    except ValueError as error:
        record = make_record(msg="order %s", args=(["a"],), exc_info=(ValueError, error, error.__traceback__))
    before = dict(vars(record))

    logger.handle(record)
    assert handler.flush(DEADLINE)

    assert before == vars(record)
    assert [] == [name for name, value in before.items() if vars(record)[name] is not value]


def test_traceback_and_extras_are_sent(intake: LocalIntake, logger: logging.Logger, ship: Factory) -> None:
    """The traceback was flattened into the message, or lost (splunk_hec_handler#15), and extras were never sent."""
    handler = ship()

    try:
        raise ValueError("sold out")
    except ValueError:
        logger.exception("order refused", extra={"order": 7})
    assert handler.flush(DEADLINE)

    [event] = intake.events
    members = event.fields or event.event
    assert (7, "ValueError", "sold out") == tuple(members[name] for name in ("order", "exc_type", "exc_message"))
    assert event.message.startswith("order refused")
    assert "ValueError: sold out" in str(event.event)
    assert "test_scars.py" in str(event.event)


def test_time_has_its_milliseconds_and_is_the_records_own(
    intake: LocalIntake, logger: logging.Logger, humio: Factory
) -> None:
    """Time came in whole seconds, or was that of sending (python-logging-loki#12); ours is when it was logged."""
    handler = humio()

    logger.handle(make_record(created=1_700_000_000.123456))
    assert handler.flush(DEADLINE)

    assert [1_700_000_000.123456] == [event.time for event in intake.events]


def test_what_was_logged_is_what_is_sent(intake: LocalIntake, logger: logging.Logger, ship: Factory) -> None:
    """`record.__dict__` kept by reference shows what changed later, or breaks the encoder; ours is a copy."""
    handler = ship(flush_interval=60)
    cart, order = ["pen"], {"state": "open"}

    logger.info("cart %s", cart, extra={"cart": cart, "order": order})
    cart.append(object())
    order["state"] = order["itself"] = order
    assert handler.flush(DEADLINE)

    [event] = intake.events
    sent = event.fields or event.event
    assert "cart ['pen']" == event.message
    assert '["pen"]' == (sent["cart"] if event.fields else json.dumps(sent["cart"]))
    assert "open" == (sent["order.state"] if event.fields else sent["order"]["state"])


def test_records_of_one_millisecond_keep_their_order(
    intake: LocalIntake, logger: logging.Logger, ship: Factory
) -> None:
    """Records with the same time were shown in any order (opencensus-python#1019); ours have a `sequence`."""
    handler = ship()

    for n in range(20):
        logger.handle(make_record(msg=f"record {n}", created=1_700_000_000.0))
    assert handler.flush(DEADLINE)

    sequence = {event.message: (event.fields or event.event)["sequence"] for event in intake.events}
    assert [1] * 19 == [later - earlier for earlier, later in pairwise(sequence[f"record {n}"] for n in range(20))]


# ---- Memory


def test_memory_is_bounded_by_bytes(intake: LocalIntake, logger: logging.Logger, ship: Factory) -> None:
    """Unbounded in nine, by count in nearly all others, so that 10,000 one-megabyte messages are 10 GB.

    splunk-library-javalogging#249, python-logstash-async#63; `test_bounded` has the kernel's own figures.
    """
    intake.fail_when(status=503)
    handler = ship(buffer_bytes=1_000_000, close_timeout=0.5)

    for n in range(100):
        logger.info("%d %s", n, "x" * 100_000)
    stats = handler.stats()
    intake.heal()
    assert handler.flush(DEADLINE)

    assert 1 <= stats.pending <= 9
    assert {"queue_full": 100 - stats.pending} == stats.dropped


# ---- Their users ask for


def test_logging_returns_at_once(intake: LocalIntake, logger: logging.Logger, ship: Factory) -> None:
    """An "async" handler blocked the program when its server was slow (fluent-logger-python#178); ours never waits."""
    intake.fail_when(delay=600)
    handler = ship()

    logger.info("the first")
    intake.wait_until(lambda intake: intake.requests)
    in_time(lambda: log_records(logger, 1_000))

    assert (1_001, 0) == (handler.stats().accepted, handler.stats().delivered)
    intake.heal()


def test_a_function_that_is_frozen_afterwards_has_delivered(
    intake: LocalIntake, logger: logging.Logger, ship: Factory
) -> None:
    """Lambda freezes a function between calls, and the records with it (splunk_handler PR#15, watchtower#172).

    `flush` delivers before that; what the thaw finds is a connection that the intake has closed, which costs nothing.
    """
    handler = ship(flush_interval=60)

    for n in range(3):
        logger.info("call %d", n)
        assert handler.flush(DEADLINE)
        assert numbered("call", n + 1) == messages(intake)
        intake.close_idle()

    assert (3, {}) == (handler.stats().delivered, handler.stats().dropped)


def test_an_own_ca_is_trusted(intake: LocalIntake, logger: logging.Logger, ship: Factory, tmp_path: Path) -> None:
    """An intake with a certificate of the company's own CA could not be used (loki-logger-handler PR#59)."""
    authority, bundle = trustme.CA(), tmp_path / "ca.pem"
    authority.cert_pem.write_to_path(str(bundle))
    with Nginx() as nginx:
        nginx.write("server.pem", authority.issue_cert("127.0.0.1").private_key_and_cert_chain_pem.bytes())
        nginx.serve(Nginx.TLS, Nginx.to(intake))
        handler = ship(url=nginx.https_url, verify=str(bundle))
        logger.info("record 0")
        assert handler.flush(DEADLINE), handler.stats()

    assert ["record 0"] == messages(intake)


def test_a_proxy_is_used(intake: LocalIntake, logger: logging.Logger, humio: Factory) -> None:
    """Many networks have no other way out than a proxy, with a password."""
    with Tinyproxy() as proxy:
        proxy.start()
        handler = humio(proxies={"http": proxy.url})
        logger.info("record 0")
        assert handler.flush(DEADLINE), handler.stats()

    assert [True] == ["Via" in request.headers for request in intake.requests]
    assert ["record 0"] == messages(intake)


def test_one_can_see_whether_it_works(logger: logging.Logger, intake: LocalIntake, humio: Factory) -> None:
    """Is my token right? Is anything being dropped? With most there was no way to see it; ours has books."""
    wrong = humio(token="not-the-t0ken", buffer_events=3, overflow="drop_newest", close_timeout=0.5)
    log_records(logger, 5)
    wait_until(lambda: wrong.stats().last_error)
    shown = repr(wrong.stats())

    assert [] == [part for part in ("accepted 5", "pending 3", "2 queue_full", "HTTP 403") if part not in shown]
    assert "not-the-t0ken" not in shown


def test_the_same_failure_is_not_told_over_and_over(
    intake: LocalIntake, logger: logging.Logger, ship: Factory, capsys: pytest.CaptureFixture[str]
) -> None:
    """A stderr line, or a traceback, for each failed record (home-assistant PR#181806); ours is one line a minute."""
    intake.fail_when(status=503)
    with listening() as voice:
        handler = ship(batch_events=1)
        logged = log_records(logger, 20)
        wait_until(lambda: handler.stats().requests >= 20)
        intake.heal()
        assert handler.flush(DEADLINE)

    assert ["WARNING", "INFO"] == [line.split()[0] for line in voice.text.splitlines()]
    assert ("", logged) == (capsys.readouterr().err, messages(intake))


def test_a_level_of_its_own(intake: LocalIntake, logger: logging.Logger, ship: Factory) -> None:
    """Some ship whatever the logger lets pass; ours has a level like any other handler."""
    handler = ship(level=logging.WARNING)

    logger.info("quiet")
    logger.warning("loud")
    assert handler.flush(DEADLINE)

    assert (["loud"], 1) == (messages(intake), handler.stats().accepted)


def test_bodies_are_compressed(intake: LocalIntake, logger: logging.Logger, ship: Factory) -> None:
    """Traffic is paid for by the byte, and log lines are alike."""
    handler = ship(flush_interval=60)

    log_records(logger, 500)
    assert handler.flush(DEADLINE)

    assert {"gzip"} == {request.headers["Content-Encoding"] for request in intake.requests}
    assert 3 * handler.stats().bytes_sent < sum(len(request.body) for request in intake.requests)


def test_no_disk_is_needed(intake: LocalIntake, monkeypatch: pytest.MonkeyPatch) -> None:
    """On a read-only file system a handler that wants a folder cannot even start (azure-sdk-for-python#33962).

    Ours, without `spool_dir`, opens no file for writing; here HOME and TMPDIR are where nobody can write.
    """
    for name in ("HOME", "TMPDIR", "TEMP", "TMP", "XDG_CACHE_HOME", "XDG_STATE_HOME"):
        monkeypatch.setenv(name, "/dev/null/read-only")
    monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "1")

    ended = run("disks.py", intake=intake)

    assert (0, "", []) == (ended.status, ended.stderr, json.loads(ended.stdout))
    assert numbered("record", 3) == messages(intake)


def test_an_outage_is_no_loss(logger: logging.Logger, humio: Factory) -> None:
    """An intake that is not there when the program starts, and comes later, still gets all of it."""
    port = ReservedPort()
    handler = humio(url=f"http://127.0.0.1:{port.number}", retry_wait_max=0.02)

    logged = log_records(logger, 10)
    wait_until(lambda: handler.stats().requests >= 2)
    with LocalIntake(port=port.number) as intake:
        assert handler.flush(DEADLINE)

        assert logged == messages(intake)
    port.release()
