// Two traces side by side: the same steps on the same lines, with what each took and the difference.

import { get } from "../core/api.js";
import { h } from "../core/dom.js";
import { duration } from "../core/format.js";
import { moment } from "../core/time.js";
import { sign, tierMark, tierOf } from "../parts/mark.js";
import { failure, loading } from "../parts/notice.js";
import { chips } from "./facts.js";
import { tree } from "./tree.js";

const WORTH_SAYING_MS = 0.05;

export class Comparison {
  #redraw;
  #pair = null;
  #error = null;

  constructor(ids, redraw) {
    this.ids = ids;
    this.#redraw = redraw;
    Promise.all(ids.map((id) => get(`/api/traces/${encodeURIComponent(id)}`)))
      .then((pair) => (this.#pair = pair), (error) => (this.#error = error))
      .finally(() => this.#redraw());
  }

  render() {
    const back = h("p", { key: "back" }, h("a", { href: "/traces" }, "← All traces"));
    if (this.#error) return [back, failure(this.#error)];
    if (!this.#pair) return [back, loading("both traces")];
    const [a, b] = this.#pair;
    const rows = aligned(a, b);
    const longest = Math.max(a.duration_ms, b.duration_ms) || 1;
    return [
      back, h("h1", { key: "title" }, "Two traces compared"),
      h("div", { class: "card scroll", key: "table" }, h("table", { class: "compare" },
        h("thead", {}, h("tr", {}, h("th", {}, "Step"), [a, b].map((trace, i) => h("th", { key: i },
          h("a", { href: `/traces/${trace.trace_id}` }, `${"AB"[i]}: ${duration(trace.duration_ms)}`), " at ", moment(trace.start))), h("th", { class: "number" }, "B against A"))),
        h("tbody", {}, rows.map((row, i) => h("tr", { key: i },
          h("td", {}, h("div", { class: "row", style: { "padding-left": `${Math.min(row.depth, 16) * 14}px` } }, tierMark((row.a ?? row.b).tier), (row.a ?? row.b).name)),
          side(row.a, longest), side(row.b, longest), h("td", { class: "number" }, difference(row))))))),
    ];
  }
}

/** The steps of both, in A's order; a step is known again by its place in the tree and its name. */
function aligned(a, b) {
  const paths = (trace) => {
    const names = new Map();
    const seen = new Map();
    const found = [];
    const { rows } = tree(trace.spans);
    const walk = (row, parent) => {
      const name = `${parent}/${row.span.tier}:${row.span.name}`;
      const nth = (seen.get(name) ?? 0) + 1;
      seen.set(name, nth);
      const path = `${name}#${nth}`;
      names.set(path, row.span);
      found.push({ path, parent, depth: row.depth, span: row.span });
      row.children.forEach((child) => walk(child, path));
    };
    rows.filter((row) => row.depth === 0).forEach((row) => walk(row, ""));
    return { names, found };
  };
  const [left, right] = [paths(a), paths(b)];
  const rows = left.found.map(({ path, depth, span }) => ({ path, depth, a: span, b: right.names.get(path) ?? null }));
  for (const { path, parent, depth, span } of right.found) {
    if (left.names.has(path)) continue;
    let at = rows.findIndex((row) => row.path === parent);
    while (at + 1 < rows.length && rows[at + 1].depth >= depth && at >= 0) at += 1;
    rows.splice(at < 0 ? rows.length : at + 1, 0, { path, depth, a: null, b: span });
  }
  return rows;
}

function side(span, longest) {
  if (!span) return h("td", { class: "muted" }, "not in this one");
  return h("td", {}, h("div", { class: "row" }, span.status === "error" && sign("bad"), h("b", {}, duration(span.duration_ms)), h("span", { class: "muted" }, span.node ?? span.service), chips(span)),
    h("i", { class: `bar bar-${tierOf(span.tier)}`, style: { "margin-left": `${((span.offset_ms / longest) * 100).toFixed(2)}%`, width: `${Math.max(0.5, (span.duration_ms / longest) * 100).toFixed(2)}%` } }));
}

function difference({ a, b }) {
  if (!a || !b) return "–";
  const by = b.duration_ms - a.duration_ms;
  if (Math.abs(by) < WORTH_SAYING_MS) return h("span", { class: "muted" }, "same");
  return `${by > 0 ? "+" : "−"}${duration(Math.abs(by))}`;
}
