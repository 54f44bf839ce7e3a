"""The little shop whose records `loghttp demo` sends: plain `logging`, as in anybody's program."""

from __future__ import annotations

import logging
from typing import Any

http = logging.getLogger("shop.http")
accounts = logging.getLogger("shop.accounts")
orders = logging.getLogger("shop.orders")


def open_for_a_moment() -> None:
    """A moment of business: eight records, the last with a traceback, two with a password among their extras."""
    amelie = {"id": 42, "name": "amelie", "country": "FR"}
    basket = {"id": "b-7", "items": ["mug", "pen"], "total": 59.9}

    http.info("GET /mugs", extra={"status": 200, "duration_ms": 12.4})
    sign_in(amelie, "hunter2")
    http.info("POST /basket", extra={"status": 201, "duration_ms": 31.8, "user": amelie})
    orders.info("basket %s is ready", basket["id"], extra={"user": amelie, "basket": basket})
    orders.warning("only %d left of %s", 2, "mug", extra={"article": {"name": "mug", "stock": 2}})
    refuse({"name": "admin", "password": "letmein-1999"})
    http.warning("POST /checkout is slow", extra={"status": 200, "duration_ms": 2904.6, "user": amelie})
    try:
        charge(basket)
    except ConnectionError:
        orders.exception("payment failed", extra={"basket": basket, "card": {"brand": "visa", "last4": "0055"}})


def sign_in(user: dict[str, Any], password: str) -> None:
    accounts.info("%s signed in", user["name"], extra={"user": user, "password": password})


def refuse(form: dict[str, str]) -> None:
    accounts.warning("sign-in refused", extra={"form": form, "attempts": 5, "remote_addr": "203.0.113.9"})


def charge(basket: dict[str, Any]) -> None:
    ask_the_bank(basket["total"])


def ask_the_bank(amount: float) -> None:
    raise ConnectionError(f"no answer for {amount} EUR")
