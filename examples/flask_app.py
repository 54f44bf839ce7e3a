"""A Flask application whose records carry the request they belong to: URL, method and address as fields.

    pip install flask
    python examples/flask_app.py

then open http://127.0.0.1:5000/orders/1042 and http://127.0.0.1:5000/refund/1042, and stop it with Ctrl-C.
"""

import logging
import os
from logging.config import dictConfig

import try_it  # noqa: F401 - no account yet? This starts a local intake; delete it in your program.
from flask import Flask, has_request_context, request


class RequestContext(logging.Filter):
    """What Flask's documentation does with a formatter, as fields: one can search for them."""

    def filter(self, record):
        if has_request_context():
            record.url = request.url
            record.method = request.method
            record.remote_addr = request.remote_addr
        return True


dictConfig(
    {
        "version": 1,
        "disable_existing_loggers": False,
        "filters": {"request": {"()": RequestContext}},
        "handlers": {
            "console": {"class": "logging.StreamHandler"},
            "humio": {
                "class": "loghttp.HumioHECHandler",
                "filters": ["request"],
                "sourcetype": "shop",
                "tags": {"env": "prod", "service": "shop"},
            },
            "sekoia": {
                "class": "loghttp.SekoiaHandler",
                "filters": ["request"],
                "level": "WARNING",
                "fields": {"env": "prod", "service": "shop"},
            },
        },
        # The development server colours its access log for a terminal: it stays there.
        "loggers": {"werkzeug": {"handlers": ["console"], "propagate": False}},
        "root": {"level": "INFO", "handlers": ["humio", "sekoia"]},
    }
)
app = Flask(__name__)


@app.get("/orders/<int:number>")
def order(number):
    app.logger.info("order %d shown", number, extra={"order": {"id": number, "articles": ["mug", "pen"]}})
    if number > 1000:
        app.logger.warning("order %d is not paid", number, extra={"order": {"id": number, "due": 59.9}})
    return {"order": number}


@app.get("/refund/<int:number>")
def refund(number):
    raise LookupError(f"no payment for order {number}")


if __name__ == "__main__":
    app.run(host="127.0.0.1", port=int(os.environ.get("PORT", "5000")))
