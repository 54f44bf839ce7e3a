"""Who may see the page of `loghttp serve`, and who may change something: answered from a request's headers.

Rule: other pages in the same browser may be hostile. Without a token only loopback names are answered, for a name that
is rebound to 127.0.0.1 is not one; what changes something must come from the page itself. Pure.
"""

from __future__ import annotations

import hashlib
import hmac
from email.message import Message
from http.cookies import CookieError, SimpleCookie
from typing import Final, TypeAlias
from urllib.parse import urlsplit

Headers: TypeAlias = "Message[str, str]"  # what http.server makes of them

_LOOPBACK_NAMES: Final = frozenset({"localhost", "127.0.0.1", "::1"})


class Gate:
    """The gate of the page on `port`; `token` is what it demands. None: nothing, but then only loopback names."""

    def __init__(self, token: str | None, port: int) -> None:
        self._token = token
        self._cookie = f"loghttp-{port}"  # cookies know no ports, so another serve has another name
        # Good for this token, and tells nothing of it.
        self._pass = hmac.new((token or "").encode(), b"loghttp serve", hashlib.sha256).hexdigest()

    def knows_name(self, headers: Headers) -> bool:
        """Whether this machine was asked for by a name of its own; with a token any will do, cookies keep to theirs."""
        return self._token is not None or host_name(headers) in _LOOPBACK_NAMES

    def is_our_page(self, headers: Headers) -> bool:
        """Whether no page of another origin has sent this. Programs, which have no origin, may."""
        origin = headers.get("Origin")
        same_origin = origin is None or origin == f"http://{headers.get('Host')}"
        return same_origin and headers.get("Sec-Fetch-Site", "none") in {"same-origin", "none"}

    def admits(self, headers: Headers) -> bool:
        """Whether a request bears the token, or the cookie that was given for it."""
        if self._token is None:
            return True
        try:
            cookie = SimpleCookie(headers.get("Cookie", "")).get(self._cookie)
        except CookieError:
            cookie = None
        scheme, _, bearer = headers.get("Authorization", "").partition(" ")
        return (cookie is not None and _same(cookie.value, self._pass)) or (
            scheme == "Bearer" and _same(bearer, self._token)
        )

    def cookie_for(self, token: str) -> str | None:
        """What to set for a visitor who shows `token`; None if it is not ours."""
        if self._token is None or not _same(token, self._token):
            return None
        return f"{self._cookie}={self._pass}; Path=/; HttpOnly; SameSite=Strict"


def host_name(headers: Headers) -> str | None:
    """The name, without its port, by which a request calls this machine."""
    try:
        return urlsplit(f"//{headers.get('Host', '')}").hostname
    except ValueError:
        return None


def _same(given: str, wanted: str) -> bool:
    """Compared in a time that tells nothing."""
    return hmac.compare_digest(given.encode("utf-8", "surrogateescape"), wanted.encode())
