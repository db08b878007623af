// Faults: what is broken on purpose now, what was, and how to break and heal it.

import { change, get } from "../core/api.js";
import { h } from "../core/dom.js";
import { plural, span } from "../core/format.js";
import { poll } from "../core/poll.js";
import { amend } from "../core/router.js";
import * as session from "../core/session.js";
import { moment } from "../core/time.js";
import { state } from "../parts/mark.js";
import { empty, failure, loading } from "../parts/notice.js";
import { say } from "../parts/toast.js";
import { inflict } from "./form.js";

const PAST_MAX = 30;

export function faults(redraw) {
  let answer = null;
  let error = null;
  let wanted = null;
  const ask = async (signal) => {
    try {
      answer = await get("/api/faults", {}, signal);
      error = null;
    } catch (refusal) {
      if (refusal.name !== "AbortError") error = refusal;
    }
    if (wanted && answer?.enabled && session.mayOperate()) {
      inflict(wanted, ask);
      wanted = null;
      amend({ of: null });
    }
    redraw();
  };
  const stop = poll(ask, 2000);

  return {
    // A node or an edge that was clicked elsewhere.
    place: ({ params }) => (wanted = params.get("of") ?? wanted),
    render: () => [
      h("div", { class: "head", key: "title" }, h("h1", {}, "Faults"),
        answer?.enabled && session.mayOperate() && h("span", { class: "push row" },
          answer.faults.length > 0 && h("button", { onclick: () => heal("", ask) }, "Heal all"),
          h("button", { class: "primary", onclick: () => inflict("", ask) }, "Break something"))),
      failure(error),
      !answer && !error && loading("faults"),
      answer && h("section", { class: "card", key: "card" }, shown(answer, ask)),
      answer?.enabled && answer.past.length > 0 && h("section", { class: "card", key: "past" }, h("h2", {}, "Over"), past(answer.past)),
      answer?.enabled && h("p", { class: "muted", key: "edges" }, answer.edges.length
        ? `${plural(answer.edges.length, "edge")} can be broken: from each node to each database server and the observer, from the balancer to app nodes, and between database servers.`
        : "Processes can be killed and paused. To break connections as well, start the system with up --chaos."),
    ],
    close: stop,
  };
}

function shown({ enabled, faults: list }, again) {
  if (!enabled) return empty("Faults are not enabled on this system.", "They are where up runs it. To see how it takes a death, end a process, and watch the picture.");
  if (!list.length) return empty("Nothing is broken on purpose now.");
  return h("table", {}, head(["Fault", "Of", "Since", "Ends", "By", ""]), h("tbody", {}, list.map((fault) => h("tr", { key: fault.id, "data-fault": fault.id },
    h("td", {}, state(fault.kind, "warn")), h("td", {}, fault.text), h("td", {}, moment(fault.since_ms)),
    h("td", {}, fault.until_ms ? `in ${span(Math.max(0, (fault.until_ms - Date.now()) / 1000))}` : "when healed"), h("td", {}, fault.by || "–"),
    h("td", {}, session.mayOperate() && h("button", { class: "small", onclick: () => heal(`/${fault.id}`, again) }, "Heal"))))));
}

function past(list) {
  return h("table", {}, head(["Fault", "Of", "Since", "Until", "By"]), h("tbody", {}, list.slice(-PAST_MAX).reverse().map((fault) => h("tr", { key: fault.id },
    h("td", {}, fault.kind), h("td", {}, fault.text), h("td", {}, moment(fault.since_ms)), h("td", {}, moment(fault.ended_ms)), h("td", {}, fault.by || "–")))));
}

function head(titles) {
  return h("thead", {}, h("tr", {}, titles.map((title) => h("th", { key: title }, title))));
}

async function heal(which, again) {
  try {
    const { faults: ended } = await change("DELETE", `/api/faults${which}`);
    say(ended.length ? `Healed: ${ended.map((fault) => fault.text).join("; ")}` : "Nothing was broken");
  } catch (refusal) {
    say(refusal.message);
  }
  again();
}
