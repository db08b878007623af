// Found traces: a cloud of points over time, and the list.

import { h } from "../core/dom.js";
import { duration, plural } from "../core/format.js";
import { go } from "../core/router.js";
import { ago, tick } from "../core/time.js";
import { state, tierMark } from "../parts/mark.js";
import { scale, ticks, timeTicks } from "../parts/scale.js";

const HEIGHT = 118;

/** Duration over time; a failed one is a cross, not just red. */
export function cloud(traces, width) {
  if (traces.length < 2 || !width) return null;
  const at = traces.map((trace) => new Date(trace.start).getTime() / 1000);
  const [start, end] = [Math.min(...at), Math.max(...at)];
  const marks = ticks(Math.max(...traces.map((trace) => trace.duration_ms)), 2);
  const x = scale(start, Math.max(end, start + 1), 64, width - 16);
  const y = scale(0, marks.at(-1), HEIGHT - 24, 12);
  return h("svg", { class: "cloud", width, height: HEIGHT, viewBox: `0 0 ${width} ${HEIGHT}`, role: "group", "aria-label": "Durations over time" },
    h("g", { class: "axes", key: "axes" },
      marks.map((mark) => [h("line", { x1: 64, x2: width - 16, y1: y(mark), y2: y(mark) }), h("text", { x: 56, y: y(mark) + 4, "text-anchor": "end" }, duration(mark))]),
      timeTicks(start, end, Math.floor(width / 130)).at.map((one) => h("text", { x: x(one), y: HEIGHT - 6, "text-anchor": "middle" }, tick(one, end - start < 600)))),
    traces.map((trace, i) => h("a", { key: trace.trace_id, href: `/traces/${trace.trace_id}`, tabindex: "-1", class: trace.status === "error" ? "point point-bad" : "point" },
      h("title", {}, `${trace.root.operation}: ${duration(trace.duration_ms)}${trace.status === "error" ? ", failed" : ""}`),
      trace.status === "error"
        ? h("path", { d: "M-4-4 4 4M-4 4 4-4", transform: `translate(${x(at[i]).toFixed(1)} ${y(trace.duration_ms).toFixed(1)})` })
        : h("circle", { cx: x(at[i]).toFixed(1), cy: y(trace.duration_ms).toFixed(1), r: 4 }))));
}

/** `chosen` are those to compare. */
export function list(traces, chosen, onChoose) {
  const longest = Math.max(...traces.map((trace) => trace.duration_ms), 0.001);
  const isMixed = new Set(traces.map((trace) => trace.root.service)).size > 1;
  return h("div", { class: "scroll" }, h("table", { class: "traces" },
    h("thead", {}, h("tr", {},
      h("th", { class: "choose" }, h("span", { class: "hidden" }, "Compare")), h("th", {}, "Request"), h("th", {}, "Status"), h("th", { class: "wide-only" }, "Nodes"),
      h("th", { class: "number wide-only" }, "Spans"), h("th", {}, "Duration"), h("th", { class: "number wide-only" }, "Began"))),
    h("tbody", {}, traces.map((trace) => row(trace, longest, isMixed, chosen, onChoose)))));
}

function row(trace, longest, isMixed, chosen, onChoose) {
  const { trace_id: id, root } = trace;
  const open = (event) => !event.target.closest("a, input") && go(`/traces/${id}`);
  return h("tr", { key: id, class: "leads", onclick: open },
    h("td", { class: "choose" }, h("input", { type: "checkbox", "aria-label": `Compare ${root.operation}`, checked: chosen.has(id), onchange: () => onChoose(id) })),
    h("td", {}, h("div", { class: "row" }, tierMark(root.tier), h("a", { class: "trace-link", href: `/traces/${id}` }, root.operation)),
      isMixed && h("small", { class: "muted" }, root.service)),
    h("td", {}, trace.status === "error" ? state(plural(trace.errors, "error"), "bad") : state("ok"), trace.kept && trace.kept !== "sampled" && h("small", { class: "muted kept" }, `kept: ${trace.kept}`)),
    h("td", { class: "wide-only" }, h("div", { class: "row nodes" }, (trace.nodes ?? []).slice(0, 4).map((node) => h("span", { class: "chip", key: node }, node)), trace.nodes?.length > 4 && h("span", { class: "muted" }, `+${trace.nodes.length - 4}`))),
    h("td", { class: "number wide-only" }, trace.spans),
    h("td", { class: "duration" }, h("b", {}, duration(trace.duration_ms)),
      h("i", { class: trace.status === "error" ? "bar is-failed" : "bar", style: { width: `${Math.max(1, (trace.duration_ms / longest) * 100).toFixed(1)}%` } })),
    h("td", { class: "number muted wide-only" }, ago(trace.start)));
}

export function comparison(chosen) {
  return chosen.length > 0 && h("p", { class: "barrier row" }, "One trace is chosen; choose another to compare it with. ", h("a", { href: "/traces" }, "Choose none"));
}
