// The system in seven numbers, each with its last quarter of an hour.

import { h } from "../core/dom.js";
import { count, duration, percent, rate } from "../core/format.js";
import { poll } from "../core/poll.js";
import { address } from "../core/router.js";
import { range } from "../metrics/series.js";
import { sign } from "../parts/mark.js";
import { sparkline } from "../parts/sparkline.js";

const WINDOW_S = 900;
const STEP_S = 15;
const ERRORS_MAX = 0.001;
const LAG_MS_MAX = 1000;

const REQUESTS = "sum(rate(onefold_balancer_requests_total[1m]))";
const HITS = "sum(rate(onefold_cache_hits_total[1m]))";
const QUERIES = {
  requests: REQUESTS,
  errors: `sum(rate(onefold_balancer_requests_total{status="5xx"}[1m])) / ${REQUESTS}`,
  p95: "histogram_quantile(0.95, sum by (le) (rate(onefold_balancer_request_seconds_bucket[1m])))",
  hits: `${HITS} / (${HITS} + sum(rate(onefold_cache_misses_total[1m])))`,
  jobs: 'sum(onefold_queue_jobs{state="available"})',
};

/** Asks for the figures while it is open. */
export class Figures {
  #series = {};
  #stop;

  constructor(redraw) {
    this.#stop = poll(async (signal) => {
      const end = Math.floor(Date.now() / 1000);
      const time = { start: end - WINDOW_S, end, step: STEP_S };
      await Promise.all(Object.entries(QUERIES).map(async ([name, query]) => {
        // A figure that cannot be had yet shows a dash; the next turn asks again.
        const series = await range(query, time, signal).catch(() => []);
        this.#series[name] = series[0]?.points ?? [];
      }));
      redraw();
    }, 5000);
  }

  close() {
    this.#stop();
  }

  /** The latest value, or NaN. */
  latest(name) {
    return this.#series[name]?.at(-1)?.[1] ?? NaN;
  }

  render(topology, alerts) {
    const lags = (topology?.nodes ?? []).map((node) => node.database?.role === "replica" ? node.database.lag_ms : null).filter((lag) => lag !== null && lag !== undefined);
    const lag = lags.length ? Math.max(...lags) : NaN;
    const firing = (alerts ?? []).filter((alert) => alert.state === "firing" && !alert.silenced_until);
    const errors = this.latest("errors");
    return h("div", { class: "figures-strip" },
      this.#figure("Requests", rate(orDash(this.latest("requests"))), "requests", "/metrics?board=balancer"),
      this.#figure("Failing", percent(errors), "errors", "/traces?status=error", errors > ERRORS_MAX ? "bad" : null),
      this.#figure("95 % within", duration(this.latest("p95") * 1000), "p95", "/metrics?board=balancer"),
      this.#figure("Cache hits", percent(this.latest("hits")), "hits", "/metrics?board=cache"),
      this.#figure("Replica lag", Number.isNaN(lag) ? "–" : duration(lag), null, "/metrics?board=database", lag > LAG_MS_MAX ? "warn" : null),
      this.#figure("Jobs waiting", count(this.latest("jobs")), "jobs", "/jobs"),
      this.#figure("Alerts", alerts ? (firing.length ? `${firing.length} firing` : "none firing") : "–", null, "/alerts", firing.length ? "bad" : null));
  }

  #figure(title, value, name, href, tone = null) {
    return h("a", { class: tone ? `figure figure-${tone}` : "figure", href: address(href), key: title },
      h("span", { class: "figure-title" }, title),
      h("span", { class: "figure-value" }, tone && sign(tone), value),
      name && sparkline(this.#series[name] ?? [], { width: 104, height: 22, label: `${title}, last 15 minutes`, tone: tone ?? "accent" }));
  }
}

function orDash(value) {
  return Number.isNaN(value) ? null : value;
}
