// What a span says of retries, cache, consistency and outcome, in a few words beside its name.

import { h } from "../core/dom.js";
import { plain } from "../core/format.js";

const SERVER_ERROR = 500;

/** `[{ text, tone, title }]`. */
export function facts({ attributes: at = {}, kind }) {
  const found = [];
  const add = (text, tone, title) => found.push({ text, tone, title });
  const attempt = Number(at["onefold.attempt"] ?? 1);
  if (attempt > 1) add(`attempt ${attempt}`, "warn", "The tries before it failed");
  if (at["onefold.retry.reason"]) add(`retried: ${at["onefold.retry.reason"]}`, "warn");
  const result = at["onefold.cache.result"];
  if (result) add(cacheWords(result, at["onefold.cache.level"]), result === "miss" ? "warn" : "ok", "What the cache had");
  const asked = at["onefold.consistency.asked"];
  const given = at["onefold.consistency.given"];
  if (asked || given) add(asked && given && asked !== given ? `${asked} → ${given}` : `${given ?? asked}`, "accent", `Consistency asked: ${asked ?? "not said"}; given: ${given ?? "not said"}`);
  const server = at["onefold.server"];
  const role = at["onefold.server.role"];
  if (server || role) add([server, role && `(${role})`].filter(Boolean).join(" "), null, "The server that answered");
  const status = Number(at["http.response.status_code"]);
  if (status && (kind === "server" || status >= SERVER_ERROR)) add(String(status), status >= SERVER_ERROR ? "bad" : null, "HTTP status");
  const job = at["onefold.job.kind"];
  if (job) add(plain(job), null, "Kind of job");
  return found.map((fact) => ({ ...fact, text: plain(fact.text) }));
}

function cacheWords(result, level) {
  return level && result !== "miss" && level !== "load" ? `${result} ${String(level).toUpperCase()}` : plain(result);
}

export function chips(span) {
  return facts(span).map(({ text, tone, title }) => h("span", { class: tone ? `chip chip-${tone}` : "chip", title, key: `${text}${title}` }, text));
}
