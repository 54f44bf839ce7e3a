"""The page of `loghttp serve` in a real browser: Chromium, driven by its own driver. One session for all tests.

Each test has a server of its own. A test never asks the page once: it waits until the page says what it should.
"""

from __future__ import annotations

import gzip
import http.client
import json
import logging
import re
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("click")
pytest.importorskip("selenium")

from selenium import webdriver
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.keys import Keys

import loghttp
from loghttp.cli._serve_http import PageServer
from loghttp.cli._serve_store import Store
from loghttp.cli.serve import running
from loghttp.testing._server import ReservedPort

BROWSER, DRIVER = shutil.which("chromium"), shutil.which("chromedriver")

pytestmark = [
    pytest.mark.skipif(not (BROWSER and DRIVER), reason="needs Debian's chromium and chromium-driver"),
    pytest.mark.timeout(120),
]

DEADLINE = 20.0  # seconds
DESKTOP, PHONE = (1200, 720), (390, 800)


class Browser:
    """The one browser, and what is asked of it."""

    def __init__(self, profile: Path) -> None:
        options = webdriver.ChromeOptions()
        options.binary_location = BROWSER
        for argument in (
            "--headless=new",
            "--no-sandbox",  # containers run tests as root
            "--disable-gpu",
            "--disable-dev-shm-usage",
            "--disable-background-networking",
            "--disable-extensions",
            "--disable-component-update",
            "--disable-software-rasterizer",
            "--no-first-run",
            "--no-proxy-server",
            f"--user-data-dir={profile}",
        ):
            options.add_argument(argument)
        options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
        self.driver = webdriver.Chrome(options, webdriver.ChromeService(DRIVER))
        self.driver.set_script_timeout(DEADLINE)

    def open(self, page: PageServer, size: tuple[int, int] = DESKTOP, scheme: str = "light", query: str = "") -> None:
        metrics = {"width": size[0], "height": size[1], "deviceScaleFactor": 1, "mobile": size == PHONE}
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
        media = {"features": [{"name": "prefers-color-scheme", "value": scheme}]}
        self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", media)
        self.driver.get(f"http://127.0.0.1:{page.server_port}/{query}")

    def run(self, script: str, *arguments: Any) -> Any:
        return self.driver.execute_script(script, *arguments)

    def until(self, script: str, expected: Any) -> None:
        """Wait until the expression is `expected`, and fail with what it was instead."""
        deadline = time.monotonic() + DEADLINE
        while expected != (found := self.run(f"return {script}")):
            assert time.monotonic() < deadline, f"{script}: {found!r}, not {expected!r}"
            time.sleep(0.05)

    def texts(self, selector: str) -> str:
        """An expression for the texts of what is shown, from top to bottom."""
        top = "(e) => e.getBoundingClientRect().top"
        return (
            f"[...document.querySelectorAll({selector!r})].sort((a, b) => ({top})(a) - ({top})(b))"
            ".map((e) => e.firstChild?.textContent ?? '')"
        )

    def shows(self, *texts: str) -> None:
        """Wait until these are the texts of all events shown, the latest first."""
        self.until(self.texts(".line .text"), list(texts))

    def press(self, *keys: str) -> None:
        ActionChains(self.driver).send_keys(*keys).perform()

    def filter(self, text: str) -> None:
        self.run(
            "const f = document.getElementById('filter'); f.value = arguments[0];f.dispatchEvent(new Event('input'))",
            text,
        )

    def click(self, selector: str) -> None:
        self.driver.find_element("css selector", selector).click()

    def complaints(self, page: PageServer) -> list[str]:
        """What the browser has to say of `page` since it was asked last: errors, and what the policy forbade."""
        messages = [entry["message"] for entry in self.driver.get_log("browser") if entry["level"] == "SEVERE"]
        # The page of the test before may still look for its server, in its last moment.
        another = re.compile(rf"http://127\.0\.0\.1:(?!{page.server_port}/)")
        return [message for message in messages if not another.match(message)]


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    browser = Browser(tmp_path_factory.mktemp("chromium"))
    yield browser
    browser.driver.quit()


