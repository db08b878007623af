// One span opened: its attributes, events, links, and the log lines that were written in it.

import { h } from "../core/dom.js";
import { duration, plain } from "../core/format.js";
import { address } from "../core/router.js";
import { clock } from "../core/time.js";
import { sign } from "../parts/mark.js";
import { ownMs } from "./tree.js";

export function spanDetail(row, logs) {
  const { span } = row;
  return h("div", { class: "span-detail" },
    span.status === "error" && h("p", { class: "notice notice-bad" }, sign("bad"), h("span", {}, span.status_message || "This span failed and gave no message.")),
    h("dl", { class: "pairs facts" },
      pair("Node", span.node ? h("a", { href: address("/system", { node: span.node }) }, span.node) : span.service),
      pair("Zone", span.zone), pair("Kind", span.kind),
      pair("Began", [clock(span.start), h("span", { class: "muted" }, ` +${duration(span.offset_ms)}`)]),
      pair("Took", [duration(span.duration_ms), h("span", { class: "muted" }, ` of which ${duration(ownMs(row))} by itself`)])),
    attributes("Attributes", span.attributes),
    events(span.events),
    lines(logs),
    links(span.links),
    attributes("Resource", span.resource, false),
    h("p", { class: "muted mono" }, `span ${span.span_id}`));
}

function pair(name, value) {
  return value !== null && value !== undefined && value !== "" && [h("dt", { key: name }, name), h("dd", { key: `${name} is` }, value)];
}

function attributes(title, map, isOpen = true) {
  const entries = Object.entries(map ?? {});
  if (!entries.length) return null;
  return h("details", { class: "block", open: isOpen, key: title }, h("summary", {}, title),
    h("dl", { class: "pairs mono" }, entries.map(([name, value]) => pair(name, plain(value)))));
}

function events(list) {
  if (!list?.length) return null;
  return h("details", { class: "block", open: true, key: "events" }, h("summary", {}, "Events"),
    list.map((event, i) => h("div", { class: "event", key: i },
      h("span", { class: "muted number" }, `+${duration(event.offset_ms)}`), h("strong", {}, event.name),
      h("dl", { class: "pairs mono" }, Object.entries(event.attributes ?? {}).map(([name, value]) => pair(name, plain(value)))))));
}

function lines(logs) {
  if (!logs.length) return null;
  return h("details", { class: "block", open: true, key: "logs" }, h("summary", {}, "Logs"),
    h("ol", { class: "feed tight mono" }, logs.map((log, i) => h("li", { key: i },
      h("span", { class: "muted" }, clock(log.time)), h("span", { class: `level level-${log.level}` }, log.level), h("span", {}, log.body)))));
}

function links(list) {
  if (!list?.length) return null;
  return h("details", { class: "block", open: true, key: "links" }, h("summary", {}, "Links"),
    h("ul", {}, list.map((link) => h("li", { key: link.span_id },
      h("a", { href: address(`/traces/${encodeURIComponent(link.trace_id)}`, { span: link.span_id }) }, `span ${link.span_id} of trace ${link.trace_id}`)))));
}
