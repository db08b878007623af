// The boxes of the picture: nodes and engines with their standing, and the places between them.

import { h } from "../core/dom.js";
import { duration, percent, rate } from "../core/format.js";
import { address } from "../core/router.js";
import { signShape, standing, tierShape } from "../parts/mark.js";
import { inflow, tierOf } from "./graph.js";
import { shortened } from "./names.js";

const CHANGED_MS = 2500;

export function frames(drawing) {
  return h("g", { class: "frames", key: "frames" },
    drawing.frames.map(({ zone, x, y, w, h: height }) => h("g", { key: `${x}:${y}:${zone}` },
      h("rect", { x, y, width: w, height, rx: 12 }),
      h("text", { x: x + 11, y: y + 15 }, zone ? `zone ${zone}` : "no zone"))));
}

export function titles(drawing) {
  return h("g", { class: "titles", key: "titles" }, drawing.titles.map(({ text, column, x, y, anchor }) =>
    h("text", { x, y, "text-anchor": anchor, key: column }, text)));
}

export function boxes(graph, drawing, { focus, changed, hit, onHover }) {
  return h("g", { class: "boxes", key: "boxes" }, [...drawing.boxes.values()].map((box) => {
    const node = graph.nodes.get(box.name);
    return node ? nodeBox(node, box, graph, { isFocus: focus === box.name, changed, onHover }) : placeBox(box, graph, hit, onHover);
  }));
}

function nodeBox(node, box, graph, { isFocus, changed, onHover }) {
  const isHurt = node.faults?.length || node.database?.alone;
  const as = isHurt && standing(node.state) === "ok" ? "warn" : standing(node.state);
  const isMini = box.h < 40;
  const isNew = performance.now() - (changed.get(node.name) ?? -Infinity) < CHANGED_MS;
  const words = figures(node, graph);
  const classes = ["node", isMini && "is-mini", `node-${as}`, isFocus && "is-focus", isNew && "is-new"];
  const room = isMini ? box.w - (as === "ok" ? 14 : 30) : box.w - 53;
  return h("a", {
    class: classes.filter(Boolean).join(" "), key: node.name, href: address("/system", { node: node.name }),
    transform: `translate(${box.x.toFixed(1)} ${box.y.toFixed(1)})`, "data-node": node.name, "data-state": node.state,
    "aria-label": `${node.name}, ${node.database?.role ?? node.role}, ${node.state}, ${words.join(", ")}`,
    onmouseenter: () => onHover(node.name), onmouseleave: () => onHover(null), onfocus: () => onHover(node.name), onblur: () => onHover(null),
  },
  h("rect", { class: "card-box", width: box.w.toFixed(1), height: box.h, rx: isMini ? 7 : 9 }),
  !isMini && tierShape(tierOf(node), 9, 9),
  h("text", { class: "name", x: isMini ? 8 : 29, y: isMini ? 18.5 : 20 }, shortened(node.name, room, isMini)),
  !(isMini && as === "ok") && signShape(as, box.w - (isMini ? 19 : 23), isMini ? 7 : 9),
  !isMini && h("text", { class: as === "ok" ? "figures" : `figures figures-${as}`, x: 11, y: 39 }, fitting(words, Math.floor((box.w - 16) / 6.1))),
  h("title", {}, `${node.name}: ${node.state}`));
}

/** What a node's second line says: what is wrong, else how far behind it is or its load. */
function figures(node, graph) {
  if (standing(node.state) !== "ok") return [node.state];
  if (node.faults?.length) return ["broken on purpose"];
  if (node.database?.alone) return ["alone: no replica"];
  const { database } = node;
  if (database?.role === "replica") return [database.lag_ms === null || database.lag_ms === undefined ? "lag unknown" : `${duration(database.lag_ms)} behind`];
  const flow = inflow(graph.links, node.name);
  const words = node.leads?.length ? [`★ ${node.leads.join(", ")}`] : [];
  if (flow) words.push(rate(flow.rate));
  if (flow?.p95_ms && !words[1]) words.push(duration(flow.p95_ms));
  return words.length ? words : ["idle"];
}

function placeBox(box, graph, hit, onHover) {
  const flow = graph.links.filter((link) => link.to === box.name && link.rate);
  const sum = flow.reduce((all, link) => all + link.rate, 0);
  const detail = box.name === "cache" && Number.isFinite(hit) ? `${percent(hit)} hits` : null;
  const middle = box.w / 2;
  const hasMark = box.name !== "client";
  return h("g", { class: `place place-${box.name}`, key: box.name, transform: `translate(${box.x.toFixed(1)} ${box.y.toFixed(1)})`, onmouseenter: () => onHover(box.name), onmouseleave: () => onHover(null) },
    h("rect", { class: "card-box", width: box.w, height: box.h, rx: box.name === "client" ? box.h / 2 : 12 }),
    hasMark && tierShape(box.name, middle - box.label.length * 3.9 - 12, box.h / 2 - (box.h > 60 ? 15 : 11)),
    h("text", { class: "name", x: middle + (hasMark ? 8 : 0), y: box.h / 2 + (hasMark ? (box.h > 60 ? -4 : 0) : 5), "text-anchor": "middle" }, box.label),
    hasMark && h("text", { class: "figures", x: middle, y: box.h / 2 + (box.h > 60 ? 15 : 16), "text-anchor": "middle" }, detail ?? (sum ? rate(sum) : "idle")));
}

/** As many of the words as there is room for, and the first in any case. */
function fitting(words, length) {
  const fits = words.filter((_, i) => words.slice(0, i + 1).join(" · ").length <= length);
  return cut((fits.length ? fits : words.slice(0, 1)).join(" · "), length);
}

export function cut(text, length) {
  return text.length > length ? `${text.slice(0, Math.max(1, length - 1))}…` : text;
}