@pytest.fixture
def page(browser: Browser) -> Iterator[PageServer]:
    """A server; when the test is over the browser had nothing to complain of."""
    with running("127.0.0.1", (0, 0), None, Store(20_000)) as page:
        yield page
        assert [] == browser.complaints(page)


@pytest.fixture
def send(page: PageServer) -> Callable[..., None]:
    """Sends events in HEC's dialect, in one request."""

    def send(*events: dict[str, Any], headers: dict[str, str] | None = None) -> int:
        body = b"".join(json.dumps(event).encode() for event in events)
        return post(page, body, headers or {})

    return send


def post(page: PageServer, body: bytes, headers: dict[str, str]) -> int:
    address = page.site.intake.intake.url.removeprefix("http://")
    with closing(http.client.HTTPConnection(address, timeout=DEADLINE)) as connection:
        sent = {"Authorization": "Bearer dev-token", "Content-Type": "application/json", **headers}
        connection.request("POST", "/api/v1/ingest/hec", body, sent)
        return connection.getresponse().status


def event(text: str, level: str = "INFO", **fields: Any) -> dict[str, Any]:
    return {"event": text, "time": time.time(), "fields": {"level": level, **fields}}


def test_the_empty_page_says_where_to_send_and_then_shows_both_dialects(browser: Browser, page: PageServer) -> None:
    """What it shows to copy works: what the handlers then send is there at once, and unfolds at a click."""
    browser.open(page)
    browser.until("document.querySelector('#empty .where code')?.textContent", page.site.intake.intake.url)
    settings: dict[str, Any] = {}
    exec(browser.run("return document.querySelector('#empty pre').textContent"), settings)  # noqa: S102 - ours
    options = settings["LOGGING"]["handlers"]["humio"]
    assert "loghttp.HumioHECHandler" == options.pop("class")

    logger = logging.Logger("shop")
    handlers: list[Any] = [
        loghttp.HumioHECHandler(**options | {"tags": {"env": "prod"}, "proxies": {}}),
        loghttp.SekoiaHandler(options["token"], options["url"], proxies={}),
    ]
    for handler in handlers:
        logger.addHandler(handler)
        logger.warning("card declined", extra={"user": {"id": 7}})
        logger.removeHandler(handler)
        assert handler.flush(DEADLINE)
        handler.close()

    browser.shows("card declined", "card declined")
    browser.until(browser.texts(".line .level"), ["WARNING", "WARNING"])
    browser.until(browser.texts(".line .tag"), ["#env=prod"])
    browser.click(".line.sekoia .text")
    names = "[...document.querySelectorAll('.fields dt')].map((e) => [e.textContent, e.nextSibling.textContent])"
    names = f"Object.fromEntries({names})"
    browser.until(f"({names})['user.id']", "7")
    fields = browser.run(f"return {names}")
    assert {"level": "WARNING", "logger": "shop"} == {name: fields[name] for name in ("level", "logger")}
    assert "@timestamp" in fields
    assert "card declined" == browser.run("return document.querySelector('.fields pre').textContent")
    loaded = browser.run("return performance.getEntriesByType('resource').map((e) => e.name)")
    assert {f"127.0.0.1:{page.server_port}"} == {name.split("/")[2] for name in loaded}


