"""Two views: one logs with extras, the other raises."""

import logging

from django.http import JsonResponse

logger = logging.getLogger(__name__)


def order(_, number):
    customer = {"id": 42, "name": "amelie", "password": "hunter2"}
    extra = {"order": {"id": number, "articles": ["mug", "pen"]}, "customer": customer}
    logger.info("order %d shown", number, extra=extra)
    if number > 1000:
        logger.warning("order %d is not paid", number, extra={"order": {"id": number, "due": 59.9}})
    return JsonResponse({"order": number})


def refund(_, number):
    # Not logged here: Django does, as "Internal Server Error: /refund/...", with the traceback.
    raise LookupError(f"no payment for order {number}")
