// The histogram: events over time, each bar stacked by level. Drag to look at a part of the time, click to leave it.

import { $, clock, counted, h } from "./dom.js";
import { SEVERITIES } from "./filter.js";

const STEPS = [0.1, 0.25, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 1800, 3600, 10800, 21600, 43200, 86400];
const BAR = 7; // pixels, its gap included
const LEAST_SPAN = 60; // seconds
const KINDS = ["", ...SEVERITIES]; // from the bottom to the top

export class Chart {
  /** `chosen(from, to)` is called with a part of the time, in Unix seconds, or with null. */
  constructor(chosen) {
    this.canvas = $("bars");
    this.box = $("chart");
    this.tip = $("chart-tip");
    this.chosen = chosen;
    this.bins = null;
    this.drag = null;
    this.swatches = [...KINDS.map((kind) => `--${kind || "other"}-bar`), "--brush"].map((name) => {
      const swatch = h("i", { class: "swatch" });
      swatch.style.color = `var(${name})`;
      this.box.append(swatch);
      return swatch;
    });
    this.canvas.addEventListener("pointerdown", (event) => this.#down(event));
    this.canvas.addEventListener("pointermove", (event) => this.#move(event));
    this.canvas.addEventListener("pointerup", (event) => this.#up(event));
    this.canvas.addEventListener("pointerleave", () => (this.tip.hidden = true));
  }

  /** Draw `events`. `part` is the chosen part of the time, or null; `until` a moment that is to be seen, or null. */
  draw(events, part, until) {
    this.bins = this.#count(events, part, until);
    this.#paint();
  }

  #count(events, part, until) {
    if (!events.length && !part) return null;
    const width = this.canvas.clientWidth;
    let [from, to] = part ?? extent(events);
    if (!part && until !== null && until > to) to = until;
    if (!part && to - from < LEAST_SPAN) from = to - LEAST_SPAN;
    const wanted = (to - from) / Math.max(Math.floor(width / BAR), 1);
    const step = STEPS.find((step) => step >= wanted) ?? Math.ceil(wanted / 86400) * 86400;
    from = Math.floor(from / step) * step;
    const bars = Math.floor((to - from) / step) + 1;
    const counts = KINDS.map(() => new Uint32Array(bars));
    let before = 0; // times so far away that they would squeeze the rest
    for (const { time, severity } of events) {
      const bar = Math.floor((time - from) / step);
      if (bar >= 0 && bar < bars) counts[KINDS.indexOf(severity)][bar] += 1;
      else before += 1;
    }
    return { from, step, bars, counts, before, part };
  }

  #paint() {
    const scale = devicePixelRatio || 1;
    const [width, height] = [this.canvas.clientWidth, this.canvas.clientHeight];
    this.canvas.width = Math.round(width * scale);
    this.canvas.height = Math.round(height * scale);
    const pen = this.canvas.getContext("2d");
    pen.scale(scale, scale);
    const colours = this.swatches.map((swatch) => getComputedStyle(swatch).color);
    $("axis-start").textContent = $("axis-end").textContent = $("axis-note").textContent = "";
    if (!this.bins) return;
    const { from, step, bars, counts, before, part } = this.bins;
    let most = 0;
    for (let bar = 0; bar < bars; bar += 1) most = Math.max(most, this.#total(bar));
    const slot = width / bars;
    for (let bar = 0; bar < bars; bar += 1) {
      let y = height;
      counts.forEach((kind, at) => {
        if (!kind[bar]) return;
        // Never less than can be seen: one error among thousands is what is looked for.
        const tall = Math.max((kind[bar] / most) * (height - 4), 2);
        y -= tall;
        pen.fillStyle = colours[at];
        pen.fillRect(bar * slot, y, Math.max(slot - 1, 1), tall);
      });
    }
    if (this.drag) {
      const [left, right] = [this.drag.from, this.drag.to].sort((a, b) => a - b);
      pen.fillStyle = colours.at(-1);
      pen.fillRect(left, 0, right - left, height);
    }
    const end = from + bars * step;
    const days = end - from > 86400;
    $("axis-start").textContent = stamp(from, days);
    $("axis-end").textContent = stamp(end, days);
    const note = [`a bar is ${length(step)}`];
    if (part) note.unshift("a part of the time; click to leave it");
    else if (before) note.push(`${counted(before)} at other times`);
    $("axis-note").textContent = note.join(" · ");
  }

  #total(bar) {
    return this.bins.counts.reduce((sum, kind) => sum + kind[bar], 0);
  }

  #down(event) {
    if (!this.bins) return;
    this.canvas.setPointerCapture(event.pointerId);
    this.drag = { from: event.offsetX, to: event.offsetX };
  }

  #move(event) {
    if (!this.bins) return;
    if (this.drag) {
      this.drag.to = Math.min(Math.max(event.offsetX, 0), this.canvas.clientWidth);
      this.#paint();
    }
    const { from, step, bars, counts } = this.bins;
    const bar = Math.min(Math.max(Math.floor((event.offsetX / this.canvas.clientWidth) * bars), 0), bars - 1);
    const total = this.#total(bar);
    const kinds = KINDS.map((kind, at) => [counts[at][bar], kind || "other"]).filter(([count]) => count);
    const told = kinds.reverse().map(([count, kind]) => `${counted(count)} ${kind}`);
    this.tip.textContent = `${stamp(from + bar * step, bars * step > 86400)} · ${total ? told.join(", ") : "nothing"}`;
    this.tip.hidden = false;
    const left = Math.min(event.offsetX + 12, this.canvas.clientWidth - this.tip.offsetWidth);
    this.tip.style.transform = `translateX(${Math.max(left, 0)}px)`;
  }

  #up() {
    if (!this.drag) return;
    const [left, right] = [this.drag.from, this.drag.to].sort((a, b) => a - b);
    this.drag = null;
    const { from, step, bars } = this.bins;
    const moment = (x) => from + (x / this.canvas.clientWidth) * bars * step;
    this.chosen(right - left > 4 ? [moment(left), moment(right)] : null);
  }
}

/** From the first to the last, but for a few that are far from all others: a clock that stands at 1970. */
function extent(events) {
  const times = [];
  const stride = Math.max(Math.floor(events.length / 500), 1);
  for (let at = 0; at < events.length; at += stride) times.push(events[at].time);
  times.push(events.at(-1).time);
  times.sort((a, b) => a - b);
  let [first, last] = [times[0], times.at(-1)];
  if (last - first > 86400) {
    first = times[Math.floor(times.length * 0.05)];
    last = times[Math.ceil(times.length * 0.95) - 1];
  } else {
    for (const { time } of events) {
      if (time < first && first - time < 86400) first = time;
      if (time > last && time - last < 86400) last = time;
    }
  }
  return [first, last];
}

function stamp(seconds, days) {
  return days ? `${new Date(seconds * 1000).toLocaleDateString()} ${clock(seconds)}` : clock(seconds);
}

function length(seconds) {
  if (seconds < 60) return `${seconds} s`;
  if (seconds < 3600) return `${seconds / 60} min`;
  return seconds < 86400 ? `${seconds / 3600} h` : `${seconds / 86400} d`;
}
