// Making elements. All text goes in by textContent: whatever was logged is shown, and nothing of it runs.

export const $ = (id) => document.getElementById(id);

/** An element: `h("b", {class: "x", onclick: f}, "text", child)`. */
export function h(name, attributes = {}, ...children) {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (key.startsWith("on")) element.addEventListener(key.slice(2), value);
    else if (key.startsWith("aria-")) element.setAttribute(key, value);
    else if (value === true) element.setAttribute(key, "");
    else if (value !== false && value != null) element.setAttribute(key, value);
  }
  element.append(...children);
  return element;
}

// What would move the text around it, or hide: C0 and C1 controls but tab and newline; bidi controls; zero widths.
const UNSEEN = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u200b\u200e\u200f\u202a-\u202e\u2060-\u2069\ufeff]/g;

/** `text` with what cannot be seen made visible: ⟨ESC⟩, and others as ⟨U+202E⟩. */
export function visible(text) {
  return text.replace(UNSEEN, (sign) => {
    if (sign === "\u001b") return "⟨ESC⟩"; // the one that people know
    return `⟨U+${sign.codePointAt(0).toString(16).toUpperCase().padStart(4, "0")}⟩`;
  });
}

const TRACEBACK = "\nTraceback (most recent call last):\n";

/** `text` for one line of a list: no longer than anybody reads there, its newlines shown, of a traceback the end. */
export function oneLine(text) {
  const at = text.indexOf(TRACEBACK);
  const told = at < 0 ? text.slice(0, 400) : `${text.slice(0, Math.min(at, 300))} ⏎ … ${lastLine(text)}`;
  return visible(told.replace(/\s*\n\s*/g, " ⏎ "));
}

function lastLine(text) {
  return text.slice(-400).trimEnd().split("\n").at(-1);
}

const number = new Intl.NumberFormat("en");
export const counted = (n) => number.format(n);

/** 1234567 as "1.2 MB". */
export function bytes(n) {
  if (n < 1000) return `${n} B`;
  const units = ["kB", "MB", "GB"];
  let at = -1;
  do {
    n /= 1000;
    at += 1;
  } while (n >= 999.5 && at < 2);
  return `${n < 10 ? n.toFixed(1) : Math.round(n)} ${units[at]}`;
}

const two = (n) => String(n).padStart(2, "0");

/** Local time of a moment in Unix seconds, with its milliseconds if asked for. */
export function clock(seconds, millis = false) {
  const at = new Date(seconds * 1000);
  const time = `${two(at.getHours())}:${two(at.getMinutes())}:${two(at.getSeconds())}`;
  return millis ? `${time}.${String(at.getMilliseconds()).padStart(3, "0")}` : time;
}

/** Copy, and say so on the button. Without https the clipboard's API exists on loopback only. */
export async function copy(text, button) {
  const label = button.textContent;
  try {
    await navigator.clipboard.writeText(text);
    button.textContent = "Copied";
  } catch {
    button.textContent = "Select it, and copy by hand";
  }
  setTimeout(() => (button.textContent = label), 1500);
}
