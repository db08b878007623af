// Beneath the picture, what all nodes talk to: the configuration service and the observer, each with the sum of its edges.

import { h } from "../core/dom.js";
import { duration, percent, plural, rate } from "../core/format.js";
import { address } from "../core/router.js";
import { tierShape } from "../parts/mark.js";
import { cut } from "./boxes.js";
import { RAILS, summed } from "./graph.js";
import { ERRORS_WORTH_SAYING, curve } from "./links.js";

const CHARACTER = 6;

export function rails(graph, drawing, focus) {
  return h("g", { class: "rails", key: "rails" },
    h("path", { class: "bus", d: `M0 ${drawing.bus}H${drawing.width}` }),
    drawing.rails.map((rail) => one(rail, graph, drawing, focus)));
}

function one({ id, x, y, w, h: height, trunk }, graph, drawing, focus) {
  const links = graph.links.filter((link) => link.to === id);
  const own = graph.nodes.has(focus) ? links.filter((link) => link.from === focus) : links;
  const sum = summed(own);
  const observer = (graph.columns.get("observer") ?? [])[0];
  const target = id === "observer" && observer ? address("/system", { node: observer.name }) : address("/metrics", { board: id });
  const figures = text(sum);
  const room = Math.floor((w - 50 - Math.max(...figures.map((words) => words.length)) * CHARACTER) / CHARACTER);
  return h("g", { key: id },
    line(id, sum, `M${trunk} ${drawing.bus}V${y}`),
    focus && own.map((link) => drawing.boxes.has(link.from) && line(id, link, fall(drawing.boxes.get(link.from), trunk, drawing.bus))),
    h("a", { class: "rail", href: target, transform: `translate(${x} ${y})`, "data-rail": id, "aria-label": `${RAILS[id]}: ${figures.join(", ")}` },
      h("rect", { width: w, height, rx: 10 }),
      tierShape(id, 14, height / 2 - 7),
      h("text", { class: "name", x: 36, y: 19 }, RAILS[id]),
      h("text", { class: "figures", x: 36, y: 35 }, cut(told(id, graph, observer), room)),
      figures.map((words, i) => h("text", { class: sum?.error_rate > ERRORS_WORTH_SAYING && i ? "figures figures-bad" : "figures", x: w - 14, y: figures.length > 1 ? 19 + i * 16 : height / 2 + 4, "text-anchor": "end" }, words))));
}

function text(sum) {
  if (!sum) return ["idle"];
  const first = [rate(sum.rate), sum.p95_ms && `p95 ${duration(sum.p95_ms)}`].filter(Boolean).join(" · ");
  return sum.error_rate > ERRORS_WORTH_SAYING ? [first, `✕ ${percent(sum.error_rate)}`] : [first];
}

function told(id, graph, observer) {
  const nodes = [...graph.nodes.values()];
  if (id === "observer") return observer ? `${observer.name} takes traces, logs and metrics` : "takes traces, logs and metrics of every node";
  const leaders = nodes.filter((node) => node.leads?.length).map((node) => `${node.name} leads ${node.leads.join(", ")}`);
  return leaders.join("; ") || `${plural(nodes.filter((node) => node.kind !== "engine").length, "node")} watch members, flags and settings`;
}

function line(id, link, d) {
  const kinds = ["link", `link-${id}`, "is-near", !link?.rate && "is-idle", link?.error_rate > ERRORS_WORTH_SAYING && "is-failing"];
  return h("g", { class: kinds.filter(Boolean).join(" ") }, h("path", { d, "stroke-width": 1.4 }), link?.rate && h("path", { class: "flow flow-1", d }));
}

/** From a box down to the rail of the one that it talks to. */
function fall(box, x, y) {
  return curve(box.x + box.w / 2, box.y + box.h, x, y, true);
}
