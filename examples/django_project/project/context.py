"""The request that a record belongs to: a middleware remembers it, a filter makes fields of it."""

import logging
from contextvars import ContextVar

_request = ContextVar("request", default=None)


def remember_request(get_response):
    """A middleware; see ``MIDDLEWARE`` in settings.py."""

    def middleware(request):
        token = _request.set(request)
        try:
            return get_response(request)
        finally:
            _request.reset(token)

    return middleware


class RequestContext(logging.Filter):
    """On the handlers; see ``LOGGING`` in settings.py."""

    def filter(self, record):
        if (request := _request.get()) is not None:
            record.method = request.method
            record.path = request.path
            record.remote_addr = request.META["REMOTE_ADDR"]
        return True
