// The list of events, the latest on top. Only the rows that can be seen exist, so its cost is that of the window,
// not of what is held. A row is of fixed height; below an unfolded one are its fields, of whatever height.

import { $, bytes, clock, copy, counted, h, oneLine, visible } from "./dom.js";
import { condition } from "./filter.js";

const AROUND = 6; // rows drawn beyond the window's edges, so that scrolling finds them there
const MOST_EXTRAS = 8; // behind the text of a row
const UNTOLD = new Set(["#level", "#type", "#repo"]); // tags that a row shows elsewhere, or that say little
const MOST_FIELDS = 400;
const MOST_SIGNS = 20_000; // of one value; all of it is in the copy

export class EventList {
  /** `filterBy(text)` adds to the filter, `openRequest(n)` shows a request, `changed()`: a person moved in the list. */
  constructor({ filterBy, openRequest, changed }) {
    this.window = $("list");
    this.space = $("space");
    this.filterBy = filterBy;
    this.openRequest = openRequest;
    this.changed = changed;
    this.attributes = new Set(); // names that every record has, which say the least
    this.view = []; // events, oldest first
    this.selected = null; // number of an event
    this.unfolded = new Map(); // number: height of its fields, in pixels
    this.rows = new Map(); // number: element
    this.spare = [];
    this.measure = new ResizeObserver((entries) => this.#measured(entries));
    this.window.addEventListener("scroll", () => {
      this.changed();
      this.draw();
    });
    this.window.addEventListener("click", (event) => this.#clicked(event));
    new ResizeObserver(() => this.draw()).observe(this.window);
  }

  /** Whether the list stays with the latest: nobody has scrolled, selected or unfolded. */
  get follows() {
    return this.selected === null && this.unfolded.size === 0 && this.window.scrollTop < 4;
  }

  /** Back to the latest, nothing selected. */
  follow() {
    this.selected = null;
    this.unfolded.clear();
    this.window.scrollTop = 0;
  }

  /** Select the event `by` rows below. */
  move(by) {
    if (!this.view.length) return;
    const at = this.selected === null ? (by > 0 ? 0 : -1) : this.#index(this.selected) + by;
    const index = Math.min(Math.max(at, 0), this.view.length - 1);
    this.selected = this.#at(index).n;
    const [top, below] = [this.#top(index), this.#top(index + 1)];
    if (top < this.window.scrollTop) this.window.scrollTop = top;
    if (below > this.window.scrollTop + this.window.clientHeight) {
      this.window.scrollTop = Math.min(top, below - this.window.clientHeight);
    }
    this.changed();
    this.draw();
  }

  /** Unfold an event, or fold it. */
  toggle(n = this.selected) {
    if (n === null) return;
    this.selected = n;
    if (this.unfolded.has(n)) this.unfolded.delete(n);
    else this.unfolded.set(n, 0);
    this.changed();
    this.draw();
  }

  draw() {
    const css = getComputedStyle(this.window);
    this.height = parseFloat(css.getPropertyValue("--row"));
    this.open = [...this.unfolded.keys()]
      .map((n) => ({ n, index: this.#index(n) }))
      .filter(({ index }) => index >= 0)
      .sort((a, b) => a.index - b.index);
    const length = this.view.length;
    this.space.style.height = `${this.#top(length)}px`;
    const top = this.window.scrollTop;
    const from = Math.max(this.#indexAt(top) - AROUND, 0);
    const to = Math.min(this.#indexAt(top + this.window.clientHeight) + AROUND, length - 1);
    const wanted = new Set();
    for (let index = from; index <= to; index += 1) wanted.add(this.#at(index).n);
    for (const [n, row] of this.rows) {
      if (wanted.has(n)) continue;
      this.rows.delete(n);
      row.remove();
      this.#fold(row);
      if (this.spare.length < 200) this.spare.push(row);
    }
    for (let index = from; index <= to; index += 1) this.#place(this.#at(index), index);
  }

  #place(event, index) {
    let row = this.rows.get(event.n);
    if (!row) {
      row = this.spare.pop() ?? newRow();
      this.rows.set(event.n, row);
      this.space.append(row);
    }
    if (row.event !== event) {
      this.#fold(row);
      fill(row, event, this.attributes);
    }
    row.style.transform = `translateY(${this.#top(index)}px)`;
    row.classList.toggle("selected", event.n === this.selected);
    const unfolded = this.unfolded.has(event.n);
    row.firstChild.setAttribute("aria-expanded", unfolded);
    if (unfolded && row.children.length === 1) {
      row.append(this.#fields(event));
      this.measure.observe(row.lastChild);
    } else if (!unfolded) this.#fold(row);
  }

  #fold(row) {
    if (row.children.length > 1) {
      this.measure.unobserve(row.lastChild);
      row.lastChild.remove();
    }
  }

  #measured(entries) {
    let moved = false;
    for (const { target } of entries) {
      const n = Number(target.dataset.n);
      const height = target.offsetHeight;
      if (!target.isConnected || !this.unfolded.has(n) || this.unfolded.get(n) === height) continue;
      this.unfolded.set(n, height);
      moved = true;
    }
    if (moved) this.draw();
  }

  // ---- where things are; an index counts from the top, that is from the latest

  #at(index) {
    return this.view[this.view.length - 1 - index];
  }

  #index(n) {
    let [low, high] = [0, this.view.length - 1];
    while (low <= high) {
      const middle = (low + high) >> 1;
      if (this.view[middle].n === n) return this.view.length - 1 - middle;
      if (this.view[middle].n < n) low = middle + 1;
      else high = middle - 1;
    }
    return -1;
  }

  #top(index) {
    let top = index * this.height;
    for (const open of this.open) if (open.index < index) top += this.unfolded.get(open.n);
    return top;
  }

  #indexAt(y) {
    let above = 0;
    for (const { n, index } of this.open) {
      const top = index * this.height + above;
      if (y < top) break;
      above += this.unfolded.get(n);
      if (y < top + this.height + this.unfolded.get(n)) return index;
    }
    return Math.floor((y - above) / this.height);
  }

  // ---- the fields of an event

  #clicked({ target }) {
    const line = target.closest(".line");
    if (!line || getSelection().toString()) return; // somebody marks text
    const tag = target.closest(".tag");
    if (tag) this.filterBy(tag.dataset.condition);
    else this.toggle(Number(line.parentElement.dataset.n));
  }

  #fields(event) {
    const text = event.dialect === "hec" ? "@rawstring" : "message";
    const entries = Object.entries(event.fields).filter(([name]) => name !== text);
    const [written, given] = [h("dl"), h("dl")];
    for (const [name, value] of entries.slice(0, MOST_FIELDS)) {
      const list = this.attributes.has(name) ? given : written;
      const find = condition(name, value);
      const button = h("button", { class: "value", title: `Filter by ${visible(find)}` }, shortened(String(value)));
      button.addEventListener("click", () => this.filterBy(find));
      list.append(h("dt", { class: name.startsWith("#") ? "is-tag" : "" }, visible(name)), h("dd", {}, button));
    }
    if (entries.length > MOST_FIELDS) {
      written.append(h("dt", {}, "…"), h("dd", {}, `${counted(entries.length - MOST_FIELDS)} more fields, in the copy`));
    }
    const document = JSON.stringify({ [text]: event.text, ...event.fields }, null, 2);
    const copying = h("button", {}, "Copy as JSON");
    copying.addEventListener("click", () => copy(document, copying));
    const request = h("button", {}, `Request ${counted(event.request)}`);
    request.addEventListener("click", () => this.openRequest(event.request));
    const from = event.dialect === "hec" ? "Humio" : "SEKOIA.IO";
    const size = h("span", { class: "dim" }, `${from} · ${bytes(document.length)}`);
    return h(
      "div",
      { class: "fields", "data-n": event.n },
      h("h3", {}, text),
      h("pre", {}, shortened(event.text)),
      h("div", { class: "halves" }, written, given),
      h("p", { class: "about" }, copying, request, size),
    );
  }
}

function newRow() {
  const parts = ["time", "level", "text", "tags"].map((name) => h("span", { class: name }));
  return h("div", { class: "row", role: "listitem" }, h("div", { class: "line" }, ...parts));
}

function fill(row, event, attributes) {
  row.event = event; // another server gives the same numbers to other events
  row.dataset.n = event.n;
  const line = row.firstChild;
  line.className = `line ${event.severity || "other"} ${event.dialect}`;
  const [time, level, text, tags] = line.children;
  const stamp = clock(event.time, true);
  time.replaceChildren(stamp.slice(0, 8), h("span", { class: "millis" }, stamp.slice(8)));
  level.textContent = visible(event.level.slice(0, 10)) || "–";
  const [shown, extras] = [[], []];
  for (const [name, value] of Object.entries(event.fields)) {
    if (name.startsWith("#")) {
      if (!UNTOLD.has(name)) shown.push([name, value]);
    } else if (extras.length < MOST_EXTRAS && !attributes.has(name) && !told(name, event)) {
      extras.push(`${name}=${String(value).slice(0, 80)}`);
    }
  }
  text.replaceChildren(oneLine(event.text), h("span", { class: "extras" }, oneLine(extras.join("  "))));
  tags.replaceChildren(
    ...shown.slice(0, 3).map(([name, value]) => {
      const label = visible(`${name}=${value}`.slice(0, 60));
      return h("button", { class: "tag", "data-condition": condition(name, value), tabindex: -1 }, label);
    }),
    h("span", { class: "from" }, event.dialect === "hec" ? "humio" : "sekoia"),
  );
}

/** Whether a row says it already, in its columns or as a traceback's last line, or cannot say it in its room. */
function told(name, event) {
  if (name === "exc_type" || name === "exc_message") return event.dialect === "hec";
  return name.startsWith("@") || name === "message" || name === "exc_info";
}

function shortened(text) {
  if (text.length <= MOST_SIGNS) return visible(text);
  return `${visible(text.slice(0, MOST_SIGNS))} … and ${counted(text.length - MOST_SIGNS)} more characters, in the copy`;
}
