// The lines of the picture: a path for each link, and for each bundle of links one label with their sum.

import { h } from "../core/dom.js";
import { bytes, duration, percent, rate } from "../core/format.js";
import { address } from "../core/router.js";
import { columnOf, merged } from "./graph.js";

/** How far a line within a column swings out. */
const ASIDE = 46;
export const ERRORS_WORTH_SAYING = 0.0005;
/** From the top of a narrow picture's row to the name of what flows into it: over the row's title. */
const ABOVE = 31;

export function links(graph, drawing, focus) {
  const known = graph.links.filter(({ from, to }) => drawing.boxes.has(from) && drawing.boxes.has(to));
  const lines = bundled(known, drawing, focus).map((link) => line({ ...link, of: edgeOf(link, graph) }, drawing, focus));
  return h("g", { class: focus ? "links has-focus" : "links", key: "links" }, lines);
}

/** The edge as a fault names it, where both ends are processes: who opens the connection stands first. */
function edgeOf({ from, to, kind }, { nodes }) {
  if (!nodes.has(from) || !nodes.has(to)) return null;
  return kind === "replication" ? `${to}:${from}` : `${from}:${to}`;
}

/** Lines of many nodes are drawn as one of their zone; those of the node in focus by themselves. */
function bundled(links, { groups }, focus) {
  if (!groups.size) return links;
  const found = new Map();
  for (const link of links) {
    const isOwn = link.from === focus || link.to === focus;
    const end = (name) => (isOwn || !groups.has(name) ? name : groups.get(name).name);
    const drawn = { ...link, from: end(link.from), to: end(link.to) };
    const key = `${drawn.from}>${drawn.to}:${drawn.kind}`;
    found.set(key, found.has(key) ? { ...merged(found.get(key), drawn) } : drawn);
  }
  return [...found.values()];
}

function line(link, drawing, focus) {
  const d = path(link, drawing);
  const isIdle = !link.rate;
  const isFailing = link.error_rate > ERRORS_WORTH_SAYING;
  const isNear = focus && (link.from === focus || link.to === focus);
  const kinds = ["link", `link-${link.kind}`, isIdle && "is-idle", link.faults?.length && "is-broken", isFailing && "is-failing", isNear && "is-near"];
  return h("g", { class: kinds.filter(Boolean).join(" "), key: `${link.from}>${link.to}:${link.kind}`, "data-link": `${link.from}:${link.to}` },
    h("path", { d, "stroke-width": width(load(link)) }),
    !isIdle && h("path", { class: `flow flow-${pace(load(link))}`, d }),
    link.of && h("a", { href: address("/faults", { of: link.of }), tabindex: "-1", "aria-label": `Break ${link.of}` }, h("path", { class: "hit", d }), h("title", {}, `${link.of}${link.faults?.length ? " is broken on purpose" : ": break it"}`)));
}

/** From side to side, or from bottom to top, with a calm bend. */
function path({ from, to, kind }, { boxes, groups, isWide, corridor }) {
  const box = (name) => boxes.get(name) ?? [...groups.values()].find((group) => group.name === name).box;
  const [a, b] = [box(from), box(to)];
  if (isWide && b.x < a.x + a.w) return beside(a, b);
  if (!isWide) {
    const isDown = b.y >= a.y;
    return curve(a.x + a.w / 2, isDown ? a.y + a.h : a.y, b.x + b.w / 2, isDown ? b.y : b.y + b.h, true);
  }
  const [x1, y1, x2, y2] = [a.x + a.w, a.y + a.h / 2, b.x, b.y + b.h / 2];
  if (kind !== "sql" || x1 >= corridor.from || x2 <= corridor.to) return curve(x1, y1, x2, y2);
  const end = x2 > corridor.past ? corridor.past : corridor.to;
  return `${curve(x1, y1, corridor.from, corridor.y)}L${end} ${corridor.y}${curve(end, corridor.y, x2, y2).replace(/^M[^C]+/, "")}`;
}

/** Between boxes of one column: around their right side, where nothing else passes. */
function beside(a, b) {
  const [x1, y1, x2, y2] = [a.x + a.w, a.y + a.h / 2, b.x + b.w, b.y + b.h / 2];
  return `M${x1} ${y1}C${x1 + ASIDE} ${y1} ${x2 + ASIDE} ${y2} ${x2} ${y2}`;
}

export function curve(x1, y1, x2, y2, isUpright = false) {
  const bend = isUpright ? (y2 - y1) / 2 : Math.min(90, (x2 - x1) / 2);
  const [dx, dy] = isUpright ? [0, bend] : [bend, 0];
  return `M${x1} ${y1}C${x1 + dx} ${y1 + dy} ${x2 - dx} ${y2 - dy} ${x2} ${y2}`;
}

/** Of replication, kilobytes stand for requests. */
function load({ kind, rate: perSecond }) {
  return kind === "replication" ? perSecond / 1024 : perSecond;
}

