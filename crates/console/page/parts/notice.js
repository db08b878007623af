// What stands where there is nothing to show yet, nothing at all, or an error.

import { h } from "../core/dom.js";
import { sign } from "./mark.js";

export function loading(what) {
  return h("p", { class: "notice", role: "status" }, `Loading ${what} …`);
}

export function empty(title, hint) {
  return h("div", { class: "notice" }, h("strong", {}, title), hint && h("span", {}, hint));
}

export function failure(error) {
  return error && h("div", { class: "notice notice-bad", role: "alert" }, sign("bad"), h("span", {}, error.message ?? String(error)));
}