def test_the_filter_finds_text_levels_tags_and_fields(
    browser: Browser, page: PageServer, send: Callable[..., None]
) -> None:
    """Each kind of condition finds what it says and nothing else."""
    browser.open(page)
    send(
        event("a card was declined", "WARNING", **{"user.id": 7, "#env": "prod", "name": "Amelie Noir"}),
        event("declined: no card", "ERROR", **{"user.id": 77, "#env": "dev", "status": 503}),
        event("quiet", "DEBUG", **{"status": 200, "note": 'with "quotes"'}),
        {"event": "odd"},
    )
    card, no_card, quiet, odd = "a card was declined", "declined: no card", "quiet", "odd"
    everything = [odd, quiet, no_card, card]
    browser.shows(*everything)
    for wanted, found in {
        "declined card": [no_card, card],
        '"card was"': [card],
        "CARD -was": [no_card],
        "noir": [card],
        "user.id=7": [card],
        "user.id=7*": [no_card, card],
        "user.id=*": [no_card, card],
        "user.id!=7": [odd, quiet, no_card],
        'name="amelie noir"': [card],
        "status>=500": [no_card],
        "status<500": [quiet],
        "level=error": [no_card],
        "level>=warning": [no_card, card],
        "-level=debug": [odd, no_card, card],
        "#env": [no_card, card],
        "#env=prod": [card],
        'text="quiet"': [quiet],
        'note="with *quotes*"': [quiet],
        "dialect=sekoia": [],
        "constructor=x": [],
        "status>=": everything,
        '"': everything,
        "(": [],
        "": everything,
    }.items():
        browser.filter(wanted)
        browser.shows(*found)
    browser.click(".chip.debug")
    browser.shows(odd, no_card, card)
    browser.until("document.querySelector('.chip.debug .count').textContent", "1")
    browser.click(".line.warning .tag")
    browser.until("document.getElementById('filter').value", "#env=prod")
    browser.shows(card)


def test_the_keyboard_does_everything(browser: Browser, page: PageServer, send: Callable[..., None]) -> None:
    """The keys that the help lists do what it says; what is typed into the filter is text."""
    browser.open(page)
    send(event("one"), event("two"), event("three"))
    browser.shows("three", "two", "one")
    selected = "document.querySelector('.selected .text')?.firstChild.textContent ?? null"

    browser.press("j")
    browser.until(selected, "three")
    browser.press("j", "j", "j", "k")
    browser.until(selected, "two")
    browser.press(Keys.ENTER)
    browser.until("document.querySelectorAll('.fields').length", 1)
    send(event("four"))  # who reads is not disturbed
    browser.until("document.getElementById('news').textContent", "↑ 1 new")
    browser.shows("three", "two", "one")
    browser.press("g")
    browser.shows("four", "three", "two", "one")
    browser.until("document.querySelectorAll('.fields').length", 0)

    browser.press(" ")
    browser.until("document.getElementById('pause').textContent", "Go on")
    send(event("five"))
    browser.until("document.getElementById('pause').textContent", "Go on · 1")
    browser.shows("four", "three", "two", "one")
    browser.press(" ")
    browser.shows("five", "four", "three", "two", "one")

    browser.press("/", "two", Keys.ESCAPE)
    browser.shows("two")
    browser.press(Keys.ESCAPE)
    browser.shows("five", "four", "three", "two", "one")
    browser.press("r")
    browser.until("document.querySelectorAll('.request').length", 3)
    browser.press("r", "?")
    browser.until("document.getElementById('keys').open", True)
    keys = browser.run("return [...document.querySelectorAll('#keys kbd')].map((e) => e.textContent)")
    assert {"/", "space", "j", "k", "Enter", "g", "r", "t", "?"} <= set(keys)
    browser.press(Keys.ESCAPE)
    browser.until("document.getElementById('keys').open", False)


HOSTILE = [
    "<script>window.pwned = 1</script>",
    "<img src=x onerror='window.pwned = 1'>",
    "<svg/onload=window.pwned=1>",
    "</pre></div><iframe srcdoc='<script>parent.pwned = 1</script>'></iframe>",
    "javascript:window.pwned=1//\"><a href='javascript:window.pwned=1'>x</a>",
    "{{constructor.constructor('window.pwned=1')()}}",
    "\x1b[2J\x1b]0;title\x07",
    "safe\u202etxt.exe",
]


