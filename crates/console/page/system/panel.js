// One node in full: what it is, its traffic, its metrics, its latest logs and traces.

import { get } from "../core/api.js";
import { h } from "../core/dom.js";
import { bytes, duration, percent, quantity, rate, span } from "../core/format.js";
import { live } from "../core/live.js";
import { poll } from "../core/poll.js";
import { address, amend } from "../core/router.js";
import { ago, clock } from "../core/time.js";
import { range } from "../metrics/series.js";
import { sign, state, tierMark } from "../parts/mark.js";
import { sparkline } from "../parts/sparkline.js";
import { tierOf } from "./graph.js";
import { ERRORS_WORTH_SAYING } from "./links.js";
import { metricsOf } from "./panel-metrics.js";

export class Panel {
  #redraw;
  #name = null;
  #found = {};
  #stop = null;
  #isKnown = false;

  constructor(redraw) {
    this.#redraw = redraw;
  }

  show(name) {
    if (name === this.#name) return;
    this.close();
    this.#name = name;
    this.#found = {};
    if (name) this.#begin();
  }

  /** Its role says which metrics to ask for: asked anew once the topology is there. */
  #begin() {
    this.#stop?.();
    this.#isKnown = Boolean(this.#node());
    const name = this.#name;
    this.#stop = poll((signal) => this.#ask(name, signal), 5000);
  }

  close() {
    this.#stop?.();
    this.#stop = null;
  }

  async #ask(name, signal) {
    const end = Math.floor(Date.now() / 1000);
    const time = { start: end - 900, end, step: 15 };
    const node = this.#node();
    const metrics = node ? metricsOf(node) : [];
    const quietly = (promise) => promise.catch(() => null);
    const [logs, traces, ...series] = await Promise.all([
      quietly(get("/api/logs", { node: name, limit: 8 }, signal)),
      quietly(get("/api/traces", { node: name, limit: 6 }, signal)),
      ...metrics.map(({ query }) => quietly(range(query, time, signal))),
    ]);
    if (this.#name !== name) return;
    this.#found = { logs: logs?.logs, traces: traces?.traces, series: metrics.map((metric, i) => ({ ...metric, points: series[i]?.[0]?.points ?? [] })) };
    this.#redraw();
  }

  #node() {
    return live.topology?.nodes.find((node) => node.name === this.#name);
  }

  render() {
    if (!this.#name) return null;
    const node = this.#node();
    if (node && !this.#isKnown) this.#begin();
    return h("aside", { class: "drawer", key: "drawer", "aria-label": `Node ${this.#name}` },
      h("header", { class: "head" },
        node && tierMark(tierOf(node)), h("h2", {}, this.#name),
        node && state(node.state),
        h("button", { class: "quiet icon push", "aria-label": "Close", onclick: () => amend({ node: null }) }, "✕")),
      node && h("p", {}, h("a", { href: address("/faults", { of: this.#name }) }, "Break it")),
      node ? facts(node) : live.topology && h("p", { class: "muted" }, "This node is not in the topology now. What it told is kept:"),
      node && traffic(this.#name), this.#charts(), this.#traces(), this.#logs());
  }

  #charts() {
    return h("div", { class: "minis" }, (this.#found.series ?? []).map(({ title, unit, query, points }) =>
      h("a", { class: "mini", key: title, href: address("/metrics", { query }) },
        h("span", { class: "muted" }, title), h("strong", {}, quantity(points.at(-1)?.[1] ?? NaN, unit)),
        sparkline(points, { width: 150, height: 30, label: `${title}, last 15 minutes` }))));
  }

  #traces() {
    return h("section", {},
      h("div", { class: "head" }, h("h3", {}, "Traces"), h("a", { class: "push", href: address("/traces", { node: this.#name }) }, "All traces")),
      h("ol", { class: "feed tight" }, listed(this.#found.traces, "No traces of this node are kept.", (trace) => h("li", { key: trace.trace_id },
        trace.status === "error" ? state("error") : tierMark(trace.root.tier),
        h("a", { class: "feed-text", href: address(`/traces/${trace.trace_id}`) }, trace.root.operation),
        h("span", { class: "number" }, duration(trace.duration_ms)), h("span", { class: "muted number" }, ago(trace.start))))));
  }

  #logs() {
    return h("section", {},
      h("div", { class: "head" }, h("h3", {}, "Logs"), h("a", { class: "push", href: address("/logs", { node: this.#name }) }, "All logs")),
      h("ol", { class: "feed tight mono" }, listed(this.#found.logs, "No log lines of this node are kept.", (log, i) => h("li", { key: `${log.time}${i}` },
        h("span", { class: "muted" }, clock(log.time)), h("span", { class: `level level-${log.level}` }, log.level), h("span", { class: "feed-text" }, log.body)))));
  }
}

/** The edges of the picture that begin or end here, in words. */
function traffic(name) {
  const edges = (live.topology.edges ?? []).filter(({ from, to }) => from === name || to === name);
  if (!edges.length) return null;
  return h("section", {}, h("h3", {}, "Traffic, last minute"),
    h("ol", { class: "feed tight" }, edges.map((edge) => {
      const { from, to, kind, error_rate: errors, p95_ms: p95 } = edge;
      return h("li", { key: `${from} ${to} ${kind}` },
        h("span", { class: "feed-text" }, from === name ? `to ${to}` : `from ${from}`, h("span", { class: "muted" }, ` · ${kind}`)),
        errors > ERRORS_WORTH_SAYING && h("span", { class: "state-bad number" }, sign("bad"), ` ${percent(errors)}`),
        h("span", { class: "number" }, kind === "replication" ? `${bytes(Math.round(edge.rate))}/s` : rate(edge.rate)),
        h("span", { class: "muted number" }, p95 ? `${kind === "replication" ? "lag" : "p95"} ${duration(p95)}` : ""));
    })));
}

function listed(list, none, show) {
  if (!list) return h("li", { class: "muted" }, "Loading …");
  return list.length ? list.map(show) : h("li", { class: "muted" }, none);
}

function facts(node) {
  const { database } = node;
  const pairs = [
    ["Role", database?.role ?? node.role],
    ["Zone", node.zone],
    ["Leads", node.leads?.length ? node.leads.join(", ") : null],
    ["Lag", database?.role === "replica" ? duration(database.lag_ms ?? NaN) : null],
    ["Log position", database?.lsn],
    ["Process", node.pid],
    ["Address", node.address],
    ["Admin", node.admin],
    ["Up", node.uptime_s === null || node.uptime_s === undefined ? null : span(node.uptime_s)],
    ["Restarts", node.restarts],
    ["Build", node.build],
    ["Alone", database?.alone ? "it may have acknowledged what no replica has" : null],
    ["Broken", (live.topology.faults ?? []).filter(({ id }) => node.faults?.includes(id)).map(({ text }) => text).join("; ")],
  ];
  return h("dl", { class: "pairs" }, pairs
    .filter(([, value]) => value !== null && value !== undefined && value !== "")
    .map(([name, value]) => [h("dt", { key: name }, name), h("dd", { key: `${name} is`, class: "number-left" }, String(value))]));
}
