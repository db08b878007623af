// Where everything of the picture stands: from left to right where there is room, else from top to bottom.

import { PLACES, columnOf } from "./graph.js";
import { stacked } from "./layout-stacked.js";

const WIDE_FROM = 940;
export const CARD = { height: 50, gap: 8, mini: 28, miniGap: 5 };
const HEADER = 22;
const TITLE = 26;
const MANY = 4;
const RAIL = 46;
/** From the picture to the bus, and from the bus to the rails. */
const DROP = 16;
const CORRIDOR = 66;

export const TITLES = { balancer: "Balancer", app: "App nodes", primary: "Primary", replica: "Replicas", worker: "Workers" };

/** `{ width, height, boxes: Map, frames, titles, rails, groups, isWide }`, in pixels. `groups` are nodes too many for a line each. */
export function layout(graph, width) {
  return width >= WIDE_FROM ? wide(graph, width) : stacked(graph, width);
}

/** The nodes of a column by zone, in order; those without a zone last. */
export function zones(nodes = []) {
  const groups = new Map();
  for (const node of nodes) groups.set(node.zone ?? null, [...(groups.get(node.zone ?? null) ?? []), node]);
  return [...groups];
}

function wide(graph, width) {
  const sizes = [58, 140, 152, 100, 152, 152];
  const gap = (width - sizes.reduce((a, b) => a + b)) / 5;
  const x = sizes.map((_, i) => sizes.slice(0, i).reduce((a, b) => a + b, 0) + i * gap);
  const column = (name, i) => stack(graph.columns.get(name), x[i], sizes[i]);
  const columns = { balancer: column("balancer", 1), app: column("app", 2), primary: column("primary", 4), replica: column("replica", 5), worker: column("worker", 4) };
  const upper = Math.max(columns.primary.height, columns.replica.height, 80);
  const lower = Math.max(columns.worker.height, 80);
  const height = TITLE + Math.max(upper + CORRIDOR + lower, columns.app.height, columns.balancer.height);
  const base = TITLE + (height - TITLE - upper - CORRIDOR - lower) / 2;
  const upperMiddle = base + upper / 2;
  const lowerTop = base + upper + CORRIDOR;

  const drawing = { width, isWide: true, boxes: new Map(), frames: [], titles: [], rails: [], groups: new Map() };
  for (const name of ["balancer", "app"]) put(drawing, name, columns[name], TITLE + (height - TITLE - columns[name].height) / 2);
  for (const name of ["primary", "replica"]) put(drawing, name, columns[name], upperMiddle - columns[name].height / 2);
  put(drawing, "worker", columns.worker, lowerTop);
  place(drawing, "client", { x: x[0], y: TITLE + (height - TITLE) / 2 - 21, w: sizes[0], h: 42 });
  place(drawing, "cache", { x: x[3], y: upperMiddle - 33, w: sizes[3], h: 66 });
  place(drawing, "queue", { x: x[3], y: lowerTop + lower / 2 - 33, w: sizes[3], h: 66 });
  // Statements pass between cache and queue, and beneath the primary, to the servers.
  drawing.corridor = { y: lowerTop - CORRIDOR / 2 - 10, from: x[3] - 4, to: x[3] + sizes[3] + 4, past: x[4] + sizes[4] + 4 };
  return rails(drawing, graph, height + DROP);
}

/** Zones under each other. */
function stack(nodes, x, w) {
  const cells = [];
  const frames = [];
  let y = 0;
  for (const [zone, members] of zones(nodes)) {
    const top = y;
    y += HEADER;
    const many = members.length > MANY;
    const columns = many ? 2 : 1;
    const cell = { w: (w - 16 - (columns - 1) * CARD.miniGap) / columns, h: many ? CARD.mini : CARD.height };
    const gap = many ? CARD.miniGap : CARD.gap;
    members.forEach((node, i) => {
      cells.push({ name: node.name, x: x + 8 + (i % columns) * (cell.w + gap), y: y + Math.floor(i / columns) * (cell.h + gap), w: cell.w, h: cell.h });
    });
    y += Math.ceil(members.length / columns) * (cell.h + gap) - gap + 8;
    frames.push({ zone, x, y: top, w, h: y - top, members: members.map((node) => node.name) });
    y += 10;
  }
  return { cells, frames, height: Math.max(0, y - 10), x, w };
}

function put(drawing, name, part, y) {
  if (!part.cells.length) return;
  drawing.titles.push({ text: TITLES[name], column: name, x: part.x + part.w / 2, y: y - 10, anchor: "middle" });
  for (const cell of part.cells) drawing.boxes.set(cell.name, { ...cell, y: cell.y + y });
  for (const frame of part.frames) {
    const box = { ...frame, y: frame.y + y };
    drawing.frames.push(box);
    if (frame.members.length > MANY) for (const member of frame.members) drawing.groups.set(member, { name: `${name} of zone ${frame.zone}`, box });
  }
}

export function place(drawing, name, box) {
  drawing.boxes.set(name, { name, ...box, label: PLACES[name] });
}

/** Beneath everything: the two that all nodes talk to, on a bus. */
export function rails(drawing, graph, y) {
  const { width, isWide } = drawing;
  const half = (width - 16) / 2;
  drawing.bus = y;
  const top = y + DROP;
  if (isWide) {
    drawing.rails.push({ id: "coordination", x: 0, y: top, w: half, h: RAIL, trunk: half / 2 });
    drawing.rails.push({ id: "observer", x: half + 16, y: top, w: half, h: RAIL, trunk: half + 16 + half / 2 });
  } else {
    // Past the first one leads the way to the second.
    drawing.rails.push({ id: "coordination", x: 0, y: top, w: width - 20, h: RAIL, trunk: width / 2 });
    drawing.rails.push({ id: "observer", x: 0, y: top + RAIL + DROP, w: width, h: RAIL, trunk: width - 9 });
  }
  drawing.height = drawing.rails.at(-1).y + RAIL + 1;
  const others = [...graph.nodes.values()].filter((node) => ["other"].includes(columnOf(node)));
  others.forEach((node, i) => {
    drawing.boxes.set(node.name, { name: node.name, x: (i % 6) * 172, y: drawing.height + 12 + Math.floor(i / 6) * 58, w: 164, h: CARD.height });
  });
  if (others.length) drawing.height += 12 + Math.ceil(others.length / 6) * 58;
  return drawing;
}
