"""Context variables: what is known of a request is set once, and is a field of every record, in each asyncio task.

    python examples/contextvars_app.py

Needs nothing but loghttp. A filter reads the variables; filters run where the record is logged, so each task's own
values are there. ``taskName`` says which task it was (Python 3.12 and newer).
"""

import asyncio
import logging
from contextvars import ContextVar

import try_it  # noqa: F401 - no account yet? This starts a local intake; delete it in your program.

from loghttp import DEFAULT_ATTRIBUTES, HumioHECHandler, SekoiaHandler

request_id = ContextVar("request_id", default=None)
customer = ContextVar("customer", default=None)


class Context(logging.Filter):
    """On the handlers, not on a logger: a logger's filters do not see what its children log."""

    def filter(self, record):
        record.request_id = request_id.get()
        record.customer = customer.get()
        return True


attributes = [*DEFAULT_ATTRIBUTES, "taskName"]
humio = HumioHECHandler(tags={"env": "prod", "service": "shop"}, sourcetype="shop", attributes=attributes)
sekoia = SekoiaHandler(fields={"env": "prod", "service": "shop"}, level=logging.WARNING, attributes=attributes)

root = logging.getLogger()
root.setLevel(logging.INFO)
for handler in (humio, sekoia):
    handler.addFilter(Context())
    root.addHandler(handler)
logger = logging.getLogger("shop.orders")


async def order(number):
    request_id.set(f"req-{number}")
    customer.set({"id": number * 6, "country": "FR"})
    logger.info("order %d received", number)
    await asyncio.sleep(0)  # here the other task runs, with its own values
    logger.warning("order %d is late", number)


async def main():
    await asyncio.gather(*(asyncio.create_task(order(number), name=f"order-{number}") for number in (7, 8)))


if __name__ == "__main__":
    asyncio.run(main())
