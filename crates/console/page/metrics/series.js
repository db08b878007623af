// Queries of metrics, as series of points.

import { get } from "../core/api.js";

/** A range as series: `[{ labels, points: [[seconds, value]] }]`. */
export async function range(query, { start, end, step }, signal) {
  const data = await get("/api/metrics", { query, start, end, step }, signal);
  return series(data);
}

/** The value now: the first sample of an instant vector, or null. */
export async function instant(query, signal) {
  const data = await get("/api/metrics", { query }, signal);
  return { type: data.resultType, series: series(data) };
}

function series(data) {
  if (data.resultType === "scalar") return [{ labels: {}, points: [pair(data.result)] }];
  return (data.result ?? []).map((one) => ({
    labels: one.metric ?? {},
    points: (one.values ?? [one.value]).map(pair),
  }));
}

function pair([at, value]) {
  return [Number(at), Number(value)];
}

/** What tells a series from its siblings: a label by itself, or all as Prometheus writes them. */
export function nameOf(labels, legend) {
  if (legend && labels[legend] !== undefined) return labels[legend];
  const { __name__: name = "", ...rest } = labels;
  const pairs = Object.entries(rest).map(([label, value]) => `${label}="${value}"`);
  return pairs.length ? `${name}{${pairs.join(", ")}}` : name || "value";
}

/** Exemplars of a query: `[{ at, value, traceId }]`. */
export async function exemplars(query, { start, end }, signal) {
  const answer = await get("/api/v1/query_exemplars", { query, start, end }, signal);
  const found = (answer.data ?? []).flatMap((one) => one.exemplars ?? []);
  return found
    .map(({ labels, value, timestamp }) => ({ at: Number(timestamp), value: Number(value), traceId: labels?.trace_id ?? labels?.traceID }))
    .filter((exemplar) => exemplar.traceId);
}
