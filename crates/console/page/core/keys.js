// Keys that work everywhere, and those of the view that is open.

import { go } from "./router.js";

const PLACES = { s: "/system", t: "/traces", l: "/logs", m: "/metrics", a: "/alerts", j: "/jobs", f: "/flags", c: "/faults" };

export const HELP = [
  ["g then s, t, l, m, a, j, f, c", "go to System, Traces, Logs, Metrics, Alerts, Jobs, Flags, Faults"],
  ["/", "search"],
  ["↓ ↑ or j k", "next and previous row"],
  ["→ ←", "open and fold a row of a trace"],
  ["Enter", "open what is focused"],
  ["Esc", "close"],
  ["?", "this list"],
];

let isGoing = false;
let ofView = () => false;

/** The view's own keys: a function that answers whether it took the key. */
export function setKeys(handle) {
  ofView = handle ?? (() => false);
}

export function begin(onHelp) {
  addEventListener("keydown", (event) => {
    const typing = event.target.closest?.("input, textarea, select, dialog");
    if (typing || event.metaKey || event.ctrlKey || event.altKey) return;
    if (isGoing && PLACES[event.key]) go(PLACES[event.key]);
    else if (event.key === "/") document.querySelector("[data-search]")?.focus();
    else if (event.key === "?") onHelp();
    else if (event.key !== "g" && !ofView(event)) return;
    isGoing = event.key === "g";
    event.preventDefault();
  });
}

/** Moves the focus over the rows that `selector` names. */
export function moveFocus(selector, by) {
  const rows = [...document.querySelectorAll(selector)];
  const at = rows.indexOf(document.activeElement);
  const next = rows[Math.max(0, Math.min(rows.length - 1, at < 0 ? 0 : at + by))];
  next?.focus();
  next?.scrollIntoView({ block: "nearest" });
}
