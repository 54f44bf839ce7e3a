"""An INI file for `logging.config.fileConfig`, as the schema of `dictConfig`; `args` and `kwargs` stay apart.

Rule: pure, but for what `fileConfig` itself evaluates: `args` and `kwargs`, in the namespace of `logging`.
"""

from __future__ import annotations

import configparser
import functools
import logging
import logging.handlers
from collections.abc import Mapping
from typing import Any


def read_ini(content: str) -> dict[str, Any]:
    """The configuration. Raises ValueError, whose text repeats nothing of the file but names."""
    parser = configparser.ConfigParser()
    try:
        parser.read_string(content)
    except configparser.Error as error:
        number = getattr(error, "lineno", None) or next((line for line, _ in getattr(error, "errors", ())), None)
        raise ValueError("it is not INI" + (f": see line {number}" if number else "")) from None
    try:
        return {
            "version": 1,
            "disable_existing_loggers": True,
            "formatters": {name: _formatter(parser[f"formatter_{name}"]) for name in _keys(parser, "formatters")},
            "handlers": {name: _handler(name, parser[f"handler_{name}"]) for name in _keys(parser, "handlers")},
            "loggers": dict(_logger(parser[f"logger_{name}"]) for name in _keys(parser, "loggers") if name != "root"),
            "root": _root(parser["logger_root"]),
        }
    except KeyError as error:
        raise ValueError(f"it has no section or key {error}") from None
    except configparser.Error as error:
        raise ValueError(f"a value cannot be read ({type(error).__name__}); a % must be written %%") from None


def _keys(parser: configparser.ConfigParser, section: str) -> list[str]:
    keys = parser[section].get("keys", "") if section in parser else ""
    return _names(keys)


def _names(text: str) -> list[str]:
    return [name.strip() for name in text.split(",") if name.strip()]


def _formatter(section: configparser.SectionProxy) -> dict[str, Any]:
    raw = {name: section.get(name, raw=True) for name in ("format", "datefmt", "style", "class")}
    return {name: value for name, value in raw.items() if value is not None}


def _handler(name: str, section: configparser.SectionProxy) -> dict[str, Any]:
    entry = {
        "class": _class(section["class"]),
        "args": _evaluated(name, "args", section.get("args", "()")),
        "kwargs": _evaluated(name, "kwargs", section.get("kwargs", "{}")),
        "level": section.get("level"),
        "formatter": section.get("formatter"),
        "target": section.get("target"),
    }
    return {key: value for key, value in entry.items() if value not in (None, "")}


def _class(name: str) -> Any:
    """`FileHandler` and `handlers.SysLogHandler` are `logging`'s own; the rest is imported later."""
    try:
        return functools.reduce(getattr, name.split("."), logging)
    except AttributeError:
        return name


def _evaluated(handler: str, name: str, text: str) -> Any:
    try:
        return eval(text, dict(vars(logging)))  # noqa: S307 - as fileConfig does with its user's own file
    except Exception as error:  # noqa: BLE001  any expression may stand there; its text may hold a token
        raise ValueError(
            f"handler {handler!r}: {name} is no Python expression ({type(error).__name__}); texts must be quoted"
        ) from None


def _logger(section: configparser.SectionProxy) -> tuple[str, dict[str, Any]]:
    return section["qualname"], {**_root(section), "propagate": section.getint("propagate", 1) != 0}


def _root(section: Mapping[str, str]) -> dict[str, Any]:
    return {"level": section.get("level", "NOTSET"), "handlers": _names(section.get("handlers", ""))}
