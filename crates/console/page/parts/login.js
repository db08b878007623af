// The way in: a token for a session.

import { h } from "../core/dom.js";
import * as session from "../core/session.js";
import { ask, field } from "./dialog.js";

export function askForToken() {
  ask({
    title: "Log in",
    text: "A token stands in the tokens' file, console.tokens in the system's state directory; the link that `up` prints carries one that works once.",
    fields: () => [
      field("Token", "token", { type: "password", required: true, autofocus: true }),
      field("Your name", "name", { type: "text", maxlength: 40 }, "Optional; histories show it beside your changes."),
    ],
    action: "Log in",
    send: ({ token, name }) => session.logIn(token.trim(), name.trim()),
  });
}

/** In place of a view, where reading needs a session. */
export function wall() {
  return h("div", { class: "wall card" },
    h("h1", {}, "Log in to look inside"),
    h("p", { class: "muted" }, "This console shows its system to holders of a token only."),
    h("button", { class: "primary", onclick: askForToken }, "Log in"));
}

/** Whether changes are possible, and what to do where not. */
export function barrier() {
  if (session.mayOperate()) return null;
  return h("p", { class: "barrier" },
    session.current().role === "view" ? "Your session may look, not change. " : "You are looking as a guest. ",
    h("button", { class: "link", onclick: askForToken }, "Log in with the token of the role operate"), " to change things.");
}