def test_what_was_logged_is_shown_and_never_run(browser: Browser, page: PageServer, send: Callable[..., None]) -> None:
    """Hostile text, field names, tags, levels, paths and clients are text; what is not seen is made visible."""
    browser.open(page)
    for text in HOSTILE:
        names = {text: text, "#" + text: text, "__proto__": text, "level": text}
        send({"event": text, "host": text, "sourcetype": text, "fields": names})
        send({"event": "x", text: "not a member"}, headers={"User-Agent": re.sub(r"[^ -~]", "", text)})
    body = "document.body.textContent"
    browser.until("document.getElementById('count-events').textContent", str(len(HOSTILE)))
    browser.press(*(["j", Keys.ENTER] * len(HOSTILE)))
    browser.until("document.querySelectorAll('.fields').length > 2", True)
    for text in ("<script>window.pwned = 1</script>", "⟨ESC⟩[2J", "safe⟨U+202E⟩txt.exe", "<svg/onload=window.pwned=1>"):
        browser.until(f"{body}.includes({json.dumps(text)})", True)
    browser.press("g", "r")
    browser.until("document.querySelectorAll('.request .why').length", len(HOSTILE))
    browser.press("r")
    browser.filter(f'"{HOSTILE[1]}"')
    browser.until("document.querySelectorAll('.line').length", 1)

    added = browser.run(
        "return document.querySelectorAll('script, iframe, svg, a, object, embed, base, img:not(.brand img)').length"
    )
    assert 2 == added  # our own two scripts
    assert browser.run("return window.pwned === undefined && ({}).polluted === undefined")
    assert [] == browser.complaints(page)

    # And if a mistake of ours did make elements of text, the policy would not let them run.
    refused = browser.run(
        """
        const made = document.createElement("b");
        document.body.append(made);
        const names = [];
        for (const mistake of [
          () => (made.innerHTML = arguments[0]),
          () => made.setAttribute("onclick", "window.pwned = 1"),
          () => setTimeout("window.pwned = 1"),
        ]) try { names.push(mistake()) } catch (error) { names.push(error.name) }
        made.click();
        return names;
        """,
        HOSTILE[1],
    )
    assert ["TypeError", "TypeError", "TypeError"] == refused
    assert browser.run("return window.pwned === undefined")
    assert 3 <= len(browser.complaints(page))


