// What the page shows where there are no events: how to send some, or that none passes the filter.

import { $, copy, h } from "./dom.js";

/** `about` is what the server says of the intake, null if that is not known yet. */
export function drawEmpty(held, about, came, showAll) {
  const box = $("empty");
  const kind = held.shown.length ? "" : held.all.length ? "filtered" : about ? (came ? "forgotten" : "start") : "";
  box.hidden = !kind;
  box.classList.toggle("whole", kind !== "filtered");
  const shows = `${kind} ${about?.intake}`;
  if (!kind || box.dataset.shows === shows) return;
  box.dataset.shows = shows;
  if (kind === "filtered") {
    const button = h("button", { onclick: showAll }, "Show all");
    box.replaceChildren(h("p", {}, "Nothing that is held passes the filter. ", button));
  } else {
    const says = kind === "start" ? "Nothing has come yet. Send something here:" : "Nothing is held. Send more here:";
    box.replaceChildren(h("h2", {}, says), ...toCopy(about));
  }
}

function toCopy({ intake, token, snippets }) {
  const where = h("dl", { class: "where" });
  for (const [name, value] of [["URL", intake], ["token, and intake key", token]]) {
    where.append(h("dt", {}, name), h("dd", {}, h("code", {}, value), copier(() => value)));
  }
  const code = h("pre", {});
  const tabs = Object.entries(snippets).map(([title, text], at) => {
    const tab = h("button", { "aria-pressed": at === 0 }, title);
    tab.addEventListener("click", () => {
      for (const other of tabs) other.setAttribute("aria-pressed", other === tab);
      code.textContent = text;
    });
    if (at === 0) code.textContent = text;
    return tab;
  });
  const then = h("p", { class: "dim" }, "Then try the switch above: what does your program do when the intake fails?");
  return [where, h("nav", { class: "tabs" }, ...tabs, copier(() => code.textContent)), code, then];
}

function copier(text) {
  const button = h("button", { class: "copy" }, "Copy");
  button.addEventListener("click", () => copy(text(), button));
  return button;
}
