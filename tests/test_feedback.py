"""With the root logger at DEBUG, what our threads cause is not taken in, and what the program logs is.

One peer made 3,930 requests and 7.4 million lines on stderr in 75 s out of its own urllib3 lines; five cure
that by muting urllib3 or requests for the whole program, which is not ours to do.
"""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

import pytest
from processes import Ended, an_intake_that, messages, numbered, run

from loghttp.testing import LocalIntake

ROUNDS = 20  # as in the program


def books(ended: Ended) -> list[dict[str, Any]]:
    """What the handlers said of themselves at the end."""
    assert (0, "") == (ended.status, ended.stderr)
    return json.loads(ended.stdout)


def all_delivered(count: int) -> dict[str, Any]:
    return {"accepted": count, "delivered": count, "pending": 0, "dropped": {}}


def posts(intake: LocalIntake) -> int:
    return sum(request.method == "POST" for request in intake.requests)


def test_a_post_makes_no_record_of_its_own(local_intake: LocalIntake) -> None:
    """Twenty records sent one by one are twenty requests: the lines of urllib3 on our thread do not come back.

    They did, each POST making records for the next (axiom-py#23, splunk_handler PR#23); and a guard in `emit`
    would deadlock on the handler's lock (braintrust-sdk-python PR#759, opentelemetry-python#3858).
    """
    ended = run("feedback.py", "delivers", intake=local_intake)

    assert [all_delivered(ROUNDS)] == books(ended)
    assert numbered("record", ROUNDS) == messages(local_intake)
    assert ROUNDS == posts(local_intake)


def test_two_handlers_do_not_feed_each_other(local_intake: LocalIntake) -> None:
    """What the threads of one of our handlers cause is no record for another one either."""
    ended = run("feedback.py", "delivers_to_both", intake=local_intake)

    assert [all_delivered(ROUNDS)] * 2 == books(ended)
    assert Counter({"hec": ROUNDS, "sekoia": ROUNDS}) == Counter(event.dialect for event in local_intake.events)
    assert 2 * ROUNDS == posts(local_intake)


def test_an_idle_handler_sends_nothing(local_intake: LocalIntake) -> None:
    """After its one record a handler is silent; four peers sent one needless request each interval for ever."""
    ended = run("feedback.py", "takes_its_time", intake=local_intake)

    assert [all_delivered(1)] == books(ended)
    assert 1 == posts(local_intake)


@pytest.mark.parametrize("fault", [{"status": 503}, {"status": 401}, {"connection": "reset"}], ids=str)
def test_trouble_makes_no_record_of_its_own(fault: dict[str, Any], local_intake: LocalIntake) -> None:
    """What loghttp says of failed attempts goes to the program's other handlers, never to the intake."""
    local_intake.fail_next(10, **fault)

    ended = run("feedback.py", "fails_and_delivers", intake=local_intake)

    assert [all_delivered(1)] == books(ended)
    assert ["record 0"] == messages(local_intake)
    assert 11 == posts(local_intake)


@pytest.mark.parametrize("state", ["is up", "refuses connections"])
def test_no_feedback_at_exit(state: Any) -> None:
    """A first record at exit may be sent by the program's own thread; what that causes does not come back.

    Four peers looped or hung at exit with the root logger at DEBUG (scars.md).
    """
    with an_intake_that(state) as intake:
        ended = run("feedback.py", "logs_first_at_exit", intake=intake, close_timeout=1.0)

    assert (0, (["record 0"], 0) if state == "is up" else ([], 1)) == (ended.status, (messages(intake), ended.lost))


def test_the_programs_own_urllib3_records_are_delivered(local_intake: LocalIntake) -> None:
    """The DEBUG lines of requests that the program makes itself arrive; hiding them was a mistake (seqlog#89)."""
    ended = run("feedback.py", "sends_requests_of_its_own", intake=local_intake)

    events = [event for event in local_intake.events if event.fields["logger"] == "urllib3.connectionpool"]
    port = local_intake.url.rpartition(":")[2]
    starts = [f"Starting new HTTP connection (1): 127.0.0.1:{port}"] * 3
    ends = [event.message for event in events if '"GET /of-the-program HTTP/1.1"' in event.message]
    assert (3, starts) == (len(ends), [event.message for event in events if event.message.startswith("Starting")])
    assert not [event.message for event in events if "POST" in event.message]
    assert [all_delivered(len(local_intake.events))] == books(ended)
    assert {"MainThread", "Thread-1 (work)"} == {event.fields["thread"] for event in events}


def test_a_console_beside_us_gets_everything(local_intake: LocalIntake) -> None:
    """The program's other handlers see all its records, in order, and our refusing some changes nothing there."""
    ended = run("feedback.py", "stands_beside_a_console", intake=local_intake)

    lines = [line for line in ended.stdout.splitlines() if line.startswith("MainThread ")]
    records = [line.removeprefix("MainThread root ") for line in lines if line.startswith("MainThread root ")]
    of_urllib3 = [line for line in lines if line.startswith("MainThread urllib3.connectionpool ")]
    assert (0, "") == (ended.status, ended.stderr)
    assert numbered("record", 300) == records
    assert 2 == len(of_urllib3)
    assert 302 == len(local_intake.events)


@pytest.mark.parametrize("way", ["imports", "uses"])
def test_nothing_of_the_program_is_touched(way: str, local_intake: LocalIntake) -> None:
    """Levels, propagate, filters of warnings, signals, hooks: all is as it was before loghttp came, and after."""
    local_intake.fail_next(3, status=503)

    ended = run("feedback.py", way, intake=local_intake)

    before, *later = books(ended)
    for after in later:
        # Loggers that the standard library's modules make when they are imported are not the program's.
        after["loggers"] = {name: value for name, value in after["loggers"].items() if name in before["loggers"]}
        assert before == after
