// The requests: what was sent, what was answered, and why a strict server refuses it.

import { $, bytes, clock, counted, h, visible } from "./dom.js";

const MOST_SHOWN = 200;

export class RequestList {
  constructor() {
    this.box = $("request-list");
    this.all = new Map(); // number: request, in order of arrival
    this.rows = new Map(); // number: [request, element]
    this.marked = null;
  }

  /** Take what is new or changed, and forget what the server keeps no longer. */
  update(requests, oldest) {
    for (const request of requests) this.all.set(request.n, request);
    for (const n of this.all.keys()) {
      if (n >= oldest) break;
      this.all.delete(n);
    }
  }

  draw() {
    const shown = [...this.all.values()].slice(-MOST_SHOWN).reverse();
    const rows = new Map();
    for (const request of shown) {
      const known = this.rows.get(request.n);
      rows.set(request.n, known?.[0] === request ? known : [request, row(request)]);
    }
    this.rows = rows;
    const elements = [...rows.values()].map(([, element]) => element);
    for (const [n, [, element]] of rows) element.classList.toggle("selected", n === this.marked);
    this.box.replaceChildren(
      ...(elements.length ? elements : [h("p", { class: "none" }, "No request has come yet.")]),
    );
  }

  /** Show where request `n` is. */
  mark(n) {
    this.marked = n;
    this.draw();
    this.rows.get(n)?.[1].scrollIntoView({ block: "center" });
  }
}

function row(request) {
  const { status, state, events } = request;
  const stamp = clock(request.time, true);
  const fine = status !== null && status < 300;
  const answer = { held: "waits", cut: "cut off" }[state] ?? String(status);
  const path = request.path.replace(/\/+$/, "");
  const dialect = status === 404 ? "neither" : /\/(hec|collector)$/.test(path) ? "Humio" : "SEKOIA.IO";
  const packed = request.size > request.wire ? `, ${bytes(request.wire)} sent` : "";
  return h(
    "div",
    { class: "request", role: "listitem" },
    h("span", { class: "number dim" }, counted(request.n)),
    h("span", { class: "time" }, stamp.slice(0, 8), h("span", { class: "millis" }, stamp.slice(8))),
    h("span", { class: `status ${state === "held" ? "held" : fine ? "fine" : "bad"}` }, answer),
    h("span", { class: "path" }, visible(`${request.method} ${request.path}`.slice(0, 200))),
    h("span", { class: "took" }, fine ? `${counted(events)} ${events === 1 ? "event" : "events"}` : "nothing taken"),
    h("span", { class: "size dim" }, `${bytes(request.size)}${packed}`),
    h("span", { class: "agent dim" }, `${dialect} · ${visible(request.agent.slice(0, 120))}`),
    ...why(request),
  );
}

function why({ refusal, state, status }) {
  if (refusal) return [h("p", { class: "why bad" }, h("b", {}, "Refused: "), visible(refusal.slice(0, 1000)))];
  if (state === "cut") return [h("p", { class: "why" }, "The intake went down before it had answered.")];
  if (state === "held") return [h("p", { class: "why" }, "The answer is held back, as the switch says.")];
  if (status >= 300) return [h("p", { class: "why" }, "Nothing is wrong with it: the switch above says so.")];
  return [];
}
