"""loghttp ships Python's standard `logging` to HTTP log intakes.

Your program never waits, never breaks, and every record is accounted for.

    import logging
    from loghttp import HumioHECHandler

    logging.getLogger().addHandler(HumioHECHandler(token="..."))
"""

from loghttp._entry import DEFAULT_ATTRIBUTES
from loghttp._errors import ConfigurationError, LoghttpError
from loghttp._options import DeliveryOptions
from loghttp._stats import DROP_REASONS, Stats
from loghttp.handlers import HumioHECHandler, SekoiaHandler

__all__ = [
    "DEFAULT_ATTRIBUTES",
    "DROP_REASONS",
    "ConfigurationError",
    "DeliveryOptions",
    "HumioHECHandler",
    "LoghttpError",
    "SekoiaHandler",
    "Stats",
]
