// Logs: what is written now, and what was.

import { get } from "../core/api.js";
import { h } from "../core/dom.js";
import { count, plural } from "../core/format.js";
import { moveFocus, setKeys } from "../core/keys.js";
import { live } from "../core/live.js";
import { address, amend } from "../core/router.js";
import { stream } from "../core/stream.js";
import { state } from "../parts/mark.js";
import { empty, failure, loading } from "../parts/notice.js";
import { line } from "./line.js";
import { Lines } from "./lines.js";

const LEVELS = ["TRACE", "DEBUG", "INFO", "WARN", "ERROR"];
const PAGE = 200;
const TYPING_MS = 250;

export function logs(redraw) {
  const lines = new Lines();
  const opened = new Set();
  let params = new URLSearchParams();
  let asked = null;
  let next = null;
  let error = null;
  let isLoading = true;
  let shut = null;
  let connection = "opening";
  let typing = 0;

  setKeys((event) => {
    if (event.key === "ArrowDown" || event.key === "j") moveFocus(".log-row", 1);
    else if (event.key === "ArrowUp" || event.key === "k") moveFocus(".log-row", -1);
    else return false;
    return true;
  });

  const filters = () => ({ q: params.get("q"), level: params.get("level")?.toLowerCase(), node: params.get("node"), trace_id: params.get("trace_id") });
  const isLive = () => !params.get("trace_id") && params.get("live") !== "off";

  async function load(before) {
    const mine = asked;
    try {
      const found = await get("/api/logs", { ...filters(), before, limit: PAGE });
      if (mine !== asked) return;
      if (before) lines.append(found.logs);
      else lines.reset(found.logs);
      next = found.next;
      error = null;
    } catch (refusal) {
      if (mine === asked) error = refusal;
    }
    isLoading = false;
    redraw();
  }

  function begin() {
    shut?.();
    shut = null;
    isLoading = true;
    lines.reset();
    load();
    if (!isLive()) return;
    const { trace_id: _, ...tailed } = filters();
    shut = stream(address("/api/logs/tail", tailed), {
      log: (log) => (lines.add(log), redraw()),
      lost: ({ count: number }) => ((lines.lost += number), redraw()),
    }, (now) => {
      // What was written during a break is in the store.
      if (now === "open" && connection === "away") load();
      connection = now;
      redraw();
    });
  }

  const toggle = (log) => {
    if (!opened.delete(log)) opened.add(log);
    redraw();
  };
  const type = (event) => {
    const { value } = event.target;
    clearTimeout(typing);
    typing = setTimeout(() => amend({ q: value }), TYPING_MS);
  };
  const pause = () => {
    if (lines.isPaused) lines.go();
    else lines.isPaused = true;
    redraw();
  };

  function form() {
    const nodes = (live.topology?.nodes ?? []).filter((node) => node.kind !== "engine").map((node) => node.name);
    const node = params.get("node");
    const all = node && !nodes.includes(node) ? [node, ...nodes] : nodes;
    return h("form", { class: "search", role: "search", onsubmit: (event) => event.preventDefault() },
      h("div", { class: "wide" }, h("label", { for: "log-q" }, "Text"), h("input", { id: "log-q", type: "search", value: params.get("q") ?? "", placeholder: "in the line or its attributes", "data-search": true, oninput: type })),
      select("Level", "level", LEVELS, "at least"), select("Node", "node", all, ""),
      h("button", { type: "button", "aria-pressed": String(isLive()), disabled: Boolean(params.get("trace_id")), onclick: () => amend({ live: isLive() ? "off" : null }) }, isLive() ? "Stop the tail" : "Follow"));
  }

  function select(label, name, options, prefix) {
    const value = params.get(name) ?? "";
    return h("div", { key: name }, h("label", { for: `log-${name}` }, label),
      h("select", { id: `log-${name}`, onchange: (event) => amend({ [name]: event.target.value }) },
        h("option", { value: "", selected: !value }, "any"),
        options.map((option) => h("option", { value: option, key: option, selected: option === value }, prefix ? `${prefix} ${option}` : option))));
  }

  function status() {
    if (params.get("trace_id")) return h("p", { class: "barrier row" }, "The lines of one trace. ", h("a", { href: address(`/traces/${params.get("trace_id")}`) }, "Its waterfall"), h("a", { href: "/logs" }, "All lines"));
    return h("div", { class: "log-status" },
      isLive() ? (lines.isPaused ? state("held", "warn") : state(connection === "open" ? "following" : "reconnecting", connection === "open" ? "ok" : "warn")) : state("stopped", "idle"),
      h("span", { class: "muted" }, plural(lines.list.length, "line")),
      lines.lost > 0 && h("span", { class: "chip chip-warn", title: "They came faster than this page could take them; they are in the store" }, `${count(lines.lost)} lines passed over`),
      isLive() && h("button", { class: "small push", onclick: pause }, lines.isPaused ? `Go on${lines.held ? `: ${plural(lines.held, "new line")}` : ""}` : "Hold"));
  }

  return {
    place: (place, isAgain) => {
      params = place.params;
      const now = `${JSON.stringify(filters())} ${isLive()}`;
      if (now !== asked || isAgain) {
        asked = now;
        begin();
      }
    },
    render: () => [
      h("h1", { key: "title" }, "Logs"),
      h("section", { class: "card pad", key: "form" }, form()),
      failure(error),
      h("section", { class: "card logs", key: "lines" }, status(),
        isLoading && !lines.list.length ? loading("lines") : !lines.list.length && empty("No line fits.", isLive() ? "New ones appear here as they are written." : "Widen the search."),
        h("ol", { class: "log-list" }, lines.list.map((log) => line(log, opened.has(log), toggle))),
        next && !lines.isFull && h("button", { class: "more", onclick: () => load(next) }, "Older lines"),
        lines.isFull && h("p", { class: "muted pad" }, "The newest 1000 lines are shown; search for others."))],
    close: () => {
      clearTimeout(typing);
      shut?.();
    },
  };
}
