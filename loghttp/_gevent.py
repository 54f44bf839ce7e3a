"""At home under gevent, which looks up names on threads of its own.

Rule: where gevent is not loaded, nothing happens here. CPython 3.12 starts no thread any more once the interpreter is
going down, so a program's last request failed at its first step; then, and only then, names are looked up on our own.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable
from typing import Any, TypeVar

_T = TypeVar("_T")


def looking_up_here_if_need_be(post: Callable[[], _T]) -> _T:
    """`post()`; where gevent cannot start a thread for it, once more without. Nothing had been sent by then."""
    gevent: Any = sys.modules.get("gevent")
    try:
        return post()
    except RuntimeError as error:
        if gevent is None or "interpreter shutdown" not in str(error):
            raise
    hub = gevent.get_hub()
    resolver, hub.resolver = hub.resolver, importlib.import_module("gevent.resolver.blocking").Resolver(hub)
    try:
        return post()
    finally:
        hub.resolver = resolver
