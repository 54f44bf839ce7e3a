"""One check per kind of argument: what comes back is usable, what is not raises `ConfigurationError`.

Rule: pure. Each message names the parameter, what it must be, and what it was; a secret's value is never
repeated. Values may come from Python, YAML, JSON or INI.
"""

from __future__ import annotations

import logging
import math
import os
import re
from collections.abc import Callable, Iterable, Mapping
from functools import wraps
from pathlib import Path
from typing import Any, Final, ParamSpec
from urllib.parse import SplitResult, urlsplit

from loghttp._errors import ConfigurationError

YEAR: Final = 366 * 86_400  # seconds; operating systems do not wait for any longer time
_HEADER_NAME: Final = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")  # token, RFC 9110 section 5.6.2
_OWN_HEADERS: Final = frozenset(
    {"user-agent", "authorization", "content-type", "content-encoding", "content-length", "transfer-encoding", "host"}
)


P = ParamSpec("P")


def shows_no_arguments(constructor: Callable[P, None]) -> Callable[P, None]:
    """Raise a `ConfigurationError`, or a warning, anew, so that no frame of its traceback holds an argument.

    Tools that show a traceback with local variables (error pages, cgitb, rich) would print the token.
    """

    @wraps(constructor)
    def checked(*args: P.args, **kwargs: P.kwargs) -> None:
        try:
            return constructor(*args, **kwargs)
        except (ConfigurationError, Warning) as error:
            anew = type(error)(str(error))
        del args, kwargs
        raise anew

    return checked


