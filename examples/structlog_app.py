"""structlog on top of ``logging``: what is bound arrives as fields.

    pip install structlog
    python examples/structlog_app.py

The credentials come from the environment (``HUMIO_INGEST_TOKEN``, ``SEKOIA_INTAKE_KEY``).
"""

import logging

import structlog
import try_it  # noqa: F401 - no account yet? This starts a local intake; delete it in your program.

from loghttp import HumioHECHandler, SekoiaHandler

root = logging.getLogger()
root.setLevel(logging.INFO)
root.addHandler(HumioHECHandler(tags={"env": "prod", "service": "shop"}, sourcetype="shop"))
root.addHandler(SekoiaHandler(fields={"env": "prod", "service": "shop"}, level=logging.WARNING))

structlog.configure(
    processors=[
        structlog.stdlib.filter_by_level,
        structlog.contextvars.merge_contextvars,
        # Not a renderer of text: it hands the bound values to logging as `extra`, and so they become fields.
        structlog.stdlib.render_to_log_kwargs,
    ],
    wrapper_class=structlog.stdlib.BoundLogger,
    logger_factory=structlog.stdlib.LoggerFactory(),
    cache_logger_on_first_use=True,
)
logger = structlog.get_logger("shop.checkout")


def main():
    structlog.contextvars.bind_contextvars(request_id="req-8f14e45f")
    log = logger.bind(cart={"id": 7, "articles": ["mug", "pen"]})
    log.info("checkout started", customer={"id": 42, "country": "FR"})
    log.warning("voucher has expired", voucher="SPRING")
    try:
        float("59,90")
    except ValueError:
        log.exception("checkout failed", step="payment")


if __name__ == "__main__":
    main()
