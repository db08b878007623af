// The requests that a person would look at first: the latest failures and the slowest of late.

import { get } from "../core/api.js";
import { h } from "../core/dom.js";
import { duration } from "../core/format.js";
import { poll } from "../core/poll.js";
import { address } from "../core/router.js";
import { ago } from "../core/time.js";
import { tierMark } from "../parts/mark.js";

const WINDOW_MS = 900_000;
const SLOW_MS = 100;
const SHOWN = 6;

export class Requests {
  #failing = null;
  #slow = null;
  #stop;

  constructor(redraw) {
    this.#stop = poll(async (signal) => {
      const start = new Date(Date.now() - WINDOW_MS).toISOString();
      const ask = (params) => get("/api/traces", { start, attribute: "onefold.tier=balancer", ...params }, signal).then((found) => found.traces, () => null);
      const [failing, slow] = await Promise.all([ask({ status: "error", limit: SHOWN }), ask({ min_ms: SLOW_MS, limit: 50 })]);
      this.#failing = failing ?? this.#failing;
      this.#slow = slow ? slow.sort((a, b) => b.duration_ms - a.duration_ms).slice(0, SHOWN) : this.#slow;
      redraw();
    }, 4000);
  }

  close() {
    this.#stop();
  }

  render() {
    return [
      list("failing", "Failing requests", this.#failing, { status: "error" }, "None failed in the last 15 minutes."),
      list("slow", "Slowest requests", this.#slow, { min_ms: SLOW_MS }, `None took longer than ${SLOW_MS} ms in the last 15 minutes.`),
    ];
  }
}

function list(key, title, traces, params, none) {
  return h("section", { class: "card", key, "aria-labelledby": key },
    h("header", {}, h("h2", { id: key }, title), h("a", { class: "push", href: address("/traces", params) }, "All")),
    h("ol", { class: "feed" },
      !traces && h("li", { class: "muted" }, "Loading …"),
      traces?.length === 0 && h("li", { class: "muted" }, none),
      traces?.map(({ trace_id: id, root, duration_ms: ms, start }) => h("li", { key: id },
        tierMark(root.tier),
        h("a", { class: "feed-text", href: address(`/traces/${id}`) }, root.operation),
        h("span", { class: "number" }, duration(ms)),
        h("span", { class: "muted number" }, ago(start))))));
}
