// Which metrics tell most of a node, by its role.

const PROCESS = [
  { title: "CPU", unit: "cores", query: (n) => `rate(process_cpu_seconds_total{node="${n}"}[1m])` },
  { title: "Memory", unit: "bytes", query: (n) => `process_resident_memory_bytes{node="${n}"}` },
];

const BY_ROLE = {
  balancer: [
    { title: "Requests", unit: "/s", query: (n) => `sum(rate(onefold_balancer_requests_total{node="${n}"}[1m]))` },
    { title: "95 % within", unit: "s", query: (n) => `histogram_quantile(0.95, sum by (le) (rate(onefold_balancer_request_seconds_bucket{node="${n}"}[1m])))` },
  ],
  app: [
    { title: "Requests", unit: "/s", query: (n) => `sum(rate(onefold_app_request_seconds_count{node="${n}"}[1m]))` },
    { title: "95 % within", unit: "s", query: (n) => `histogram_quantile(0.95, sum by (le) (rate(onefold_app_request_seconds_bucket{node="${n}"}[1m])))` },
  ],
  worker: [
    { title: "Jobs done", unit: "/s", query: (n) => `sum(rate(onefold_queue_completed_total{node="${n}"}[1m]))` },
    { title: "95 % within", unit: "s", query: (n) => `histogram_quantile(0.95, sum by (le) (rate(onefold_queue_run_seconds_bucket{node="${n}"}[1m])))` },
  ],
};

/** `[{ title, unit, query }]` for a node; engines tell no metrics of their own. */
export function metricsOf(node) {
  if (node.kind === "engine") return [];
  // Names are of a-z, 0-9 and -: checked by the system, and again here, since they go into a query.
  const name = node.name.replace(/[^a-z0-9-]/g, "");
  return [...(BY_ROLE[node.role] ?? []), ...PROCESS].map((metric) => ({ ...metric, query: metric.query(name) }));
}
