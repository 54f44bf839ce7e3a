// The levels: how many events of each there are, and whether they are shown.

import { $, counted, h } from "./dom.js";
import { SEVERITIES } from "./filter.js";

export class Levels {
  /** `changed()` is called when a person has shown or hidden one. */
  constructor(held, changed) {
    this.held = held;
    this.chips = new Map();
    for (const severity of [...SEVERITIES, ""]) {
      const name = severity || "other";
      const count = h("span", { class: "count" }, "0");
      const chip = h("button", { class: `chip ${name}`, title: `Show or hide ${name}` }, name, count);
      chip.addEventListener("click", () => {
        if (!held.hidden.delete(severity)) held.hidden.add(severity);
        changed();
      });
      this.chips.set(severity, { chip, count });
      $("levels").append(chip);
    }
  }

  draw() {
    const { counts, hidden } = this.held;
    for (const [severity, { chip, count }] of this.chips) {
      count.textContent = counted(counts[severity] ?? 0);
      chip.setAttribute("aria-pressed", !hidden.has(severity));
      chip.hidden = !severity && !counts[severity] && !hidden.has(severity); // few have other levels
    }
  }
}
