// The frame around every view: name, ways, connection, session, theme.

import { h } from "../core/dom.js";
import { HELP } from "../core/keys.js";
import { live } from "../core/live.js";
import * as session from "../core/session.js";
import * as theme from "../core/theme.js";
import * as dialog from "./dialog.js";
import { askForToken, wall } from "./login.js";
import { sign, state } from "./mark.js";
import * as toast from "./toast.js";

const WAYS = [
  ["system", "System"], ["traces", "Traces"], ["logs", "Logs"], ["metrics", "Metrics"],
  ["alerts", "Alerts"], ["jobs", "Jobs"], ["flags", "Flags & settings"], ["faults", "Faults"],
];
const THEMES = { system: "M7 1.5a5.5 5.5 0 1 0 .01 0zM7 1.5v11", light: "M7 4.2a2.8 2.8 0 1 0 .01 0zM7 .8v1.4M7 11.8v1.4M.8 7h1.4M11.8 7h1.4M2.6 2.6l1 1M10.4 10.4l1 1M2.6 11.4l1-1M10.4 3.6l1-1", dark: "M11.8 8.6A5 5 0 1 1 5.6 2a4 4 0 0 0 6.2 6.6z" };
const CONNECTION = { open: ["ok", "live"], away: ["bad", "reconnecting"], opening: ["busy", "connecting"], paused: ["idle", "paused"] };

export function titleOf(name) {
  return name === "settings" ? "Flags & settings" : WAYS.find(([way]) => way === name)[1];
}

export function render(name, view) {
  return [
    h("a", { class: "skip", href: "#main", key: "skip" }, "Skip to content"),
    h("header", { class: "top", key: "top" }, brand(), ways(name), tools()),
    h("main", { id: "main", class: `main main-${name}`, key: `main-${name}`, tabindex: "-1" }, session.isWanted() ? wall() : view.render()),
    toast.render(),
    dialog.render(),
  ];
}

function brand() {
  const system = session.current().system ?? live.topology?.system;
  return h("a", { class: "brand", href: "/system" },
    h("svg", { viewBox: "0 0 32 32", width: 22, height: 22, "aria-hidden": "true" },
      h("path", { d: "M8 16h6m0 0 8-7m-8 7h8m-8 0 8 7" }),
      [[8, 16, 3], [23, 9, 2.6], [23, 16, 2.6], [23, 23, 2.6]].map(([cx, cy, r]) => h("circle", { cx, cy, r }))),
    h("strong", {}, "Onefold"), system && h("span", { class: "muted" }, system));
}

function ways(name) {
  const firing = (live.alerts ?? []).filter((alert) => alert.state === "firing" && !alert.silenced_until).length;
  const active = name === "settings" ? "flags" : name;
  return h("nav", { class: "ways", "aria-label": "Views", key: `ways-${active}`, ref: bring }, WAYS.map(([way, title]) =>
    h("a", { href: `/${way}`, key: way, "aria-current": way === active ? "page" : null }, title,
      way === "alerts" && firing > 0 && h("span", { class: "count", title: `${firing} firing` }, sign("bad"), firing))));
}

/** On a narrow page the ways scroll: the present one is brought into view. */
function bring(nav) {
  requestAnimationFrame(() => {
    const here = nav.querySelector("[aria-current]");
    if (here) nav.scrollLeft = here.offsetLeft - (nav.clientWidth - here.offsetWidth) / 2;
  });
}

function tools() {
  const { role, name } = session.current();
  const [as, word] = CONNECTION[live.connection];
  return h("div", { class: "tools" },
    h("span", { class: "connection", title: "Connection to the observer" }, state(word, as)),
    role
      ? h("button", { class: "quiet", title: `You are ${name ?? "nameless"} and may ${role}`, onclick: () => session.logOut() }, "Log out")
      : h("button", { class: "quiet", onclick: askForToken }, "Log in"),
    h("button", { class: "quiet icon", title: `Theme: ${theme.current()}`, "aria-label": `Theme: ${theme.current()}; change it`, onclick: turnTheme },
      h("svg", { viewBox: "0 0 14 14", width: 15, height: 15, "aria-hidden": "true" }, h("path", { d: THEMES[theme.current()] }))),
    h("button", { class: "quiet icon", title: "Keys", "aria-label": "List of keys", onclick: help }, "?"));
}

function turnTheme() {
  theme.turn();
  toast.say(`Theme: ${theme.current() === "system" ? "as the system has it" : theme.current()}`);
}

export function help() {
  dialog.ask({
    title: "Keys",
    fields: () => h("dl", { class: "pairs" }, HELP.map(([key, what]) => [h("dt", {}, h("kbd", {}, key)), h("dd", {}, what)])),
  });
}
