// Flags and settings: what the system can be told while it runs.

import { get } from "../core/api.js";
import { h } from "../core/dom.js";
import { poll } from "../core/poll.js";
import { amend } from "../core/router.js";
import * as session from "../core/session.js";
import { barrier } from "../parts/login.js";
import { empty, failure, loading } from "../parts/notice.js";
import { add, flagRow } from "./flag.js";
import { History } from "./history.js";
import { settingRow } from "./setting.js";

export function flags(redraw) {
  const found = { flags: null, settings: null };
  let error = null;
  let stop = null;
  let open = null;

  const begin = () => {
    stop?.();
    stop = poll(async (signal) => {
      try {
        const [one, two] = await Promise.all([get("/api/flags", {}, signal), get("/api/settings", {}, signal)]);
        found.flags = one.flags;
        found.settings = two.settings;
        error = null;
      } catch (refusal) {
        if (refusal.name !== "AbortError") error = refusal;
      }
      redraw();
    }, 3000);
  };

  const list = (kind, row) => found[kind].map((item) => {
    const path = `/api/${kind}/${encodeURIComponent(item.key)}`;
    const isOpen = open?.path === path;
    return row(item, {
      again: begin, isOpen,
      history: isOpen && open.history.render(item.revision, begin),
      onHistory: () => amend({ history: isOpen ? null : `${kind}/${item.key}` }, {}),
    });
  });

  return {
    place: ({ params }, isAgain) => {
      const [kind, ...key] = (params.get("history") ?? "").split("/");
      const path = kind === "flags" || kind === "settings" ? `/api/${kind}/${encodeURIComponent(key.join("/"))}` : null;
      if (path !== (open?.path ?? null)) open = path && { path, history: new History(path, redraw) };
      if (!stop || isAgain) begin();
    },
    render: () => [
      h("h1", { key: "title" }, "Flags and settings"), barrier(), failure(error),
      !found.flags && !error && loading("flags and settings"),
      found.flags && h("section", { class: "card", key: "flags", "aria-labelledby": "flags" }, h("header", {}, h("h2", { id: "flags" }, "Flags"), h("span", { class: "muted" }, "evaluated for each request"), session.mayOperate() && h("button", { class: "small push", onclick: () => add(begin) }, "Add a flag")),
        h("div", { class: "flag-list" }, found.flags.length ? list("flags", flagRow) : empty("No flag is written yet.", "Flags that the code asks for have their coded defaults. Add one under its key to change it while the system runs."))),
      found.settings && h("section", { class: "card", key: "settings", "aria-labelledby": "settings" }, h("header", {}, h("h2", { id: "settings" }, "Settings"), h("span", { class: "muted" }, "applied without a restart")),
        h("div", { class: "flag-list" }, found.settings.length ? list("settings", settingRow) : empty("The application has no settings."))),
    ],
    close: () => stop?.(),
  };
}
