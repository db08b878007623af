// The topology as the picture needs it: boxes, and links between boxes with their traffic.

/** Boxes that are no process of their own. */
export const PLACES = { client: "Client", cache: "Cache", queue: "Queue" };

const COLUMN = { balancer: "balancer", app: "app", worker: "worker", observer: "observer", primary: "primary", replica: "replica" };

/** Which column of the picture a node stands in. */
export function columnOf(node) {
  return COLUMN[node.database?.role] ?? COLUMN[node.role] ?? (node.kind === "engine" ? "replica" : "other");
}

export function tierOf(node) {
  const column = columnOf(node);
  return column === "primary" || column === "replica" ? "database" : column;
}

/** `{ columns: Map of column to nodes, links: [{ from, to, kind, rate, … }] }`. */
export function graph(topology) {
  const columns = new Map();
  const nodes = new Map();
  for (const node of topology.nodes) {
    nodes.set(node.name, node);
    const column = columnOf(node);
    columns.set(column, [...(columns.get(column) ?? []), node]);
  }
  for (const list of columns.values()) list.sort(byZoneAndName);
  const links = new Map();
  for (const link of structure(columns)) links.set(keyOf(link), link);
  for (const edge of topology.edges ?? []) {
    const link = placed(edge, nodes);
    if (!link) continue;
    const key = keyOf(link);
    links.set(key, links.has(key) && links.get(key).rate !== null ? merged(links.get(key), link) : link);
  }
  const found = [...links.values()];
  return { columns, nodes, links: found.map((link) => (link.from === "client" && !link.rate ? entering(link, found) : link)) };
}

function byZoneAndName(a, b) {
  return (a.zone ?? "").localeCompare(b.zone ?? "") || a.name.localeCompare(b.name, "en", { numeric: true });
}

/** What clients ask is what a balancer hands on, where nobody measures it before. */
function entering(link, links) {
  const onward = links.filter(({ from, kind, rate }) => from === link.to && kind === "http" && rate);
  return onward.length ? { ...onward.reduce(merged), from: link.from, to: link.to, kind: "http" } : link;
}

function keyOf({ from, to, kind }) {
  return `${from}>${to}:${kind}`;
}

/** The ways there are, with or without traffic: the picture is whole on an idle system too. */
function structure(columns) {
  const names = (column) => (columns.get(column) ?? []).map((node) => node.name);
  const ways = (from, to, kind) => from.flatMap((a) => to.map((b) => ({ from: a, to: b, kind, rate: null })));
  const front = names("balancer");
  return [
    ...ways(["client"], front.length ? front : names("app"), "http"),
    ...ways(front, names("app"), "http"),
    ...ways(names("app"), ["cache"], "cache"),
    ...ways(names("app"), ["queue"], "queue"),
    ...ways(["cache"], names("primary"), "sql"),
    ...ways(names("primary"), names("replica"), "replication"),
    ...ways(["queue"], names("worker"), "queue"),
  ];
}

/** Where an edge is drawn. The configuration service is watched by everybody; that would be a thicket, not a line. */
function placed(edge, nodes) {
  const from = nodes.get(edge.from);
  const to = nodes.get(edge.to);
  if (edge.kind === "config" || from?.role === "observer" || to?.role === "observer") return null;
  const ends = { from: from ? edge.from : "client", to: edge.to };
  if (edge.kind === "cache") Object.assign(ends, { from: edge.from, to: "cache" });
  if (edge.kind === "queue") {
    const worker = [from, to].find((node) => node?.role === "worker");
    const isTaken = worker && (worker === to || !edge.produces);
    Object.assign(ends, isTaken ? { from: "queue", to: worker.name } : { from: edge.from, to: "queue" });
  }
  const known = (name) => nodes.has(name) || name in PLACES;
  return known(ends.from) && known(ends.to) && ends.from !== ends.to ? { ...edge, ...ends } : null;
}

/** Two flows over one line. The quantiles of a sum are not known; the larger is the honest bound. */
export function merged(a, b) {
  const rate = (a.rate ?? 0) + (b.rate ?? 0);
  const errors = (a.rate ?? 0) * (a.error_rate ?? 0) + (b.rate ?? 0) * (b.error_rate ?? 0);
  const larger = (name) => Math.max(a[name] ?? 0, b[name] ?? 0) || null;
  return { ...a, rate, error_rate: rate ? errors / rate : 0, p50_ms: larger("p50_ms"), p95_ms: larger("p95_ms"), p99_ms: larger("p99_ms") };
}

/** The sum of the links that lead into a box; null without traffic. */
export function inflow(links, name) {
  const into = links.filter((link) => link.to === name && link.kind !== "replication" && link.rate);
  return into.length ? into.reduce(merged) : null;
}
