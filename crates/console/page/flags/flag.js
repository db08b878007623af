// One flag: its variants, whom it targets, and its editor.

import { change } from "../core/api.js";
import { h } from "../core/dom.js";
import { plain } from "../core/format.js";
import * as session from "../core/session.js";
import { ago } from "../core/time.js";
import { ask, field } from "../parts/dialog.js";
import { state } from "../parts/mark.js";
import { say } from "../parts/toast.js";

const ABLE = "ENABLED";

export function flagRow(flag, { again, onHistory, isOpen, history }) {
  const { key, state: word, default_variant: variant, targeting, updated_at: at, updated_by: by, reason, fault } = flag;
  const variants = flag.variants ?? {};
  const isOn = word === ABLE;
  return h("div", { class: "flag", key },
    h("div", { class: "flag-row" },
      h("div", {}, h("div", { class: "flag-name mono" }, key), h("small", { class: "muted" }, at ? ago(at) : "not changed yet", by ? ` by ${by}` : "", reason ? `: ${reason}` : "")),
      h("div", { class: "row" }, isOn ? state("enabled", "ok") : state("disabled", "idle"),
        variant && [h("span", { class: "muted" }, "default "), h("span", { class: "chip chip-accent" }, `${variant} = ${plain(variants[variant] ?? "–")}`)],
        targeting ? h("span", { class: "chip" }, "with targeting") : null,
        fault && h("p", { class: "notice notice-bad" }, `Its last good version is served: ${fault}`)),
      h("div", { class: "row" },
        session.mayOperate() && Object.keys(variants).length > 1 && select(flag, again),
        session.mayOperate() && h("button", { class: "small", onclick: () => edit(flag, again) }, "Edit"),
        h("button", { class: "small", "aria-expanded": String(isOpen), onclick: onHistory }, "History"))),
    isOpen && history);
}

/** The commonest change in one step: another default variant. */
function select(flag, again) {
  return h("select", { "aria-label": `Default variant of ${flag.key}`, value: flag.default_variant, onchange: (event) => {
    const to = event.target.value;
    // The list shows what is in force until the change is.
    event.target.value = flag.default_variant;
    ask({
      title: `Set ${flag.key} to ${to}`,
      text: flag.targeting ? "Its targeting stays: whom it names gets what it says." : "Every node follows within a second.",
      fields: () => field("Reason", "reason", { maxlength: 200, placeholder: "for the history" }),
      action: "Set",
      send: ({ reason }) => put(flag.key, { ...definitionOf(flag), defaultVariant: to }, reason, again),
    });
  } }, Object.keys(flag.variants).map((name) => h("option", { value: name, key: name, selected: name === flag.default_variant }, name)));
}

/** As flagd writes a flag. */
function definitionOf({ state: word, variants, default_variant: defaultVariant, targeting }) {
  return { state: word ?? ABLE, variants: variants ?? {}, defaultVariant: defaultVariant ?? undefined, ...(targeting ? { targeting } : {}) };
}

function edit(flag, again) {
  ask({
    title: `Edit ${flag.key}`,
    text: "The definition in flagd's format. It is checked before it is taken.",
    fields: () => [
      field("Definition", "definition", { rows: 14, value: JSON.stringify(definitionOf(flag), null, 2), required: true }),
      field("Reason", "reason", { maxlength: 200, placeholder: "for the history" }),
    ],
    action: "Save",
    send: ({ definition, reason }) => put(flag.key, parsed(definition), reason, again),
  });
}

const TEMPLATE = { state: ABLE, variants: { on: true, off: false }, defaultVariant: "off" };

/** A flag that the code asks for has its coded default until it is written here. */
export function add(again) {
  ask({
    title: "Add a flag",
    text: "Under the key that the code asks for; until then the code's own default holds.",
    fields: () => [
      field("Key", "key", { required: true, maxlength: 100, autofocus: true, placeholder: "preview-page" }),
      field("Definition", "definition", { rows: 10, value: JSON.stringify(TEMPLATE, null, 2), required: true }),
      field("Reason", "reason", { maxlength: 200, placeholder: "for the history" }),
    ],
    action: "Add",
    send: ({ key, definition, reason }) => put(key.trim(), parsed(definition), reason, again),
  });
}

function parsed(text) {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new Error(`This is no JSON yet: ${error.message}`);
  }
}

async function put(key, definition, reason, again) {
  await change("PUT", `/api/flags/${encodeURIComponent(key)}`, { definition, reason: reason || undefined });
  say(`${key} is changed; nodes follow within a second`);
  again();
}
