// Faults: what is broken on purpose, where that is allowed.

import { get } from "../core/api.js";
import { h } from "../core/dom.js";
import { poll } from "../core/poll.js";
import { moment } from "../core/time.js";
import { state } from "../parts/mark.js";
import { empty, failure, loading } from "../parts/notice.js";

export function faults(redraw) {
  let answer = null;
  let error = null;
  const stop = poll(async (signal) => {
    try {
      answer = await get("/api/faults", {}, signal);
      error = null;
    } catch (refusal) {
      if (refusal.name !== "AbortError") error = refusal;
    }
    redraw();
  }, 3000);

  return {
    render: () => [
      h("h1", { key: "title" }, "Faults"), failure(error),
      !answer && !error && loading("faults"),
      answer && h("section", { class: "card", key: "card" }, shown(answer)),
    ],
    close: stop,
  };
}

function shown({ enabled, faults: list = [] }) {
  if (!enabled) return empty("Faults are not enabled on this system.", "Nothing here can break it. To see how it takes a death, end a process of the table that `up` prints, and watch the picture.");
  if (!list.length) return empty("Nothing is broken on purpose now.");
  return h("table", {}, h("thead", {}, h("tr", {}, ["Fault", "Of", "Since"].map((title) => h("th", { key: title }, title)))),
    h("tbody", {}, list.map((fault, i) => h("tr", { key: i }, h("td", {}, state(fault.kind ?? "fault", "warn")), h("td", {}, fault.node ?? fault.target), h("td", {}, moment(fault.since ?? fault.at))))));
}
