// Signs that say by shape and word what they also say by colour.

import { h } from "../core/dom.js";

const TIERS = {
  balancer: "M2 7 7 2l5 5-5 5z",
  app: "M2.5 2.5h9v9h-9z",
  cache: "M7 1.8 12.6 12H1.4z",
  database: "M2 3.5C2 1 12 1 12 3.5v7C12 13 2 13 2 10.5z",
  queue: "M2 2h2.4v10H2zM5.8 2h2.4v10H5.8zM9.6 2H12v10H9.6z",
  worker: "M7 1.5a5.5 5.5 0 1 0 .01 0z",
  coordination: "M4 1.8h6L13 7l-3 5.2H4L1 7z",
  observer: "M1 7c3-6 9-6 12 0-3 6-9 6-12 0z",
  other: "M2 5.5h10v3H2z",
};

/** A tier's word as the page has it; foreign spans have none. */
export function tierOf(tier) {
  return tier in TIERS ? tier : "other";
}

/** A tier's sign, to stand in a text. */
export function tierMark(tier) {
  const known = tierOf(tier);
  return h("svg", { class: `tier tier-${known}`, viewBox: "0 0 14 14", width: 12, height: 12, role: "img", "aria-label": known },
    h("path", { d: TIERS[known] }));
}

/** The same, to stand in a drawing. */
export function tierShape(tier, x, y) {
  return h("path", { class: `tier tier-${tierOf(tier)}`, d: TIERS[tierOf(tier)], transform: `translate(${x} ${y})` });
}

const SHAPES = {
  ok: "M7 1a6 6 0 1 0 .01 0zM4.2 7.2l2 2 3.6-4",
  warn: "M7 1.4 13 12.4H1zM7 5.4v3.4M7 10.4v.3",
  bad: "M4.6 1.2h4.8l3.4 3.4v4.8l-3.4 3.4H4.6L1.2 9.4V4.6zM5 5l4 4M9 5 5 9",
  idle: "M7 1.6a5.4 5.4 0 1 0 .01 0z",
  busy: "M7 1.6a5.4 5.4 0 1 0 .01 0zM7 4v3l2.2 1.4",
};

const STANDING = {
  ready: "ok", ok: "ok", inactive: "ok", resolved: "ok", done: "ok", ENABLED: "ok",
  starting: "busy", restarting: "warn", draining: "warn", pending: "warn", retrying: "warn", paused: "warn", silenced: "idle", WARN: "warn",
  down: "bad", dead: "bad", crashed: "bad", failed: "bad", error: "bad", firing: "bad", ERROR: "bad",
  running: "busy", opening: "busy",
};

/** `ok`, `warn`, `bad`, `busy` or `idle`. */
export function standing(word) {
  return STANDING[word] ?? "idle";
}

/** A state as sign and word. */
export function state(word, as = standing(word)) {
  return h("span", { class: `state state-${as}` }, sign(as), h("span", {}, word));
}

export function sign(as) {
  return h("svg", { class: `sign sign-${as}`, viewBox: "0 0 14 14", width: 13, height: 13, "aria-hidden": "true" },
    h("path", { d: SHAPES[as] }));
}

/** The same, to stand in a drawing. */
export function signShape(as, x, y) {
  return h("path", { class: `sign sign-${as}`, d: SHAPES[as], transform: `translate(${x} ${y})` });
}
