// What the observer tells by itself: the topology, the alerts, and what happened since the page was opened.

import { get } from "./api.js";
import { poll } from "./poll.js";
import { stream } from "./stream.js";

const HAPPENINGS_MAX = 60;
const listeners = new Set();

/** The latest of each; `connection` is `opening`, `open`, `away` or `paused`. */
export const live = { topology: null, alerts: null, happenings: [], connection: "opening", changed: new Map() };

export function onLive(listener) {
  listeners.add(listener);
}

export function begin() {
  // Alerts are told by the stream as well; this is for an observer that tells the topology alone.
  poll((signal) => get("/api/alerts", {}, signal).then((answer) => tell(() => (live.alerts = answer.alerts)), () => {}), 10_000);
  stream(
    "/api/events",
    {
      topology: (topology) => tell(() => takeTopology(topology)),
      alerts: (alerts) => tell(() => (live.alerts = alerts.alerts ?? alerts)),
      event: (happening) => tell(() => takeHappening(happening)),
    },
    (state) => tell(() => (live.connection = state)),
  );
}

/** Remembers when a node's state or role last changed, so that the picture can draw the eye to it. */
function takeTopology(topology) {
  const before = new Map((live.topology?.nodes ?? []).map((node) => [node.name, standing(node)]));
  const now = performance.now();
  const names = new Set();
  for (const node of topology.nodes) {
    names.add(node.name);
    if (live.topology && before.get(node.name) !== standing(node)) live.changed.set(node.name, now);
  }
  for (const name of live.changed.keys()) if (!names.has(name)) live.changed.delete(name);
  live.topology = topology;
}

function standing(node) {
  return `${node.state} ${node.database?.role ?? node.role} ${node.pid}`;
}

function takeHappening(happening) {
  live.happenings = [happening, ...live.happenings].slice(0, HAPPENINGS_MAX);
}

function tell(change) {
  change();
  for (const listener of listeners) listener();
}