/** By magnitude, so that 1/s is seen beside 10,000/s. */
function width(perSecond) {
  return perSecond ? Math.min(4, 1 + Math.log10(1 + perSecond) * 0.6).toFixed(1) : 1;
}

function pace(perSecond) {
  return perSecond >= 100 ? 3 : perSecond >= 10 ? 2 : 1;
}

/** Labels over all lines, where the bundle is between its columns. */
export function labels(graph, drawing, focus) {
  const bundles = new Map();
  for (const link of graph.links) {
    if (!(link.rate || link.p95_ms) || !drawing.boxes.has(link.from) || !drawing.boxes.has(link.to)) continue;
    if (focus && link.from !== focus && link.to !== focus) continue;
    const key = `${place(graph, link.from)}>${place(graph, link.to)}:${link.kind}`;
    const bundle = bundles.get(key) ?? { key, links: [] };
    bundle.links.push(link);
    bundles.set(key, bundle);
  }
  const placed = [];
  for (const bundle of bundles.values()) placed.push(free(spot(bundle, drawing), placed, drawing));
  return h("g", { class: "labels", key: "labels" }, placed.map(label));
}

function place(graph, name) {
  const node = graph.nodes.get(name);
  return node ? columnOf(node) : name;
}

/** Where a bundle is named: in the gap before its end, on its way there. */
function spot({ key, links }, drawing) {
  const sum = links.reduce(merged);
  const ends = links.map(({ from, to }) => [drawing.boxes.get(from), drawing.boxes.get(to)]);
  const mean = (values) => values.reduce((a, b) => a + b, 0) / values.length;
  const lines = text(sum, drawing.isWide);
  const size = { w: Math.max(...lines.map((one) => one.text.length)) * 5.9 + 10, h: lines.length * 14 + 4 };
  const { corridor, isWide } = drawing;
  if (isWide && ends.some(([a, b]) => b.x < a.x + a.w)) {
    return { key, lines, size, x: Math.max(...ends.map(([a]) => a.x + a.w)) + ASIDE, y: mean(ends.map(([a, b]) => (a.y + a.h / 2) * 0.65 + (b.y + b.h / 2) * 0.35)) };
  }
  if (!isWide) {
    return { key, lines, size, x: mean(ends.map(([, b]) => b.x + b.w / 2)), y: Math.min(...ends.map(([, b]) => b.y)) - ABOVE };
  }
  const to = Math.min(...ends.map(([, b]) => b.x));
  const from = Math.max(...ends.map(([a]) => a.x + a.w));
  const isFar = links[0].kind === "sql" && from < corridor.from && to > corridor.to;
  const start = isFar ? (to > corridor.past ? corridor.past : corridor.to) : from;
  const y = (share) => mean(ends.map(([a, b]) => (isFar ? corridor.y : a.y + a.h / 2) * (1 - share) + (b.y + b.h / 2) * share));
  return { key, lines, size, x: (start + to) / 2, y: y(isFar ? 0.25 : 0.5) };
}

function text({ rate: perSecond, error_rate: errors, p95_ms: p95, kind, from }, isWide) {
  const first = { text: rate(perSecond), is: "rate" };
  if (kind === "replication") Object.assign(first, { text: `WAL ${bytes(Math.round(perSecond))}/s` });
  if (from === "cache") Object.assign(first, { text: `misses ${first.text}` });
  const lines = [first];
  const second = p95 ? `${kind === "replication" ? "lag" : "p95"} ${duration(p95)}` : null;
  if (second) isWide ? lines.push({ text: second }) : (first.text += ` · ${second}`);
  if (errors > ERRORS_WORTH_SAYING) lines.push({ text: `✕ ${percent(errors)}`, is: "errors" });
  return lines;
}

/** Moves a label until it covers no earlier one: down, or on a narrow page up, where titles stand beneath. */
function free(label, placed, { isWide, width: all }) {
  label.x = Math.max(label.size.w / 2 - 6, Math.min(all - label.size.w / 2 + 6, label.x));
  for (const other of isWide ? placed : [...placed, ...placed]) {
    const isOver = Math.abs(label.x - other.x) < (label.size.w + other.size.w) / 2 && Math.abs(label.y - other.y) < (label.size.h + other.size.h) / 2;
    if (isOver) label.y = other.y + (isWide ? (label.size.h + other.size.h) / 2 + 3 : -(label.size.h + other.size.h) / 2 - 1);
  }
  return label;
}

function label({ key, lines, size, x, y }) {
  return h("g", { class: "label", key, "data-label": key, transform: `translate(${x.toFixed(1)} ${y.toFixed(1)})` },
    h("rect", { x: -size.w / 2, y: -size.h / 2, width: size.w, height: size.h, rx: 6 }),
    lines.map(({ text: words, is }, i) => h("text", { class: is, y: -size.h / 2 + 15 + i * 14, "text-anchor": "middle" }, words)));
}