def test_ten_thousand_events_a_second_do_not_freeze_the_page(browser: Browser, page: PageServer) -> None:
    """While they come, the page draws, filters and unfolds without delay, and holds no more than it says."""
    seconds, rate, part = 3, 10_000, 500
    levels = ["INFO"] * 8 + ["WARNING", "ERROR"]
    lines = [
        json.dumps(event(f"GET /mugs/{number}", levels[number % 10], status=200, **{"user.id": number, "#env": "prod"}))
        for number in range(part)
    ]
    body = gzip.compress("".join(lines).encode())
    browser.open(page)
    browser.until("document.getElementById('empty').hidden", False)
    browser.run(
        """
        window.frames = []; window.busy = [];
        const frame = (now) => { frames.push(now); requestAnimationFrame(frame) };
        requestAnimationFrame(frame);
        new PerformanceObserver((list) => busy.push(...list.getEntries().map((e) => e.duration)))
          .observe({ type: "longtask" });
        """
    )
    took: list[float] = []

    def flood() -> None:
        address = page.site.intake.intake.url.removeprefix("http://")
        headers = {"Authorization": "Bearer dev-token", "Content-Type": "application/json", "Content-Encoding": "gzip"}
        began = time.monotonic()
        with closing(http.client.HTTPConnection(address, timeout=DEADLINE)) as connection:
            for number in range(seconds * rate // part):
                time.sleep(max(began + number * part / rate - time.monotonic(), 0))  # the pace is what is asked for
                connection.request("POST", "/services/collector", body, headers)
                with connection.getresponse() as reply:
                    assert 200 == reply.status
                    reply.read()
        took.append(time.monotonic() - began)

    sender = threading.Thread(target=flood)
    sender.start()
    waits: list[float] = []
    browser.until("document.querySelectorAll('.line').length > 10", True)
    shown = "[...document.querySelectorAll('.line .text')].map((e) => e.firstChild.textContent)"
    fields = "document.querySelectorAll('.fields').length"
    while sender.is_alive():
        for act, argument, answer, expected in (
            (browser.filter, "user.id=7", f"[...new Set({shown})].join()", "GET /mugs/7"),
            (browser.filter, "", f"{shown}.includes('GET /mugs/499')", True),
            (browser.press, "j" + Keys.ENTER, fields, 1),
            (browser.press, "g", fields, 0),
        ):
            asked = time.monotonic()
            act(argument)
            browser.until(answer, expected)
            waits.append(time.monotonic() - asked)
        sender.join(0.2)
    sender.join()
    browser.until("document.getElementById('count-events').textContent", f"{seconds * rate:,}")
    browser.until("document.getElementById('foot-held').textContent", "20,000 held, at most 20,000")

    gaps = browser.run("return frames.slice(1).map((now, at) => now - frames[at])")
    busy = browser.run("return busy")
    told = f"sent in {took} s; waits {waits} s; longest frame {max(gaps):.0f} ms; long tasks {busy} ms"
    assert len(waits) >= 4, told
    assert max(waits) < 5, told
    assert max(busy, default=0) < 1500, told
    assert browser.run("return document.querySelectorAll('*').length") < 1500


def test_the_histogram_is_coloured_by_level_and_a_drag_looks_at_a_part(
    browser: Browser, page: PageServer, send: Callable[..., None]
) -> None:
    """Old events stand left of new ones, errors are red; a drag over some shows those alone, a click all again."""
    browser.open(page)
    now = time.time()
    send(
        {"event": "old", "time": now - 50, "fields": {"level": "ERROR"}},
        {"event": "new", "time": now - 2, "fields": {"level": "INFO"}},
    )
    browser.shows("new", "old")
    colours = """(() => {
        const bars = document.getElementById("bars"), seen = [];
        const { data } = bars.getContext("2d").getImageData(0, 0, bars.width, bars.height);
        for (let at = 0; at < data.length; at += 4) {
          if (!data[at + 3]) continue;
          const left = (at / 4) % bars.width < bars.width / 2;
          seen.push((left ? "left " : "right ") + (data[at] > data[at + 2] ? "red" : "blue"));
        }
        return [...new Set(seen)].sort();
    })()"""
    browser.until(colours, ["left red", "right blue"])
    bars = browser.driver.find_element("id", "bars")
    half = bars.size["width"] // 2
    mouse = ActionChains(browser.driver)
    mouse.move_to_element_with_offset(bars, 5 - half, 0).click_and_hold().move_by_offset(half - 20, 0).release()
    mouse.perform()
    browser.shows("old")
    bars.click()
    browser.shows("new", "old")


def test_light_and_dark_follow_the_system_until_somebody_chooses(browser: Browser, page: PageServer) -> None:
    """The system's theme at first; `t` turns it, and that is remembered."""
    ground = "getComputedStyle(document.body).backgroundColor.match(/\\d+/g).every((part) => part < 80)"
    for scheme in ("dark", "light"):
        browser.open(page, scheme=scheme)
        browser.until(ground, scheme == "dark")
    browser.press("t")
    browser.until(ground, True)
    browser.open(page, scheme="light")
    browser.until(ground, True)
    browser.run("localStorage.clear()")


def test_the_switch_and_the_requests_tell_what_happens(
    browser: Browser, page: PageServer, send: Callable[..., None]
) -> None:
    """A click makes the intake fail, a record arrives when it is healthy again, and a refusal has its reason."""
    browser.open(page)
    browser.until("document.querySelectorAll('#modes button').length", 5)
    browser.click("#modes [data-mode='503']")
    browser.until("document.body.dataset.mode", "503")
    logger = logging.Logger("shop")
    handler = loghttp.HumioHECHandler(page.site.intake.intake.url, "dev-token", flush_interval=0.05, proxies={})
    logger.addHandler(handler)
    logger.warning("kept")
    browser.click("#tab-requests")
    browser.until("document.querySelector('.request .status')?.textContent", "503")
    browser.click("#modes [data-mode='healthy']")
    assert handler.flush(DEADLINE)
    handler.close()
    send({"event": "x", "time": 1_700_000_000_000})
    browser.until(
        "document.querySelector('.request .why').textContent",
        "Refused: event 0: time looks like milliseconds, it must be seconds",
    )
    browser.until("document.getElementById('count-refused').textContent", " · 1 refused")
    browser.click("#tab-events")
    browser.shows("kept")


def test_a_phone_needs_no_scrolling_sideways(browser: Browser, page: PageServer, send: Callable[..., None]) -> None:
    """At 390 pixels the events, their fields, the requests and the help fit."""
    fits = "document.scrollingElement.scrollWidth <= 390 && document.getElementById('list').scrollWidth <= 390"
    browser.open(page, PHONE)
    browser.until("document.getElementById('empty').hidden", False)
    assert browser.run(f"return {fits}")
    send(event("a long line " * 50, "ERROR", **{"a.very.long.name.of.a.field" * 3: "x" * 500, "#env": "p" * 200}))
    browser.until("document.querySelectorAll('.line').length", 1)
    assert browser.run(f"return {fits}")
    browser.click(".line")
    browser.until("document.querySelectorAll('.fields').length", 1)
    assert browser.run(f"return {fits}")
    for key in ("g", "r", "?"):
        browser.press(key)
        assert browser.run(f"return {fits}")


def test_the_token_is_asked_for_and_lets_in(browser: Browser) -> None:
    """With a token the browser sees a form; the printed address opens the page, and the token leaves the bar."""
    token = "a-token-of-its-own"
    with running("127.0.0.1", (0, 0), token, Store(10)) as page:
        browser.open(page)
        browser.until("document.querySelector('form button').textContent", "Open")
        told = "document.getElementById('again')?.checkVisibility() ?? null"
        browser.until(told, False)
        browser.driver.find_element("id", "token").send_keys("not it", Keys.ENTER)
        browser.until(told, True)
        browser.driver.find_element("id", "token").send_keys(token, Keys.ENTER)
        browser.until("document.querySelector('#empty code')?.textContent", page.site.intake.intake.url)
        browser.driver.delete_all_cookies()
        browser.open(page, query=f"?token={token}")
        browser.until("document.querySelectorAll('#modes button').length", 5)
        assert browser.driver.current_url.endswith("/")
        assert {"401 (Unauthorized)"} == {message[-18:] for message in browser.complaints(page)}


def test_a_new_serve_in_the_old_one_s_place_is_found(browser: Browser) -> None:
    """When the server has gone the page says so, and goes on with the next one on its port, from the start."""
    port = ReservedPort()  # nobody else takes it in between
    with running("127.0.0.1", (port.number, 0), None, Store(10)) as page:
        browser.open(page)
        post(page, json.dumps(event("before")).encode(), {})
        browser.shows("before")
    browser.until("document.getElementById('lost').hidden", False)
    with running("127.0.0.1", (port.number, 0), None, Store(10)) as page:
        post(page, json.dumps(event("after")).encode(), {})
        browser.shows("after")
        browser.until("document.getElementById('lost').hidden", True)
        assert [] == [message for message in browser.complaints(page) if "net::ERR_" not in message]
    port.release()
