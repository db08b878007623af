// One trace: what it was, why it failed, where its time went, what it set off; then its waterfall.

import { get } from "../core/api.js";
import { h } from "../core/dom.js";
import { duration, plural } from "../core/format.js";
import { address } from "../core/router.js";
import { during } from "../faults/during.js";
import { moment } from "../core/time.js";
import { sign, state, tierMark, tierOf } from "../parts/mark.js";
import { failure, loading } from "../parts/notice.js";
import { byTier, cause, tree } from "./tree.js";
import { Waterfall } from "./waterfall.js";

/** Spans of a trace that is still being written come within seconds: asked for again for a while. */
const AGAIN_MS = [1500, 3000, 6000];

export class Trace {
  #redraw;
  #id;
  #waterfall;
  #trace = null;
  #tree = null;
  #error = null;
  #faults = [];
  #timers = [];

  constructor(id, redraw) {
    this.#id = id;
    this.#redraw = redraw;
    this.#waterfall = new Waterfall(redraw);
    this.#load();
    this.#timers = AGAIN_MS.map((ms) => setTimeout(() => this.#load(), ms));
  }

  get id() {
    return this.#id;
  }

  focus(span) {
    this.#waterfall.open(span);
  }

  close() {
    this.#timers.forEach(clearTimeout);
  }

  async #load() {
    try {
      const trace = await get(`/api/traces/${encodeURIComponent(this.#id)}`);
      if (trace.spans.length === this.#trace?.spans.length && trace.logs?.length === this.#trace.logs?.length && trace.linked?.length === this.#trace.linked?.length) return;
      this.#trace = trace;
      this.#tree = tree(trace.spans);
      this.#error = null;
      const began = new Date(trace.start).getTime() / 1000;
      this.#faults = await during(began, began + trace.duration_ms / 1000);
    } catch (error) {
      if (!this.#trace) this.#error = error.status === 404 ? new Error("This trace is not kept: it was not sampled, or has passed its retention.") : error;
    }
    this.#redraw();
  }

  render() {
    if (this.#error) return [back(), failure(this.#error)];
    if (!this.#trace) return [back(), loading("the trace")];
    const trace = this.#trace;
    const root = this.#tree.roots[0]?.span;
    const failed = cause(this.#tree);
    return [
      back(),
      h("div", { class: "head trace-head" },
        root && tierMark(root.tier), h("h1", {}, titleOf(root, this.#tree.rows)),
        failed ? state("error") : state("ok"),
        h("span", { class: "push row" }, h("a", { class: "button", href: address("/traces", { compare: trace.trace_id }) }, "Compare with …"),
          h("a", { class: "button", href: address("/logs", { trace_id: trace.trace_id }) }, "Logs"))),
      broken(this.#faults),
      summary(trace),
      failed && whyItFailed(failed, trace),
      times(this.#tree.rows),
      linked(trace),
      h("section", { class: "card", "aria-label": "Waterfall" }, this.#waterfall.render(trace, this.#tree.rows)),
      unplaced(trace),
    ];
  }
}

/** As in the list: a proxy in front knows the method alone, the first server with a route knows more. */
function titleOf(root, rows) {
  const asked = root?.kind === "server" && rows.find(({ span }) => span.kind === "server" && span.attributes?.["http.route"]);
  return asked ? asked.span.name : root?.name ?? "Trace";
}

/** What was broken on purpose while it ran. */
function broken(faults) {
  return faults.length > 0 && h("div", { class: "notice notice-fault", key: "faults" }, sign("warn"), h("span", {}, "While it ran: ", faults.map(({ text }) => text).join("; "), ". ", h("a", { href: "/faults" }, "Faults")));
}

function back() {
  return h("p", {}, h("a", { href: "/traces" }, "← All traces"));
}

function summary(trace) {
  const nodes = [...new Set(trace.spans.map((span) => span.node ?? span.service))];
  return h("p", { class: "summary" },
    h("strong", {}, duration(trace.duration_ms)), h("span", {}, plural(trace.spans.length, "span")),
    h("span", {}, "at ", moment(trace.start)),
    h("span", { class: "row" }, nodes.map((node) => h("span", { class: "chip", key: node }, node))),
    h("code", { class: "muted" }, trace.trace_id));
}

function whyItFailed({ span }, trace) {
  const told = (trace.logs ?? []).filter((log) => log.level === "ERROR" || log.level === "WARN").sort((a, b) => (b.span_id === span.span_id) - (a.span_id === span.span_id))[0];
  const exception = span.events?.find((event) => event.name === "exception")?.attributes;
  const message = span.status_message || exception?.["exception.message"] || "it gave no message";
  return h("section", { class: "cause card", role: "note", "aria-label": "Why it failed" },
    sign("bad"),
    h("div", {},
      h("p", {}, h("strong", {}, "Failed in "), h("a", { href: address(`/traces/${trace.trace_id}`, { span: span.span_id }) }, span.name), " on ", h("strong", {}, span.node ?? span.service), ":"),
      h("p", { class: "cause-message mono" }, message),
      told && told.body !== message && h("p", { class: "muted" }, `${told.node ?? told.service} logged: `, h("span", { class: "mono" }, told.body))));
}

/** Where the time went, by tier: each named beneath, since colours alone tell nothing. */
function times(rows) {
  const tiers = byTier(rows);
  const total = tiers.reduce((sum, [, ms]) => sum + ms, 0) || 1;
  return h("section", { class: "times", "aria-label": "Time by tier" },
    h("div", { class: "times-bar", "aria-hidden": "true" }, tiers.map(([tier, ms]) => h("i", { key: tier, class: `bar-${tierOf(tier)}`, style: { "flex-grow": String(ms / total) } }))),
    h("ul", { class: "times-key" }, tiers.map(([tier, ms]) => h("li", { key: tier }, tierMark(tier), h("span", {}, tier), h("b", {}, duration(ms)), h("span", { class: "muted" }, `${Math.round((ms / total) * 100)} %`)))));
}

function linked(trace) {
  const here = trace.trace_id;
  const started = (trace.linked ?? []).filter((link) => link.trace_id !== here);
  const starters = trace.spans.flatMap((span) => span.links ?? []).filter((link) => link.trace_id && link.trace_id !== here);
  const list = (title, links, name) => links.length > 0 && h("p", { key: title, class: "row" }, h("strong", {}, title), links.map((link) =>
    h("a", { class: "chip chip-accent", key: link.span_id, href: address(`/traces/${encodeURIComponent(link.trace_id)}`, { span: link.span_id }) }, name(link))));
  return (started.length > 0 || starters.length > 0) && h("section", { class: "stack linked" },
    list("It set off", started, (link) => link.operation || `trace ${link.trace_id.slice(0, 8)}`),
    list("It was set off by", starters, (link) => `trace ${link.trace_id.slice(0, 8)}`));
}

/** Log lines whose span is not here. */
function unplaced(trace) {
  const known = new Set(trace.spans.map((span) => span.span_id));
  const rest = (trace.logs ?? []).filter((log) => !known.has(log.span_id));
  return rest.length > 0 && h("section", { class: "card" }, h("header", {}, h("h2", {}, "Logs outside of its spans")),
    h("ol", { class: "feed tight mono pad" }, rest.map((log, i) => h("li", { key: i }, h("span", { class: `level level-${log.level}` }, log.level), h("span", {}, log.node ?? log.service), h("span", { class: "feed-text" }, log.body)))));
}
