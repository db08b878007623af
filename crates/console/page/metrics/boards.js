// The ready dashboards: for each tier its requests by rate, errors and duration, and its resources by use,
// saturation and errors. `legend` is the label that names a line.

const per = (label, metric, where = "") => `sum by (${label}) (rate(${metric}${where}[1m]))`;
const quantile = (q, metric, where = "") => `histogram_quantile(${q}, sum by (le) (rate(${metric}_bucket${where}[1m])))`;
const quantiles = (metric, where) => [
  { name: "50 %", query: quantile(0.5, metric, where) },
  { name: "95 %", query: quantile(0.95, metric, where), exemplars: true },
  { name: "99 %", query: quantile(0.99, metric, where) },
];
const one = (query, legend) => [{ query, legend }];

const REQUESTS = "onefold_balancer_requests_total";
const HITS = "sum(rate(onefold_cache_hits_total[1m]))";

export const BOARDS = [
  {
    id: "balancer", title: "Balancer", tier: "balancer", panels: [
      { title: "Requests by status", unit: "/s", queries: one(per("status", REQUESTS), "status") },
      { title: "Failing share", unit: "share", queries: [{ name: "5xx", query: `sum(rate(${REQUESTS}{status="5xx"}[1m])) / sum(rate(${REQUESTS}[1m]))` }] },
      { title: "Duration", unit: "s", queries: quantiles("onefold_balancer_request_seconds") },
      { title: "Retries by reason", unit: "/s", queries: one(per("reason", "onefold_balancer_retries_total"), "reason") },
      { title: "In flight by endpoint", unit: "", queries: one("sum by (endpoint) (onefold_balancer_endpoint_in_flight)", "endpoint") },
      { title: "Client connections", unit: "", queries: [{ name: "connections", query: "sum(onefold_balancer_connections)" }] },
    ],
  },
  {
    id: "app", title: "App nodes", tier: "app", panels: [
      { title: "Requests by node", unit: "/s", queries: one(per("node", "onefold_app_request_seconds_count"), "node") },
      { title: "Failing by route", unit: "/s", queries: one(per("route", "onefold_app_request_seconds_count", '{status="5xx"}'), "route") },
      { title: "Duration", unit: "s", queries: quantiles("onefold_app_request_seconds") },
      { title: "Requests by route", unit: "/s", queries: one(per("route", "onefold_app_request_seconds_count"), "route") },
      { title: "CPU by node", unit: "cores", queries: one('sum by (node) (rate(process_cpu_seconds_total{role="app"}[1m]))', "node") },
      { title: "Memory by node", unit: "bytes", queries: one('sum by (node) (process_resident_memory_bytes{role="app"})', "node") },
    ],
  },
  {
    id: "cache", title: "Cache", tier: "cache", panels: [
      { title: "Hits, by level", unit: "/s", queries: [{ query: per("level", "onefold_cache_hits_total"), legend: "level" }, { name: "misses", query: "sum(rate(onefold_cache_misses_total[1m]))" }] },
      { title: "Hit rate", unit: "share", queries: [{ name: "hits", query: `${HITS} / (${HITS} + sum(rate(onefold_cache_misses_total[1m])))` }] },
      { title: "Load", unit: "s", queries: quantiles("onefold_cache_load_seconds") },
      { title: "Fills by outcome", unit: "/s", queries: one(per("outcome", "onefold_cache_fills_total"), "outcome") },
      { title: "Invalidations by outcome", unit: "/s", queries: one(per("outcome", "onefold_cache_invalidations_total"), "outcome") },
      { title: "Failures of the shared level", unit: "/s", queries: one(per("node", "onefold_cache_l2_failures_total"), "node") },
    ],
  },
  {
    id: "database", title: "Database", tier: "database", panels: [
      { title: "Reads by server", unit: "/s", queries: one(per("server", "onefold_database_reads_total"), "server") },
      { title: "Commit", unit: "s", queries: quantiles("onefold_database_commit_seconds") },
      { title: "Fallbacks to the primary, by reason", unit: "/s", queries: one(per("reason", "onefold_database_fallbacks_total"), "reason") },
      { title: "Reads that asked a replica for its position", unit: "/s", queries: [{ name: "gates", query: "sum(rate(onefold_database_gates_total[1m]))" }] },
      { title: "Reads tried again", unit: "/s", queries: one(per("node", "onefold_database_read_retries_total"), "node") },
      { title: "Commits of unknown outcome", unit: "/s", queries: one(per("node", "onefold_database_maybe_committed_total"), "node") },
    ],
  },
  {
    id: "queue", title: "Queue and workers", tier: "queue", panels: [
      { title: "Enqueued by kind", unit: "/s", queries: one(per("kind", "onefold_queue_enqueued_total"), "kind") },
      { title: "Failed attempts by kind", unit: "/s", queries: one(per("kind", "onefold_queue_failed_total"), "kind") },
      { title: "Run", unit: "s", queries: quantiles("onefold_queue_run_seconds") },
      { title: "Wait until start", unit: "s", queries: quantiles("onefold_queue_wait_seconds") },
      { title: "Jobs by state", unit: "", queries: one("sum by (state) (onefold_queue_jobs)", "state") },
      { title: "Age of the oldest job", unit: "age", queries: one("max by (queue) (onefold_queue_oldest_seconds)", "queue") },
    ],
  },
  {
    id: "coordination", title: "Configuration service", tier: "coordination", panels: [
      { title: "Members seen by node", unit: "", queries: one("max by (node) (onefold_coordination_members)", "node") },
      { title: "Revisions behind, by node", unit: "", queries: one("max by (node) (onefold_coordination_watch_lag_revisions)", "node") },
      { title: "Age of the snapshot", unit: "age", queries: one("max by (node) (onefold_coordination_snapshot_age_seconds)", "node") },
      { title: "Leases held", unit: "", queries: one("sum by (node) (onefold_coordination_leases_held)", "node") },
    ],
  },
  {
    id: "process", title: "Processes", tier: "observer", panels: [
      { title: "CPU", unit: "cores", queries: one("sum by (node) (rate(process_cpu_seconds_total[1m]))", "node") },
      { title: "Memory", unit: "bytes", queries: one("sum by (node) (process_resident_memory_bytes)", "node") },
      { title: "Open files", unit: "", queries: one("sum by (node) (process_open_fds)", "node") },
    ],
  },
];
