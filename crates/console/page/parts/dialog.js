// One dialog at a time, modal, closed by Esc; a form in it is sent once and shows why it was refused.

import { h } from "../core/dom.js";
import { failure } from "./notice.js";

let shown = null;
let redraw = () => {};

export function begin(draw) {
  redraw = draw;
}

/** Shows a form. `fields()` draws its inputs; `send(data)` may throw, and its message is shown. */
export function ask({ title, text, fields, action, send, isGrave = false }) {
  shown = { title, text, fields, action, send, isGrave, error: null, isSending: false };
  redraw();
}

export function close() {
  shown = null;
  redraw();
}

export function render() {
  if (!shown) return null;
  const { title, text, fields, action, isGrave, error, isSending } = shown;
  return h("dialog", { class: "dialog", key: "dialog", "aria-labelledby": "dialog-title", ref: open, oncancel: close, onclick: outside },
    h("form", { onsubmit: submit },
      h("h2", { id: "dialog-title" }, title),
      text && h("p", { class: "muted" }, text),
      fields && h("div", { class: "fields" }, fields()),
      failure(error),
      h("div", { class: "actions" },
        h("button", { type: "button", onclick: close }, action ? "Cancel" : "Close"),
        action && h("button", { type: "submit", class: isGrave ? "primary grave" : "primary", disabled: isSending }, action))));
}

function open(element) {
  // The description is not in the document yet.
  queueMicrotask(() => element.isConnected && !element.open && element.showModal());
}

function outside(event) {
  if (event.target === event.currentTarget) close();
}

async function submit(event) {
  event.preventDefault();
  const form = shown;
  if (!form.action) return close();
  const data = Object.fromEntries(new FormData(event.currentTarget));
  form.isSending = true;
  form.error = null;
  redraw();
  try {
    await form.send(data);
    if (shown === form) shown = null;
  } catch (error) {
    form.error = error;
  }
  form.isSending = false;
  redraw();
  return undefined;
}

/** A labelled input; `hint` says what is expected. */
export function field(label, name, props = {}, hint = null) {
  const { rows, options, ...rest } = props;
  const tag = rows ? "textarea" : options ? "select" : "input";
  const input = h(tag, { name, id: `field-${name}`, rows, spellcheck: "false", autocomplete: "off", ...rest },
    options?.map(([value, text]) => h("option", { value, selected: value === rest.value }, text)));
  return h("div", { class: "field", key: name }, h("label", { for: `field-${name}` }, label), input, hint && h("small", { class: "muted" }, hint));
}
