// The events that the page holds: all of them, and those that pass. Pure: no page, no network.

export class Held {
  all = []; // oldest first
  shown = []; // those of them that pass the filter, the part of the time, and the levels
  counts = {}; // of those that pass the filter and the part of the time, by severity
  filter = null; // what an event must pass; null: nothing
  part = null; // of the time: [from, to] in Unix seconds
  hidden = new Set(); // severities

  /** Hold more events, and let go of those below number `first`. */
  take(events, first) {
    for (const event of events) {
      this.all.push(event);
      this.#sort(event);
    }
    const gone = below(this.all, first);
    for (let at = 0; at < gone; at += 1) {
      const event = this.all[at];
      if (event.passes) this.counts[event.severity] -= 1;
    }
    this.all.splice(0, gone);
    this.shown.splice(0, below(this.shown, first));
  }

  /** Find anew what passes. */
  refilter() {
    this.counts = {};
    this.shown = [];
    for (const event of this.all) this.#sort(event);
  }

  #sort(event) {
    const inTime = !this.part || (event.time >= this.part[0] && event.time < this.part[1]);
    event.passes = inTime && (!this.filter || this.filter(event));
    if (!event.passes) return;
    this.counts[event.severity] = (this.counts[event.severity] ?? 0) + 1;
    if (!this.hidden.has(event.severity)) this.shown.push(event);
  }
}

/** How many of `events` have numbers below `n`. */
export function below(events, n) {
  let [low, high] = [0, events.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (events[middle].n < n) low = middle + 1;
    else high = middle;
  }
  return low;
}
