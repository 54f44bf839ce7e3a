// The page of `loghttp serve`: asks the server for what came, and gives it to the parts.
//
// However much comes, the page draws at most ten times a second, and only what can be seen. Pausing, scrolling or
// selecting holds the list still; what comes meanwhile waits, within the server's own bound.

import { Chart } from "./chart.js";
import { $, counted, h } from "./dom.js";
import { drawEmpty } from "./empty.js";
import { compile } from "./filter.js";
import { Held, below } from "./held.js";
import { Levels } from "./levels.js";
import { EventList } from "./list.js";
import { RequestList } from "./requests.js";

const DRAW_EVERY = 100; // milliseconds
const CHART_EVERY = 250;
const ASK_EVERY = 120; // gathers what comes in a batch; the server itself waits until there is something
const ASK_AGAIN = 2000; // after the server did not answer

const MODES = [
  ["healthy", "Healthy", ""],
  ["503", "503", "Every request is answered 503: what does your program do?"],
  ["429", "429", "Every request is answered 429, with Retry-After: 5."],
  ["slow", "Slow", "Every answer takes 5 seconds."],
  ["down", "Down", "Nobody listens: connections are refused."],
];

const state = {
  boot: null,
  about: null,
  mode: "healthy",
  waiting: [], // answers that came while paused
  paused: false,
  asked: { event: 0, change: -1 }, // how far the server's answers have come
  totals: { events: 0, requests: 0, refused: 0 },
  rates: [], // [time, total] of the last seconds
};

const held = new Held();
const levels = new Levels(held, refilter);
const requests = new RequestList();
const chart = new Chart((part) => {
  held.part = part;
  refilter();
});
const list = new EventList({ filterBy, openRequest, changed: hold });

// ---- what comes

async function listen() {
  for (;;) {
    try {
      state.about ??= await (await ask("api/about")).json();
      list.attributes = new Set(state.about.attributes);
      const { event, change } = state.asked;
      const known = state.boot ? `&boot=${state.boot}` : "";
      const answer = await (await ask(`api/poll?event=${event}&change=${change}${known}`)).json();
      $("lost").hidden = true;
      if (known && answer.boot !== state.boot) startAfresh();
      state.boot = answer.boot;
      take(answer);
      await pause(ASK_EVERY);
    } catch {
      $("lost").hidden = false;
      state.about = null; // another serve may come up in its place
      await pause(ASK_AGAIN);
    }
  }
}

const pause = (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds));

async function ask(path, options) {
  const response = await fetch(path, options);
  if (response.status === 401) location.reload(); // to the form for the token
  if (!response.ok) throw new Error(await response.text());
  return response;
}

/** Another server has taken the place of the one we knew. */
function startAfresh() {
  Object.assign(state, { waiting: [], rates: [] });
  held.all = [];
  requests.all.clear();
  refilter();
}

function take(answer) {
  const last = answer.events.at(-1)?.n ?? answer.last;
  state.asked = { event: last, change: answer.change };
  state.totals = answer.totals;
  state.rates.push([performance.now(), answer.totals.events]);
  requests.update(answer.requests, answer.oldest_request);
  if (answer.mode !== state.mode) setMode(answer.mode);
  if (!state.paused) held.take(answer.events, answer.first);
  else {
    // Only what the server would keep is kept here, too.
    state.waiting.push(answer);
    while (state.waiting.length > 1 && (state.waiting[0].events.at(-1)?.n ?? 0) < answer.first) state.waiting.shift();
  }
  schedule();
}

function refilter() {
  held.refilter();
  list.view = held.shown;
  list.follow();
  schedule(true);
}

// ---- drawing

let scheduled = false;
let [drawnAt, chartedAt] = [0, 0]; // milliseconds
let chartDue = 0; // the timer of a drawing that was put off

/** Draw soon: with the next frame if a person waits for it, or else at most ten times a second. */
function schedule(now = false) {
  if (now) drawnAt = chartedAt = 0;
  if (scheduled) return;
  scheduled = true;
  setTimeout(() => requestAnimationFrame(draw), Math.max(drawnAt + DRAW_EVERY - performance.now(), 0));
}

function draw() {
  scheduled = false;
  drawnAt = performance.now();
  if (list.follows) list.view = held.shown;
  if (drawnAt - chartedAt > CHART_EVERY) {
    chartedAt = drawnAt;
    const now = Date.now() / 1000;
    const lately = held.shown.length && now - held.shown.at(-1).time < 3600;
    chart.draw(held.shown, held.part, lately && !state.paused ? now : null);
  } else if (!chartDue) {
    chartDue = setTimeout(() => {
      chartDue = 0;
      schedule();
    }, CHART_EVERY);
  }
  list.draw();
  drawNumbers();
  if (!$("requests").hidden) requests.draw();
}

