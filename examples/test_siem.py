"""A user's own test: this request logged exactly these events to the SIEM, and nothing else.

    pip install pytest flask
    pytest examples/test_siem.py

The fixture ``local_intake`` comes with loghttp: a real HTTP server on this machine that takes the place of the
SIEM, and refuses what the SIEM would refuse.
"""

import logging

import pytest
from flask import Flask, request

from loghttp import SekoiaHandler

# -- the program -----------------------------------------------------------------------------------------------

security = logging.getLogger("shop.security")
app = Flask(__name__)


@app.post("/sign-in")
def sign_in():
    form = request.get_json()
    if form["password"] != "a long secret":
        security.warning("sign-in refused", extra={"form": form, "remote_addr": request.remote_addr})
        return {}, 403
    return {}


# -- its tests -------------------------------------------------------------------------------------------------


@pytest.fixture
def siem(local_intake):
    """The SIEM, as the program's own configuration would reach it."""
    handler = SekoiaHandler(local_intake.intake_key, local_intake.url, redact=["password"], attributes=["level"])
    security.addHandler(handler)
    yield local_intake
    security.removeHandler(handler)
    handler.close()


def test_a_refused_sign_in_is_told_to_the_siem(siem):
    assert app.test_client().post("/sign-in", json={"name": "admin", "password": "hunter2"}).status_code == 403

    [event] = siem.wait_for(1)
    assert event.event | {"@timestamp": "any"} == {
        "@timestamp": "any",
        "message": "sign-in refused",
        "level": "WARNING",
        "form": {"name": "admin", "password": "[redacted]"},
        "remote_addr": "127.0.0.1",
    }


def test_a_sign_in_that_succeeds_is_nothing_for_the_siem(siem):
    assert app.test_client().post("/sign-in", json={"name": "amelie", "password": "a long secret"}).status_code == 200

    for handler in security.handlers:
        handler.flush()
    assert siem.events == []


def test_an_outage_of_the_siem_loses_nothing(siem):
    siem.fail_next(2, status=503)

    app.test_client().post("/sign-in", json={"name": "admin", "password": "hunter2"})

    assert [event.message for event in siem.wait_for(1)] == ["sign-in refused"]
