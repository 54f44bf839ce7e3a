"""Reads a logging configuration, of a file or of Django's settings, into a `Plan`: our handlers made, all else not.

Rule: looking must not touch what the program owns. Other people's handlers are not made (a FileHandler with mode "w"
would empty a log), `logging` itself is not configured, and ours are made without their spool, whose backlog they
would deliver. No line of the file is repeated in an error, for a token may stand in it.
"""

from __future__ import annotations

import importlib
import json
import logging.config
import sys
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from loghttp import ConfigurationError, HumioHECHandler, SekoiaHandler
from loghttp._checks import level as checked_level
from loghttp._handler import HTTPHandler
from loghttp._spool import fingerprint
from loghttp.cli._check_event import PATIENCE
from loghttp.cli._check_ini import read_ini
from loghttp.cli._check_routes import Logger, Made, Plan

_OURS: Final = (HumioHECHandler, SekoiaHandler)
_SECTIONS: Final = ("logging", "LOGGING", "log_config")
"""Where a file for more than logging has it."""


class Unusable(Exception):  # noqa: N818  it reads as what it says
    """The configuration cannot be used; the text says where and why, and repeats nothing of it."""


def of_file(path: Path) -> dict[str, Any]:
    """The `dictConfig` schema in a YAML, JSON or TOML file, or what an INI file says, in that schema."""
    try:
        content = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise Unusable(f"{path}: {error.strerror if isinstance(error, OSError) else 'it is not UTF-8'}") from None
    readers: dict[str, Callable[[str], Any]] = {
        **{".yaml": _yaml, ".yml": _yaml, ".json": _json, ".toml": _toml},
        **{".ini": _ini, ".cfg": _ini, ".conf": _ini},
    }
    if path.suffix.lower() not in readers:
        raise Unusable(f"{path}: the name must end in .yaml, .json, .toml or .ini, for that says what it is")
    try:
        config = readers[path.suffix.lower()](content)
    except Unusable as error:
        raise Unusable(f"{path}: {error}") from None
    if isinstance(config, dict) and "version" not in config:
        config = next((config[name] for name in _SECTIONS if isinstance(config.get(name), dict)), config)
    if not isinstance(config, dict) or config.get("version") != 1:
        raise Unusable(f"{path}: no logging configuration is in it (dictConfig's begins with version: 1)")
    return config


