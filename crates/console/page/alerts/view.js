// Alerts: what fires, since when and why; silences, and a test of the notification.

import { change, get } from "../core/api.js";
import { h } from "../core/dom.js";
import { count, plural } from "../core/format.js";
import { live } from "../core/live.js";
import { poll } from "../core/poll.js";
import { address } from "../core/router.js";
import * as session from "../core/session.js";
import { ago, moment } from "../core/time.js";
import { ask, field } from "../parts/dialog.js";
import { barrier } from "../parts/login.js";
import { state } from "../parts/mark.js";
import { empty, failure, loading } from "../parts/notice.js";
import { say } from "../parts/toast.js";

const ORDER = { firing: 0, pending: 1, resolved: 2, inactive: 3 };
const SILENCES = [["1800", "30 minutes"], ["3600", "1 hour"], ["14400", "4 hours"], ["86400", "1 day"], ["604800", "7 days"]];

export function alerts(redraw) {
  let answer = null;
  let error = null;
  let stop = null;

  const begin = () => {
    stop?.();
    stop = poll(async (signal) => {
      try {
        answer = await get("/api/alerts", {}, signal);
        live.alerts = answer.alerts;
        error = null;
      } catch (refusal) {
        if (refusal.name !== "AbortError") error = refusal;
      }
      redraw();
    }, 3000);
  };
  const test = async () => {
    try {
      await change("POST", "/api/alerts/test");
      say("A test notification was sent");
    } catch (refusal) {
      say(refusal.message, "bad");
    }
    begin();
  };

  return {
    place: begin,
    render: () => {
      const list = [...(live.alerts ?? [])].sort((a, b) => ORDER[a.state] - ORDER[b.state] || a.name.localeCompare(b.name));
      return [
        h("div", { class: "head", key: "head" }, h("h1", {}, "Alerts"),
          session.mayOperate() && h("button", { class: "push", onclick: test }, "Test the notification")),
        barrier(), failure(error), answer && source(answer), answer && silences(answer.silences, begin),
        !live.alerts && !error && loading("alerts"),
        live.alerts && h("section", { class: "card scroll", key: "list" }, list.length
          ? h("table", { class: "stacks" }, h("thead", {}, h("tr", {}, ["State", "Alert", "Since", "Value", ""].map((title, i) => h("th", { key: i, class: i > 1 ? "number" : null }, title)))),
            h("tbody", {}, list.map((alert) => row(alert, begin))))
          : empty("There are no rules.", "The observer comes with a set; a rule file of your own takes its place.")),
      ];
    },
    close: () => stop?.(),
  };
}

function source({ rules_from: from, notifications = {} }) {
  const { sent = 0, failed = 0, last_error: last } = notifications;
  return h("p", { class: "muted", key: "source" }, `Rules: ${from ?? "built in"}. Notifications: ${count(sent)} sent, ${count(failed)} failed${last ? `; the last error was: ${last}` : ""}.`);
}

function row(alert, again) {
  const { name, severity, labels = {}, annotations = {}, expr, value, since, silenced_until: until, for_s: hold } = alert;
  const isGrave = (severity === "critical" || severity === "page") && alert.state === "firing";
  const rest = Object.entries(labels).filter(([label]) => label !== "alertname" && label !== "severity");
  return h("tr", { key: `${alert.group} ${name} ${JSON.stringify(labels)}` },
    h("td", {}, until ? state("silenced") : state(alert.state), until && h("small", { class: "muted" }, " until ", moment(until)),
      severity && h("div", {}, h("span", { class: isGrave ? "chip chip-bad" : "chip" }, severity))),
    h("td", {}, h("strong", {}, name), alert.error && h("p", { class: "notice notice-bad" }, `It cannot be evaluated: ${alert.error}`), h("div", {}, annotations.summary ?? annotations.description),
      h("a", { class: "expression mono", href: address("/metrics", { query: expr }), title: "Open the expression in Metrics" }, expr),
      hold > 0 && h("small", { class: "muted" }, `fires after ${plural(hold, "second")}`),
      rest.length > 0 && h("div", { class: "labels-list" }, rest.map(([label, text]) => h("span", { class: "chip", key: label }, `${label}=${text}`)))),
    h("td", { class: "number", "data-title": "since" }, alert.state === "inactive" ? "–" : ago(since)),
    h("td", { class: "number", "data-title": "value" }, value === null || value === undefined ? "–" : count(Number(value))),
    h("td", { class: "number" }, session.mayOperate() && (until ? unsilence(alert, again) : h("button", { class: "small", onclick: () => silence(alert, again) }, "Silence"))));
}

function silence({ name, labels }, again) {
  ask({
    title: `Silence ${name}`,
    text: "It goes on being evaluated and shown; nobody is notified.",
    fields: () => [field("For", "for", { options: SILENCES, value: "3600" }), field("Reason", "reason", { required: true, maxlength: 200 })],
    action: "Silence",
    send: async ({ for: seconds, reason }) => {
      await change("POST", "/api/alerts/silences", { matchers: { ...labels, alertname: name }, for_s: Number(seconds), reason });
      say(`${name} is silenced`);
      again();
    },
  });
}

function unsilence({ name, silence_id: id }, again) {
  return id ? hearAgain(id, name, again) : null;
}

/** Silences in force: one may cover what does not fire now. */
function silences(list, again) {
  return list?.length > 0 && h("section", { class: "card", key: "silences" }, h("header", {}, h("h2", {}, "Silences")),
    h("ol", { class: "feed" }, list.map(({ id, matchers, reason, until }) => h("li", { key: id },
      h("span", { class: "mono" }, Object.entries(matchers).map(([label, value]) => `${label}="${value}"`).join(", ")),
      h("span", { class: "feed-text" }, reason), h("span", { class: "muted" }, "until ", moment(until)), session.mayOperate() && hearAgain(id, "It", again)))));
}

function hearAgain(id, name, again) {
  return h("button", { class: "small", onclick: async () => {
    try {
      await change("DELETE", `/api/alerts/silences/${encodeURIComponent(id)}`);
      say(`${name} is heard again`);
    } catch (refusal) {
      say(refusal.message, "bad");
    }
    again();
  } }, "Hear again");
}