class Secret:
    """A token or key that no repr, traceback or pickle shows; `reveal()` gives it."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        return self._value

    def __repr__(self) -> str:
        return "<secret>"

    def __reduce__(self) -> str:
        raise TypeError("a secret is not pickled")


def secret(name: str, value: object, variable: str) -> Secret:
    """The argument, else the environment variable; white space around it (a mounted file's newline) goes."""
    if value is not None and not isinstance(value, str):
        raise ConfigurationError(f"{name} must be text, not {type(value).__name__}")
    text = (value or os.environ.get(variable) or "").strip()
    if not text:
        raise ConfigurationError(f"{name} is missing: pass {name}=... or set the environment variable {variable}")
    if not all("!" <= character <= "~" for character in text):
        raise ConfigurationError(
            f"{name} holds a character that no HTTP header may hold (white space inside it, a control or a"
            " non-ASCII character); its value is not shown here. Copy it again from the intake's page"
        )
    return Secret(text)


def base_url(value: object, variable: str, default: str) -> SplitResult:
    """An http(s) URL; credentials, a query or a fragment in it are refused.

    Its value is never repeated: tokens get into it by swapped arguments, and passwords by habit.
    """
    if value is not None and not isinstance(value, str):
        raise ConfigurationError(f"url must be text such as {default!r}, not {type(value).__name__}")
    url = (value or os.environ.get(variable) or default).strip()
    try:
        parts = urlsplit(url)
        _ = parts.port  # raises for a port that is no number
    except ValueError:
        raise ConfigurationError(f"url is not a URL such as {default!r} (its value is not shown here)") from None
    if "@" in url:
        raise ConfigurationError("url must not hold credentials (user:password@): they would show in logs")
    host = parts.hostname or ""
    if parts.scheme not in ("http", "https") or not host or not all(" " < character != "\x7f" for character in host):
        raise ConfigurationError(
            f"url must begin with https:// or http:// and name a host, as {default!r} does (its value is not shown"
            " here, for it may hold a secret)"
        )
    if parts.query or parts.fragment:
        raise ConfigurationError("url must not have a ?query or #fragment")
    return parts


def join_url(base: SplitResult, endpoint: str) -> str:
    """`endpoint` under `base`: a prefix is kept, slashes are not doubled, nor is the endpoint."""
    prefix = base.path.rstrip("/")
    path = prefix if endpoint != "/" and prefix.endswith(endpoint) else prefix + endpoint
    return f"{base.scheme}://{base.netloc}{path}"


def one_of(name: str, value: object, allowed: tuple[Any, ...]) -> Any:
    if not any(value is choice or (isinstance(value, str) and value == choice) for choice in allowed):
        choices = ", ".join(repr(choice) for choice in allowed)
        raise ConfigurationError(f"{name} must be one of {choices} (what was given is not shown here)")
    return value


def count(name: str, value: object) -> int:
    if type(value) is not int or value < 1:
        raise ConfigurationError(f"{name} must be a whole number of at least 1, not {value!r}")
    return value


def seconds(name: str, value: object, *, zero: bool = True) -> float:
    number = -1.0
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        number = float(min(value, YEAR + 1))
    if not 0 <= number <= YEAR or (number == 0 and not zero):
        least = "0 or more" if zero else "more than 0"
        raise ConfigurationError(f"{name} must be a number of seconds, {least} and at most a year, not {value!r}")
    return number


def optional_seconds(name: str, value: object) -> float | None:
    return None if value is None else seconds(name, value)


def timeouts(name: str, value: object) -> tuple[float, float]:
    """(connect, read), or one number for both."""
    if isinstance(value, (tuple, list)) and len(value) == 2:
        return seconds(name, value[0], zero=False), seconds(name, value[1], zero=False)
    if type(value) in (int, float):
        return (seconds(name, value, zero=False),) * 2
    raise ConfigurationError(f"{name} must be (connect, read) in seconds, or one number, not {value!r}")


def level(name: str, value: object) -> int:
    if isinstance(value, str) and value.strip().isdigit():
        value = int(value)
    if type(value) is int:
        return value
    number = logging.getLevelName(value) if isinstance(value, str) else None
    if not isinstance(number, int):
        raise ConfigurationError(f"{name} must be a logging level such as 'ERROR' or 40, not {value!r}")
    return number


def text(name: str, value: object) -> str | None:
    """None, or text that is not empty and can be sent."""
    if value is None:
        return None
    if not isinstance(value, str) or not value.strip():
        raise ConfigurationError(f"{name} must be text that is not empty, not {value!r}")
    _encodable(name, value)
    return value


def names(name: str, value: object) -> tuple[str, ...]:
    """A sequence of names; a lone string is refused, for its letters would be taken as names."""
    if isinstance(value, str) or not isinstance(value, Iterable):
        raise ConfigurationError(f"{name} must be a list of names such as ('levelname',), not {value!r}")
    listed = tuple(value)
    for entry in listed:
        if not isinstance(entry, str) or not entry:
            raise ConfigurationError(f"{name} must hold names, not {entry!r}")
        _encodable(name, entry)
    return listed


def mapping(name: str, value: object) -> dict[str, Any]:
    if value is None:
        return {}
    if not isinstance(value, Mapping) or not all(isinstance(key, str) and key for key in value):
        raise ConfigurationError(f"{name} must be a mapping with names as keys, not {type(value).__name__}")
    for key in value:
        _encodable(name, key)
    return dict(value)


def scalars(name: str, value: object) -> dict[str, Any]:
    """A mapping of names to text, finite numbers or booleans."""
    checked = mapping(name, value)
    for key, entry in checked.items():
        if not key.strip("#"):
            raise ConfigurationError(f"{name}: {key!r} is no name")
        if isinstance(entry, str):
            _encodable(f"{name}[{key!r}]", entry)
        elif not (type(entry) is bool or _is_json_number(entry)):
            raise ConfigurationError(
                f"{name}[{key!r}] must be text, a boolean, or a number that is finite and within 64 bits"
            )
    return checked


def headers(name: str, value: object) -> dict[str, str]:
    """Extra request headers: legal ones, and none of those that the handler sets itself."""
    checked = mapping(name, value)
    for key, entry in checked.items():
        if not _HEADER_NAME.fullmatch(key):
            raise ConfigurationError(f"{name}: {key!r} is not a legal header name")
        if key.lower() in _OWN_HEADERS:
            raise ConfigurationError(f"{name}: {key} is set by the handler itself and cannot be given here")
        if not isinstance(entry, str) or not all(" " <= character <= "~" for character in entry):
            raise ConfigurationError(f"{name}[{key!r}] must be printable ASCII text (its value is not shown here)")
    return checked


def verify(name: str, value: object) -> bool | str:
    """True, False, or the path of a CA bundle or directory that exists."""
    if isinstance(value, bool):
        return value
    return _path(name, value, "True, False or the path of a CA bundle")


def cert(name: str, value: object) -> str | tuple[str, str] | None:
    """A client certificate: the path of a PEM file with both, or (certificate, key)."""
    what = "the path of a PEM file, or (certificate, key)"
    if value is None:
        return None
    if isinstance(value, (tuple, list)) and len(value) == 2:
        return _path(name, value[0], what), _path(name, value[1], what)
    return _path(name, value, what)


def folder(name: str, value: object) -> str | None:
    """A folder's path; it need not exist yet, and "~" is the home folder."""
    if value is None:
        return None
    if not isinstance(value, (str, os.PathLike)) or not os.fspath(value):
        raise ConfigurationError(f"{name} must be the path of a folder, not {value!r}")
    return str(Path(value).expanduser().absolute())


def flag(name: str, value: object) -> bool:
    if not isinstance(value, bool):
        raise ConfigurationError(f"{name} must be True or False, not {value!r}")
    return value


def proxies(name: str, value: object) -> dict[str, str] | None:
    """As in requests: {"https": "http://user:password@proxy:3128"}. The values are secrets."""
    if value is None:
        return None
    checked = mapping(name, value)
    for key, entry in checked.items():
        proxy_host(f"{name}[{key!r}]", entry)
    return checked


def proxy_host(name: str, value: object) -> str:
    """`host:port` of a proxy's URL; the URL itself may hold a password and is not shown."""
    try:
        parts = urlsplit(value if isinstance(value, str) and "://" in value else "")
        if parts.hostname and not (parts.path.strip("/") or parts.query or parts.fragment):
            return f"{parts.hostname}:{parts.port}" if parts.port else parts.hostname
    except ValueError:
        pass
    raise ConfigurationError(
        f"{name} must be a proxy's URL such as 'http://user:password@proxy:3128'; special characters in the"
        " password must be percent-encoded (its value is not shown here)"
    )


def _is_json_number(value: object) -> bool:
    if type(value) is int:
        return -(2**63) <= value < 2**63
    return type(value) is float and math.isfinite(value)


def _path(name: str, value: object, what: str) -> str:
    if not isinstance(value, (str, os.PathLike)) or not Path(value).exists():
        raise ConfigurationError(f"{name} must be {what}; {value!r} is no such file")
    return os.fspath(value)


def _encodable(name: str, value: str) -> None:
    try:
        value.encode()
    except UnicodeEncodeError:
        raise ConfigurationError(f"{name} holds a lone surrogate, which no JSON text can carry") from None