def of_django(module: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """What Django's settings make of logging: Django's own part, which comes first, and LOGGING."""
    try:
        importlib.import_module("django")
        settings = importlib.import_module(module)
    except ModuleNotFoundError as error:
        raise Unusable(f"the module {error.name!r} cannot be imported from here") from None
    except Exception as error:  # noqa: BLE001  the settings are the user's own code
        raise Unusable(f"{module} cannot be imported: {type(error).__name__}: {error}") from None
    default: dict[str, Any] = importlib.import_module("django.utils.log").DEFAULT_LOGGING

    how = getattr(settings, "LOGGING_CONFIG", "logging.config.dictConfig")
    if how != "logging.config.dictConfig":
        raise Unusable(f"{module}: LOGGING_CONFIG is {how!r}, so Django does not configure logging from LOGGING")
    config = getattr(settings, "LOGGING", None)
    if not isinstance(config, dict) or config.get("version") != 1:
        raise Unusable(f"{module}: LOGGING is missing, or its version is not 1")
    return default, config


def plan(config: Mapping[str, Any], before: Mapping[str, Any] | None = None) -> tuple[Plan, dict[str, str], list[str]]:
    """The plan; what is wrong, by the name of the handler or logger; and the warnings of our handlers.

    `before` is what has been configured before this, as Django's own part is.
    """
    wrong: dict[str, str] = {}
    made = Plan(disables_others=bool(config.get("disable_existing_loggers", True)))
    with importable_from_here(), warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", UserWarning)
        configurator = _Configurator(config)
        for name in config.get("handlers", {}):
            try:
                made.handlers[name] = configurator.made(name)
            except Exception as error:  # noqa: BLE001  constructors of anybody run here
                wrong[name] = _told(error)
                made.handlers[name] = Made(name)
    loggers = dict(_loggers(config, wrong))
    earlier = dict(_loggers(before or {}, {}))
    if made.disables_others:
        gone = [name for name in earlier if name and not any(_covers(named, name) for named in loggers if named)]
        made.disabled = tuple(gone)
    else:
        loggers = {**earlier, **loggers}
    made.loggers = {"": Logger(""), **loggers}
    _look_for_unknown(made, config, wrong)
    return made, wrong, [str(warning.message) for warning in caught if warning.category is UserWarning]


def _covers(named: str, name: str) -> bool:
    return name == named or name.startswith(f"{named}.")


def _loggers(config: Mapping[str, Any], wrong: dict[str, str]) -> Iterator[tuple[str, Logger]]:
    entries = {**config.get("loggers", {})}
    if "root" in config:
        entries[""] = config["root"]
    for name, entry in entries.items():
        level = logging.NOTSET
        try:
            level = checked_level("level", entry.get("level", logging.NOTSET))
        except ConfigurationError as error:
            wrong[name or "root"] = str(error)
        propagate = entry.get("propagate", True)
        yield name, Logger(name, level, propagate is None or bool(propagate), tuple(entry.get("handlers") or ()))


def _look_for_unknown(made: Plan, config: Mapping[str, Any], wrong: dict[str, str]) -> None:
    for name, entry in {**config.get("loggers", {}), "": config.get("root", {})}.items():
        unknown = [handler for handler in entry.get("handlers") or () if handler not in made.handlers]
        if unknown:
            wrong[name or "root"] = f"it names the handler {unknown[0]!r}, which is not among the handlers"


class _Configurator(logging.config.DictConfigurator):
    """The standard library's, asked for single objects; it configures nothing."""

    def __init__(self, config: Mapping[str, Any]) -> None:
        super().__init__(dict(config))
        self._built: dict[str, dict[str, Any]] = {}

    def made(self, name: str) -> Made:
        """One handler: ours made as the program would, somebody else's only described."""
        entry = self.config["handlers"][name]
        level = checked_level("level", entry.get("level") or logging.NOTSET)
        factory = entry.get("()") or entry.get("class")
        if factory is None:
            raise Unusable("it has no class")
        kind = self.resolve(factory) if isinstance(factory, str) else factory
        if isinstance(kind, type) and not issubclass(kind, _OURS):
            behind = [entry.get("target"), *(entry.get("handlers") or ())]
            return Made(name, level, passes_to=tuple(other for other in behind if isinstance(other, str)))
        with _impatient():
            handler = self._handler(dict(entry))
        if not isinstance(handler, HTTPHandler):  # what a function of the user's has made
            handler.close()
            return Made(name, level)
        return Made(name, handler.level, handler, fingerprint(handler._intake.url, handler._intake.secrets))

    def _handler(self, entry: dict[str, Any]) -> logging.Handler:
        for kind, build in (("formatter", self.configure_formatter), ("filters", self.configure_filter)):
            group = "formatters" if kind == "formatter" else "filters"
            names = entry.get(kind) or ()
            for name in (names,) if isinstance(names, str) else names:
                if not isinstance(name, str) or name in self._built.setdefault(group, {}):
                    continue
                if name not in self.config.get(group, {}):
                    raise Unusable(f"it names {name!r}, which is not among the {group}")
                self._built[group][name] = self.config[group][name] = build(self.config[group][name])
        if "args" in entry:  # of an INI file
            return _of_ini(self.resolve, entry, self.config)
        return self.configure_handler(entry)  # type: ignore[no-any-return,no-untyped-call,unused-ignore]


def _of_ini(resolve: Callable[[str], Any], entry: dict[str, Any], config: Mapping[str, Any]) -> logging.Handler:
    handler: logging.Handler = resolve(entry["class"])(*entry["args"], **entry["kwargs"])
    if entry.get("level"):
        handler.setLevel(entry["level"])
    if entry.get("formatter"):
        handler.setFormatter(config["formatters"][entry["formatter"]])
    return handler


@contextmanager
def _impatient() -> Iterator[None]:
    """Handlers of ours that are made meanwhile try once, and have no spool."""
    init = HTTPHandler.__init__

    def made_for_a_look(self: HTTPHandler, intake: Any, reader: Any, options: Any, level: Any) -> None:
        init(self, intake, reader, replace(options, spool_dir=None, **PATIENCE), level)
        self.wanted_spool = options.spool_dir  # type: ignore[attr-defined]  # for the step that looks at it

    HTTPHandler.__init__ = made_for_a_look  # type: ignore[method-assign]
    try:
        yield
    finally:
        HTTPHandler.__init__ = init  # type: ignore[method-assign]


@contextmanager
def importable_from_here() -> Iterator[None]:
    """The program's own modules are found as `python -m` finds them: from the current folder."""
    here = str(Path.cwd())
    sys.path.insert(0, here)
    try:
        yield
    finally:
        with suppress(ValueError):
            sys.path.remove(here)


def _told(error: BaseException) -> str:
    """The innermost reason, without what may be a secret: values of the configuration stand in other errors' texts."""
    while error.__cause__ is not None:
        error = error.__cause__
    if isinstance(error, (ConfigurationError, Unusable, ImportError)):
        return str(error)
    if isinstance(error, TypeError) and "unexpected keyword argument" in str(error):
        return str(error)
    return f"it cannot be made: {type(error).__name__}"


def _yaml(content: str) -> Any:
    try:
        yaml = importlib.import_module("yaml")
    except ModuleNotFoundError:
        raise Unusable("reading YAML needs PyYAML: pip install pyyaml") from None
    try:
        return yaml.safe_load(content)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        raise Unusable("it is not YAML" + (f": see line {mark.line + 1}" if mark else "")) from None


def _json(content: str) -> Any:
    try:
        return json.loads(content)
    except ValueError as error:
        line = f": see line {error.lineno}" if isinstance(error, json.JSONDecodeError) else ""
        raise Unusable(f"it is not JSON{line}") from None


def _toml(content: str) -> Any:
    for name in ("tomllib", "tomli"):
        with suppress(ModuleNotFoundError):
            toml = importlib.import_module(name)
            break
    else:
        raise Unusable("reading TOML needs Python 3.11, or: pip install tomli")
    try:
        return toml.loads(content)
    except ValueError as error:
        where = str(error).rpartition("(")[2].rstrip(")")
        raise Unusable(f"it is not TOML: see {where if where.startswith('at ') else 'its syntax'}") from None


def _ini(content: str) -> Any:
    try:
        return read_ini(content)
    except ValueError as error:
        raise Unusable(str(error)) from None
