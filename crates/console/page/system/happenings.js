// What happened since the page was opened, newest first.

import { h } from "../core/dom.js";
import { address } from "../core/router.js";
import { moment } from "../core/time.js";
import { sign } from "../parts/mark.js";

const GRAVE = { started: "ok", left: "warn", died: "bad", crashed: "bad", down: "bad", lost: "bad", firing: "bad", restarted: "ok", ready: "ok", recovered: "ok", resolved: "ok", elected: "busy", promoted: "busy", draining: "warn", restarting: "warn", paused: "warn", fault: "warn", healed: "ok" };

export function happenings(list) {
  return h("section", { class: "card", "aria-labelledby": "happenings" },
    h("header", {}, h("h2", { id: "happenings" }, "What happened")),
    h("ol", { class: "feed", "aria-live": "polite" },
      list.length ? list.map(entry) : h("li", { class: "muted" }, "Nothing since this page was opened. Deaths, restarts and elections appear here.")));
}

function entry(happening) {
  const { at, kind, node, text } = happening;
  return h("li", { key: `${at} ${kind} ${node} ${text}` },
    sign(GRAVE[kind] ?? "idle"),
    h("span", { class: "feed-text" }, node && h("a", { href: address("/system", { node }) }, node), node ? " " : "", rest(text ?? kind, node)),
    h("span", { class: "muted" }, moment(at)));
}

/** The node's name stands before as a link, and is not said twice. */
function rest(text, node) {
  return node && text.startsWith(`${node} `) ? text.slice(node.length + 1) : text;
}
