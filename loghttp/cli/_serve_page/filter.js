// The filter: text to a predicate on events. Pure: no page, no network.
//
//   word  "two words"  -not  field=value  field!=value  field>=5  level>=warning  #tag  #tag=value  field=am*

export const SEVERITIES = ["debug", "info", "warning", "error", "critical"];

const TOKEN = /(?:[^\s"]|"[^"]*"?)+/g;
const CONDITION = /^([^\s"=!<>]+)(!=|>=|<=|=|>|<)(.*)$/s;

/** What `text` asks for, as a function of an event; null if it asks for nothing. */
export function compile(text) {
  const tests = (text.match(TOKEN) ?? []).map(test).filter(Boolean);
  return tests.length ? (event) => tests.every((passes) => passes(event)) : null;
}

/** `field=value` as it must be written to be found again. */
export function condition(name, value) {
  const text = String(value);
  return `${name}=${/^[^\s"*]+$/.test(text) ? text : `"${text.replaceAll('"', "*")}"`}`;
}

function test(token) {
  if (token.length > 1 && token.startsWith("-")) {
    const passes = test(token.slice(1));
    return passes && ((event) => !passes(event));
  }
  const match = CONDITION.exec(token);
  if (match) return compare(match[1], match[2], match[3]);
  const word = token.replaceAll('"', "").toLowerCase();
  if (!word) return null;
  if (/^#[^\s]+$/.test(token)) return (event) => word in lowerNames(event) || haystack(event).includes(word);
  return (event) => haystack(event).includes(word);
}

function compare(name, operator, wanted) {
  const value = wanted.replaceAll('"', "");
  if (operator === "=" || operator === "!=") {
    const pattern = matcher(value, name);
    const equals = (event) => values(event, name).some(pattern);
    return operator === "=" ? equals : (event) => !equals(event);
  }
  if (!value) return null; // still being typed
  const order = { ">": (d) => d > 0, ">=": (d) => d >= 0, "<": (d) => d < 0, "<=": (d) => d <= 0 }[operator];
  if (name.toLowerCase() === "level") {
    const rank = SEVERITIES.findIndex((severity) => severity.startsWith(value.toLowerCase()));
    return (event) => rank >= 0 && event.severity !== "" && order(SEVERITIES.indexOf(event.severity) - rank);
  }
  const bound = Number(value);
  return (event) => values(event, name).some((found) => found !== "" && order(Number(found) - bound));
}

function matcher(value, name) {
  const wanted = value.toLowerCase();
  if (wanted.includes("*")) {
    const parts = wanted.split("*").map((part) => part.replace(/[.+?^${}()|[\]\\]/g, "\\$&"));
    const pattern = new RegExp(`^${parts.join(".*")}$`, "s");
    return (found) => pattern.test(String(found).toLowerCase());
  }
  if (name === "level" && wanted === "warn") return (found) => /^warn(ing)?$/i.test(found);
  return (found) => String(found).toLowerCase() === wanted;
}

function values(event, name) {
  const lower = name.toLowerCase();
  switch (lower) {
    case "level":
      return [event.level, event.severity];
    case "dialect":
      return [event.dialect === "hec" ? "humio" : "sekoia"];
    case "request":
      return [event.request];
    case "text":
    case "message":
    case "@rawstring":
      return [event.text];
  }
  const names = lowerNames(event);
  return lower in names ? [event.fields[names[lower]]] : [];
}

// Both are made when a filter first asks for them, and kept with the event.

function lowerNames(event) {
  if (!event.names) {
    event.names = Object.create(null);
    for (const name of Object.keys(event.fields)) event.names[name.toLowerCase()] = name;
  }
  return event.names;
}

function haystack(event) {
  if (event.hay === undefined) {
    const pairs = Object.entries(event.fields).map(([name, value]) => `${name}=${value}`);
    event.hay = `${event.text}\n${pairs.join("\n")}`.toLowerCase();
  }
  return event.hay;
}
