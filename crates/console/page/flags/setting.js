// One setting: its value, which nodes run it, and its editor.

import { change } from "../core/api.js";
import { h } from "../core/dom.js";
import { plain } from "../core/format.js";
import * as session from "../core/session.js";
import { ago } from "../core/time.js";
import { ask, field } from "../parts/dialog.js";
import { say } from "../parts/toast.js";

export function settingRow(setting, { again, onHistory, isOpen, history }) {
  const { key, type, description, value, default: preset, updated_at: at, updated_by: by, reason, revision, fault } = setting;
  const isPreset = JSON.stringify(value) === JSON.stringify(preset);
  return h("div", { class: "flag", key },
    h("div", { class: "flag-row" },
      h("div", {}, h("div", { class: "flag-name mono" }, key), description && h("div", {}, description), h("small", { class: "muted" }, type, at ? [" · ", ago(at), by ? ` by ${by}` : "", reason ? `: ${reason}` : ""] : "")),
      h("div", { class: "row" }, h("span", { class: "value-now" }, plain(value)), isPreset ? h("span", { class: "muted" }, "the default") : h("span", { class: "muted" }, `default ${plain(preset ?? "–")}`),
        behind(setting, revision),
        fault && h("p", { class: "notice notice-bad" }, `The last good value is in force: ${fault}`)),
      h("div", { class: "row" },
        session.mayOperate() && h("button", { class: "small", onclick: () => edit(setting, again) }, "Edit"),
        h("button", { class: "small", "aria-expanded": String(isOpen), onclick: onHistory }, "History"))),
    isOpen && history);
}

/** Nodes that do not run the newest revision yet. */
function behind({ nodes = [] }, revision) {
  if (!revision) return null;
  const late = nodes.filter((node) => node.revision < revision);
  return late.length > 0 && h("span", { class: "chip chip-warn", title: late.map((node) => `${node.node}: ${node.revision}`).join(", ") }, `${late.length} of ${nodes.length} nodes not there yet`);
}

function edit({ key, type, value, description, revision }, again) {
  const isText = typeof value === "string";
  ask({
    title: `Edit ${key}`,
    text: `${description ? `${description} ` : ""}It takes: ${type}. It is checked before it is taken, and applied without a restart.`,
    fields: () => [
      field("Value", "value", { value: isText ? value : JSON.stringify(value), rows: value && typeof value === "object" ? 8 : undefined, required: true, autofocus: true }),
      field("Reason", "reason", { maxlength: 200, placeholder: "for the history" }),
    ],
    action: "Save",
    send: async ({ value: text, reason }) => {
      await change("PUT", `/api/settings/${encodeURIComponent(key)}`, { value: isText ? text : read(text), reason: reason || undefined, expected: revision ?? undefined });
      say(`${key} is changed`);
      again();
    },
  });
}

/** Numbers, booleans and objects are JSON; what is none is sent as text, and the server says what it expected. */
function read(text) {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}