function drawNumbers() {
  const { totals, about } = state;
  const { all, shown } = held;
  $("count-events").textContent = counted(totals.events);
  $("count-requests").textContent = counted(totals.requests);
  $("count-refused").textContent = totals.refused ? ` · ${counted(totals.refused)} refused` : "";
  levels.draw();
  const news = shown.length && list.view !== shown ? shown.length - below(shown, (list.view.at(-1)?.n ?? 0) + 1) : 0;
  $("news").hidden = !news || state.paused;
  if (news) $("news").textContent = `↑ ${counted(news)} new`;
  const waiting = state.waiting.reduce((sum, answer) => sum + answer.events.length, 0);
  $("pause").textContent = state.paused ? `Go on${waiting ? ` · ${counted(waiting)}` : ""}` : "Pause";
  const most = about ? `, at most ${counted(about.max_events)}` : "";
  const passing = shown.length === all.length ? "" : `${counted(shown.length)} shown of `;
  $("foot-held").textContent = `${passing}${counted(all.length)} held${most}`;
  while (state.rates.length > 2 && state.rates[0][0] < performance.now() - 3000) state.rates.shift();
  const [[since, before], [until, after]] = [state.rates[0] ?? [0, 0], state.rates.at(-1) ?? [0, 0]];
  const rate = performance.now() - until < 2000 && until > since ? ((after - before) / (until - since)) * 1000 : 0;
  $("foot-rate").textContent = rate ? `${counted(Math.round(rate))} a second` : "";
  drawEmpty(held, about, totals.events > 0, clearFilter);
}

// ---- what a person does

function filterBy(text) {
  const field = $("filter");
  if (!field.value.includes(text)) field.value = `${field.value.trim()} ${text}`.trim();
  readFilter();
}

function readFilter() {
  held.filter = compile($("filter").value);
  refilter();
}

function clearFilter() {
  $("filter").value = "";
  held.part = null;
  held.hidden.clear();
  readFilter();
}

function setPaused(paused) {
  state.paused = paused;
  $("pause").setAttribute("aria-pressed", paused);
  document.body.classList.toggle("paused", paused);
  if (!paused) for (const { events, first } of state.waiting.splice(0)) held.take(events, first);
  schedule(true);
}

/** A person has moved in the list: unless that was back to the top, what it shows stays as it is. */
function hold() {
  if (!list.follows && list.view === held.shown) list.view = [...held.shown];
  schedule();
}

function follow() {
  list.follow();
  schedule(true);
}

function show(what) {
  for (const name of ["events", "requests"]) {
    $(name).hidden = name !== what;
    $(`tab-${name}`).setAttribute("aria-pressed", name === what);
  }
  document.body.dataset.shows = what;
  schedule(true);
}

function openRequest(n) {
  show("requests");
  requests.mark(n);
}

function setMode(mode) {
  state.mode = mode;
  document.body.dataset.mode = mode;
  for (const button of $("modes").children) button.setAttribute("aria-pressed", button.dataset.mode === mode);
  $("mode-says").textContent = MODES.find(([name]) => name === mode)[2];
}

async function post(path, value) {
  const options = { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(value) };
  try {
    await ask(path, options);
  } catch (error) {
    $("mode-says").textContent = error.message;
  }
}

function turnTheme() {
  const root = document.documentElement;
  const dark = root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
  root.dataset.theme = dark ? "light" : "dark";
  try {
    localStorage.setItem("loghttp-theme", root.dataset.theme);
  } catch {} // storage is forbidden: it lasts as long as the page
  schedule(true);
}

const KEYS = {
  "/": () => $("filter").focus(),
  " ": () => setPaused(!state.paused),
  j: () => list.move(1),
  k: () => list.move(-1),
  ArrowDown: () => list.move(1),
  ArrowUp: () => list.move(-1),
  Enter: () => list.toggle(),
  g: follow,
  Escape: () => (list.follows ? clearFilter() : follow()),
  r: () => show($("requests").hidden ? "requests" : "events"),
  t: turnTheme,
  "?": () => $("keys").showModal(),
};

function pressed(event) {
  if (event.ctrlKey || event.metaKey || event.altKey || $("keys").open) return;
  if (event.target === $("filter")) {
    if (event.key === "Enter" || event.key === "Escape") event.target.blur();
    return;
  }
  const onButton = event.target.closest("button") && (event.key === " " || event.key === "Enter");
  if (!Object.hasOwn(KEYS, event.key) || onButton) return;
  event.preventDefault();
  KEYS[event.key]();
}

// ---- from the top

for (const [mode, label] of MODES) {
  const button = h("button", { "data-mode": mode }, label);
  button.addEventListener("click", () => post("api/mode", { mode }));
  $("modes").append(button);
}
$("filter").addEventListener("input", readFilter);
$("pause").addEventListener("click", () => setPaused(!state.paused));
$("clear").addEventListener("click", () => {
  follow();
  post("api/clear", {});
});
$("news").addEventListener("click", follow);
$("tab-events").addEventListener("click", () => show("events"));
$("tab-requests").addEventListener("click", () => show("requests"));
$("theme").addEventListener("click", turnTheme);
$("help").addEventListener("click", () => $("keys").showModal());
document.addEventListener("keydown", pressed);
// A mouse leaves the focus on the button it has clicked, where the next space would press it again.
document.addEventListener("click", (event) => event.detail && event.target.closest("button")?.blur());
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => schedule(true));
new ResizeObserver(() => schedule(true)).observe($("chart"));
setInterval(() => document.hidden || schedule(), 1000); // the histogram goes with the time

setMode("healthy");
show("events");
listen();
