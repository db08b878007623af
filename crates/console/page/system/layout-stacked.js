// The picture on a narrow page: rows from the client down; cache above the database, queue above the workers.

import { CARD, TITLES, place, rails } from "./layout.js";

const ROW_GAP = 46;
const TITLE = 18;
/** One more label in a gap. */
const LABEL = 19;

export function stacked(graph, width) {
  const drawing = { width, isWide: false, boxes: new Map(), frames: [], titles: [], rails: [], groups: new Map() };
  place(drawing, "client", { x: width / 2 - 38, y: 0, w: 76, h: 36 });
  let y = 36 + ROW_GAP;
  for (const name of ["balancer", "app"]) {
    const nodes = graph.columns.get(name) ?? [];
    if (!nodes.length) continue;
    y = flow(drawing, name, nodes, { x: 0, y, w: width, columns: width > 620 ? 4 : 3, isCentred: true }) + ROW_GAP;
  }
  const half = (width - 16) / 2;
  place(drawing, "cache", { x: half / 2 - 52, y, w: 104, h: 48 });
  place(drawing, "queue", { x: half + 16 + half / 2 - 52, y, w: 104, h: 48 });
  // Into the primary lead misses, and statements of app nodes and workers; to replicas, statements and the log.
  y += 48 + ROW_GAP + 2 * LABEL;
  const columns = width > 620 ? 2 : 1;
  let left = y;
  for (const name of ["primary", "replica"]) {
    const nodes = graph.columns.get(name) ?? [];
    if (nodes.length) left = flow(drawing, name, nodes, { x: 0, y: left, w: half, columns }) + (name === "primary" ? ROW_GAP + LABEL : 0);
  }
  const right = flow(drawing, "worker", graph.columns.get("worker") ?? [], { x: half + 16, y, w: half, columns });
  return rails(drawing, graph, Math.max(left, right) + 20);
}

/** Cards in rows; answers where they end. */
function flow(drawing, name, nodes, { x, y, w, columns, isCentred = false }) {
  if (!nodes.length) return y;
  const used = Math.min(columns, nodes.length);
  const many = nodes.length > 12;
  const height = many ? CARD.mini : CARD.height;
  const cell = Math.min(180, (w - (used - 1) * CARD.gap) / used);
  const from = isCentred ? x + (w - used * cell - (used - 1) * CARD.gap) / 2 : x;
  drawing.titles.push({ text: TITLES[name], column: name, x: from, y: y + 8, anchor: "start" });
  nodes.forEach((node, i) => {
    drawing.boxes.set(node.name, { name: node.name, x: from + (i % used) * (cell + CARD.gap), y: y + TITLE + Math.floor(i / used) * (height + CARD.gap), w: cell, h: height });
  });
  return y + TITLE + Math.ceil(nodes.length / used) * (height + CARD.gap) - CARD.gap;
}
