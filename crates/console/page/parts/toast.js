// A short word about what was done, said to screen readers too.

import { h } from "../core/dom.js";
import { sign } from "./mark.js";

const SHOWN_MS = 5000;
let toast = null;
let redraw = () => {};

export function begin(draw) {
  redraw = draw;
}

export function say(text, as = "ok") {
  const mine = { text, as };
  toast = mine;
  redraw();
  setTimeout(() => {
    if (toast !== mine) return;
    toast = null;
    redraw();
  }, SHOWN_MS);
}

export function render() {
  return h("div", { class: "toasts", role: "status", "aria-live": "polite", key: "toasts" },
    toast && h("div", { class: `toast toast-${toast.as}` }, sign(toast.as), toast.text));
}
