// One job opened: its arguments and every error.

import { h } from "../core/dom.js";
import { clock } from "../core/time.js";

export function detail({ args, errors, ...job }) {
  const times = [["Enqueued", job.created_at], ["Due", job.run_at], ["Ended", job.ended_at]].filter(([, at]) => at);
  return h("div", { class: "stack" },
    times.length > 0 && h("dl", { class: "pairs" }, times.map(([name, at]) => [h("dt", { key: name }, name), h("dd", { key: `${name} at` }, clock(at))])),
    args !== undefined && args !== null && h("div", {}, h("h3", {}, "Arguments"), h("pre", {}, typeof args === "string" ? args : JSON.stringify(args, null, 2))),
    errors?.length > 0 && h("div", {}, h("h3", {}, "Errors"), h("ol", {}, errors.map(({ at, error, attempt }, i) =>
      h("li", { key: i, class: "mono" }, h("span", { class: "muted" }, clock(at), ` attempt ${attempt ?? i + 1}: `), error)))));
}
