// The topology as the picture needs it: boxes, and links between boxes with their traffic.

/** Boxes that are no process of their own. */
export const PLACES = { client: "Client", cache: "Cache", queue: "Queue" };
/** What all nodes talk to: beneath the picture, since lines from everybody would be a thicket. */
export const RAILS = { coordination: "Configuration service", observer: "Observer" };

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
  return { columns, nodes, links: [...links.values()] };
}

function byZoneAndName(a, b) {
  return (a.zone ?? "").localeCompare(b.zone ?? "") || a.name.localeCompare(b.name, "en", { numeric: true });
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
    ...ways(["cache"], names("primary"), "cache"),
    ...ways(names("primary"), names("replica"), "replication"),
    ...ways(["queue"], names("worker"), "queue"),
  ];
}

/** Where an edge is drawn; what the observer itself asks of the database is no part of the picture. */
function placed(edge, nodes) {
  const isKnown = (name) => nodes.has(name) || name in PLACES || name in RAILS;
  if (nodes.get(edge.from)?.role === "observer" && !(edge.to in RAILS)) return null;
  return isKnown(edge.from) && isKnown(edge.to) && edge.from !== edge.to ? edge : null;
}

/** Two flows over one line. The quantiles of a sum are not known; the larger is the honest bound. */
export function merged(a, b) {
  const rate = (a.rate ?? 0) + (b.rate ?? 0);
  const errors = (a.rate ?? 0) * (a.error_rate ?? 0) + (b.rate ?? 0) * (b.error_rate ?? 0);
  const larger = (name) => Math.max(a[name] ?? 0, b[name] ?? 0) || null;
  const faults = [...new Set([...(a.faults ?? []), ...(b.faults ?? [])])];
  return { ...a, faults, rate, error_rate: rate ? errors / rate : 0, p50_ms: larger("p50_ms"), p95_ms: larger("p95_ms"), p99_ms: larger("p99_ms") };
}

/** The sum of some links; null without traffic. */
export function summed(links) {
  const busy = links.filter((link) => link.rate);
  return busy.length ? busy.reduce(merged) : null;
}

/** The sum of the links that lead into a box. */
export function inflow(links, name) {
  return summed(links.filter((link) => link.to === name && link.kind !== "replication"));
}
