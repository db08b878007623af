// Metrics: ready dashboards, and queries of one's own.

import { h } from "../core/dom.js";
import { poll } from "../core/poll.js";
import { address, amend, go } from "../core/router.js";
import { tierMark } from "../parts/mark.js";
import { BOARDS } from "./boards.js";
import { Panel } from "./panel.js";

const TIMES = [["5m", "5 min", 300], ["15m", "15 min", 900], ["1h", "1 h", 3600], ["6h", "6 h", 21600], ["24h", "24 h", 86400], ["168h", "7 d", 604800]];
const POINTS = 120;
const STEP_S_MIN = 5;

export function metrics(redraw) {
  let params = new URLSearchParams();
  let panels = [];
  let shown = null;
  let stop = null;

  const seconds = () => TIMES.find(([word]) => word === params.get("within"))?.[2] ?? 900;
  const board = () => BOARDS.find(({ id }) => id === params.get("board")) ?? BOARDS[0];

  function begin() {
    stop?.();
    panels.forEach((panel) => panel.close());
    const query = params.get("query");
    const definitions = query ? [{ title: "Result", unit: params.get("unit") ?? "", queries: [{ query, exemplars: query.includes("_bucket") }] }] : board().panels;
    panels = definitions.map((definition) => new Panel(definition, redraw));
    ask();
  }

  function ask() {
    stop?.();
    stop = poll(async (signal) => {
      const step = Math.max(STEP_S_MIN, Math.round(seconds() / POINTS));
      // Whole steps, so that points stay where they are from one drawing to the next.
      const end = Math.floor(Date.now() / 1000 / step) * step;
      await Promise.all(panels.map((panel) => panel.ask({ start: end - seconds(), end, step }, signal)));
      redraw();
    }, 5000);
  }

  function form() {
    const query = params.get("query") ?? "";
    const send = (event) => {
      event.preventDefault();
      const text = new FormData(event.target.form ?? event.target).get("query").trim();
      go(address("/metrics", text ? { query: text, within: params.get("within") } : { within: params.get("within") }));
    };
    return h("form", { class: "search", role: "search", onsubmit: send },
      h("div", { class: "query" }, h("label", { for: "query" }, "PromQL"),
        h("textarea", { id: "query", name: "query", rows: query.length > 110 ? 3 : 1, value: query, placeholder: "sum by (node) (rate(onefold_app_request_seconds_count[1m]))", spellcheck: "false", "data-search": true, onkeydown: (event) => event.key === "Enter" && !event.shiftKey && send(event) })),
      h("button", { class: "primary", type: "submit" }, "Run"));
  }

  const times = () => h("div", { class: "segments push", role: "group", "aria-label": "Time shown" }, TIMES.map(([word, text]) =>
    h("button", { key: word, "aria-pressed": String(word === (params.get("within") ?? "15m")), onclick: () => amend({ within: word === "15m" ? null : word }) }, text)));

  const tabs = () => h("nav", { class: "row", "aria-label": "Dashboards" }, BOARDS.map(({ id, title, tier }) =>
    h("a", { class: "button", key: id, href: address("/metrics", { board: id, within: params.get("within") }), "aria-current": !params.get("query") && id === board().id ? "page" : null }, tierMark(tier), title)));

  return {
    place: (place, isAgain) => {
      params = place.params;
      const now = `${params.get("query") ?? board().id} ${params.get("unit")}`;
      if (now !== shown || isAgain) {
        shown = now;
        begin();
      } else {
        ask();
      }
    },
    render: () => [
      h("div", { class: "head", key: "head" }, h("h1", {}, "Metrics"), times()),
      tabs(),
      h("section", { class: "card pad", key: "form" }, form(), params.get("query") && panels[0]?.render({ isPlain: true })),
      !params.get("query") && h("div", { class: "dashboards", key: board().id }, panels.map((panel) => panel.render())),
    ],
    close: () => {
      stop?.();
      panels.forEach((panel) => panel.close());
    },
  };
}
