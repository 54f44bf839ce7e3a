"""`loghttp check`: are URL, token, proxy and certificate right, and does a configuration send everything once?

Rule: the real handler sends one event, and it is the judge; the way to the intake is looked at beside it, to say why.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import click

from loghttp.cli import _check_config as configuration
from loghttp.cli import _destination
from loghttp.cli._check_event import PATIENCE, Trial
from loghttp.cli._check_page import Page
from loghttp.cli._check_probe import Way, probe
from loghttp.cli._check_routes import Finding, findings, where
from loghttp.cli._check_step import Step
from loghttp.cli._output import heard

_TIMEOUT: Final = 10.0
_UNDELIVERED, _USAGE, _MISROUTED = 1, 2, 3


@click.command(short_help="Find out whether URL, token, proxy and certificate are right.")
@click.argument("intake", metavar="[humio|sekoia]", type=click.Choice(list(_destination.NAMES)), required=False)
@_destination.options
@click.option("--config", metavar="FILE", type=click.Path(path_type=Path), help="Check a logging configuration.")
@click.option("--django", metavar="MODULE", help="Check LOGGING of Django's settings, for example mysite.settings.")
@click.option(
    "--timeout",
    metavar="SECONDS",
    type=click.FloatRange(min=0, min_open=True),
    default=_TIMEOUT,
    help="Wait so long for each step.  [default: 10]",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document, for programs.")
def check(
    intake: str | None, config: Path | None, django: str | None, timeout: float, as_json: bool, **given: Any
) -> None:
    """Send one test event, and tell step by step how it went and what to do.

    Name, connection, proxy, certificate, and the intake's own answer: the event goes through the same handler that a
    program has, once, and can be found in the intake by its field loghttp_check. Proxies and CA bundles are taken
    from the environment, as handlers take them.

    With --config or --django, every loghttp handler of that configuration sends one test event, and the loggers are
    looked at: what would be sent twice, and what never. Other people's handlers are not made and nothing is written.
    FILE is YAML, JSON, TOML or INI.

    The token comes from HUMIO_INGEST_TOKEN or SEKOIA_INTAKE_KEY, or from --token-file; it has no option of its own,
    since arguments show in `ps`.

    \b
    For example:
      $ export HUMIO_INGEST_TOKEN=...
      $ loghttp check humio
      $ loghttp check --django mysite.settings

    \b
    Exit status:
      0    delivered
      1    not delivered
      2    the command was not understood, or settings are missing or wrong
      3    delivered, but the configuration sends something twice, or never
      130  stopped by Ctrl-C
    """
    chosen = [option for option in (intake, config, django) if option is not None]
    if len(chosen) != 1:
        raise click.UsageError("give one of these: humio, sekoia, --config FILE, --django MODULE.")
    if intake is None and any(value is not None for value in given.values()):
        raise click.UsageError("with --config or --django, all is in the configuration: no other option goes with it.")
    report = _Report(None if as_json else Page())
    if intake is not None:
        handler, warned = _destination.handler(intake, **given, timeout=timeout, **PATIENCE)
        report.check(_destination.TITLES[intake], handler, warned, timeout)
    else:
        _check_configuration(report, config, django, timeout)
    report.end()
    if as_json:
        click.echo(json.dumps(report.as_json(), indent=2))
    click.get_current_context().exit(report.status)


def _check_configuration(report: _Report, config: Path | None, django: str | None, timeout: float) -> None:
    try:
        with configuration.importable_from_here():
            before: Mapping[str, Any] | None = None
            if config is not None:
                what = configuration.of_file(config)
            else:
                before, what = configuration.of_django(django or "")
            plan, wrong, warned = configuration.plan(what, before)
    except configuration.Unusable as error:
        raise click.UsageError(str(error)) from None
    report.wrong(wrong)
    report.notes(warned)
    for made in plan.ours:
        feeds = where(plan, made)
        title = f"handler {made.name!r}" + (f", fed by {feeds}" if feeds else "")
        report.check(title, made.handler, [], timeout)
    report.found(findings(plan) if plan.ours or not wrong else [])


class _Report:
    """What has been found so far; shown as it is found where there is a page."""

    def __init__(self, page: Page | None) -> None:
        self._page = page
        self._checks: list[dict[str, Any]] = []
        self._wrong: dict[str, str] = {}
        self._findings: list[Finding] = []

    @property
    def delivered(self) -> bool:
        return all(entry["delivered"] for entry in self._checks)

    @property
    def status(self) -> int:
        if self._wrong:
            return _USAGE
        if not self.delivered:
            return _UNDELIVERED
        return _MISROUTED if any(finding.kind != "note" for finding in self._findings) else 0

    def check(self, title: str, handler: Any, warned: list[str], timeout: float) -> None:
        """Send the event, and look at the way while it is under way."""
        way = replace(Way.of(handler), timeout=timeout)
        if self._page:
            self._page.title(title, way.url)
        steps: list[Step] = []

        def tell(step: Step) -> None:
            steps.append(step)
            if self._page:
                self._page.step(step)

        for warning in warned:
            tell(Step("settings", "note", warning))
        said: list[str] = []
        with heard(said.append):
            trial = Trial.send(handler, said)
            for step in probe(way):
                tell(step)
            if trial.filtered:
                tell(Step("filter", "note", "a filter of the handler holds the test event back; sent past it"))
            explained = any(step.outcome == "failed" for step in steps)
            tell(trial.wait(way.url, sum(handler._options.timeout) + timeout, explained=explained))
        if folder := getattr(handler, "wanted_spool", None):
            tell(_spool(Path(folder)))
        delivered = bool(handler.stats().delivered)
        self._checks.append(
            {
                "title": title,
                "url": way.url,
                "proxy": way.proxy_name or None,
                "delivered": delivered,
                "search_for": {"loghttp_check": trial.mark},
                "steps": [step.as_json() for step in steps],
            }
        )
        if self._page:
            self._page.blank()

    def wrong(self, reasons: dict[str, str]) -> None:
        self._wrong = reasons
        if self._page and reasons:
            for name, reason in reasons.items():
                self._page.finding("failed", name, reason, "")
            self._page.blank()

    def notes(self, warned: list[str]) -> None:
        for warning in warned:
            self.found([Finding("note", "settings", warning)])

    def found(self, findings: list[Finding]) -> None:
        self._findings += findings
        for finding in findings:
            if self._page:
                mark = "note" if finding.kind == "note" else "failed"
                about = {"twice": "sent twice", "nothing": "never sent", "note": "logging"}[finding.kind]
                self._page.finding(mark, about, finding.text, finding.advice)

    def end(self) -> None:
        if not self._page:
            return
        if self._findings:
            self._page.blank()
        self._page.verdict(self._words(), self.status == 0)

    def _words(self) -> str:
        arrived = sum(entry["delivered"] for entry in self._checks)
        if self._wrong:
            return "The configuration cannot be used as it is."
        if not self.delivered:
            return "Not delivered." if len(self._checks) == 1 else f"{arrived} of {len(self._checks)} delivered."
        if self.status == _MISROUTED:
            return "Delivered, but see above: something is sent twice, or never."
        return "Delivered." if len(self._checks) == 1 else f"All {arrived} delivered."

    def as_json(self) -> dict[str, Any]:
        return {
            "ok": self.status == 0,
            "status": self.status,
            "handlers": self._checks,
            "wrong": self._wrong,
            "findings": [finding.as_json() for finding in self._findings],
        }


def _spool(folder: Path) -> Step:
    """Whether a handler could use its spool folder; nothing is made."""
    there = folder
    with suppress(OSError):
        while not there.exists() and there != there.parent:
            there = there.parent
    if there.is_dir() and os.access(there, os.W_OK | os.X_OK):
        made = "" if there == folder else ", which the handler makes when it starts"
        return Step("spool", "ok", f"{folder} can be written{made}")
    advice = f"Give {there} to the user that the program runs as; until then events wait in memory only."
    return Step("spool", "note", f"{folder} cannot be written by this user", advice)
