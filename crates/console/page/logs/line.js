// One log line, and its attributes when it is opened.

import { h } from "../core/dom.js";
import { plain } from "../core/format.js";
import { address } from "../core/router.js";
import { clock } from "../core/time.js";
import { tierOf } from "../system/graph.js";
import { tierMark } from "../parts/mark.js";

const drawn = new WeakMap();
let keys = 0;

/** A line is drawn once: it never changes but by being opened. */
export function line(log, isOpen, toggle) {
  const before = drawn.get(log);
  if (before?.isOpen === isOpen) return before.vnode;
  const vnode = draw(log, isOpen, toggle, before?.vnode.key ?? `line${(keys += 1)}`);
  drawn.set(log, { isOpen, vnode });
  return vnode;
}

function draw(log, isOpen, toggle, key) {
  return h("li", { class: `log log-${log.level}`, key },
    h("div", { class: "log-row", tabindex: "0", role: "button", "aria-expanded": String(isOpen), onclick: () => !String(getSelection()) && toggle(log), onkeydown: (event) => event.key === "Enter" && event.target === event.currentTarget && toggle(log) },
      h("span", { class: "log-time muted" }, clock(log.time)),
      h("span", { class: `level level-${log.level}` }, log.level),
      h("span", { class: "log-node" }, tierMark(tierOf({ role: log.role })), log.node ?? log.service),
      h("span", { class: "log-body" }, log.body),
      log.trace_id && h("a", { class: "log-trace", href: address(`/traces/${encodeURIComponent(log.trace_id)}`, { span: log.span_id }), onclick: (event) => event.stopPropagation() }, "trace")),
    isOpen && h("dl", { class: "pairs mono log-detail" }, Object.entries(all(log)).map(([name, value]) =>
      value !== null && value !== undefined && value !== "" && [h("dt", { key: name }, name), h("dd", { key: `${name} is` }, plain(value))])));
}

function all({ target, zone, service, trace_id: trace, span_id: span, attributes }) {
  return { target, service, zone, trace_id: trace, span_id: span, ...attributes };
}
