"""Both handlers from a dictionary, with ``logging.config.dictConfig``.

    python examples/dict_config.py

Needs nothing but loghttp. The credentials come from the environment (``HUMIO_INGEST_TOKEN``,
``SEKOIA_INTAKE_KEY``), so the configuration can be committed as it is.
"""

import logging
import logging.config

import try_it  # noqa: F401 - no account yet? This starts a local intake; delete it in your program.

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "handlers": {
        "humio": {
            "class": "loghttp.HumioHECHandler",
            "sourcetype": "shop",
            "tags": {"env": "prod", "service": "shop"},
            "tag_attributes": ["level"],
            "redact": ["card_number"],
        },
        "sekoia": {
            "class": "loghttp.SekoiaHandler",
            "level": "WARNING",  # a SIEM is paid by volume: only what a security team looks at
            "fields": {"env": "prod", "service": "shop"},
            "redact": ["card_number"],
        },
    },
    "root": {"level": "INFO", "handlers": ["humio", "sekoia"]},
}
logging.config.dictConfig(LOGGING)
logger = logging.getLogger("shop.orders")


def charge(order):
    raise ConnectionError(f"the bank did not answer for order {order['id']}")


def main():
    order = {"id": 1042, "customer": {"id": "c-7", "country": "FR"}, "total": 59.9}
    # Everything in `extra` arrives as fields to search for: order.id, order.customer.country, ...
    logger.info("order %s placed", order["id"], extra={"order": order, "articles": ["mug", "pen"]})
    logger.warning("only %d left of %s", 2, "mug", extra={"article": {"name": "mug", "stock": 2}})
    try:
        charge(order)
    except ConnectionError:
        logger.exception("payment failed", extra={"order": order, "card_number": "4970 1000 0000 0055"})


if __name__ == "__main__":
    main()
