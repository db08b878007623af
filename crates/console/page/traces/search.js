// The search form: every field stands in the address.

import { h } from "../core/dom.js";
import { address, go } from "../core/router.js";

export const WITHIN = [["15m", "15 minutes", 900], ["1h", "1 hour", 3600], ["6h", "6 hours", 21600], ["24h", "1 day", 86400], ["168h", "7 days", 604800]];
/** What is listed: without a choice the requests, since workers ask their queue all day long. */
export const WHAT = [["requests", "Requests", "onefold.tier=balancer"], ["jobs", "Jobs", "onefold.tier=worker"], ["all", "Everything", null]];
const FIELDS = ["service", "operation", "node", "status", "min_ms", "max_ms", "q", "attribute", "within"];

/** The parameters of the API for those of the address. */
export function asked(params) {
  const query = {};
  for (const name of FIELDS) if (name !== "within" && params.get(name)) query[name] = params.get(name);
  const [, , tier] = WHAT.find(([word]) => word === whatOf(params));
  query.attribute = [tier, ...params.getAll("attribute")].filter(Boolean);
  const seconds = WITHIN.find(([word]) => word === params.get("within"))?.[2] ?? 3600;
  query.start = new Date(Date.now() - seconds * 1000).toISOString();
  query.limit = 100;
  return query;
}

export function whatOf(params) {
  const what = params.get("what");
  // Another service's traces need not cross our balancer.
  return WHAT.some(([word]) => word === what) ? what : params.get("service") || params.get("node") || params.get("q") ? "all" : "requests";
}

export function searchForm(params, known, hidden = {}) {
  const services = known?.services ?? [];
  const chosen = services.find((service) => service.name === params.get("service"));
  const from = chosen ? [chosen] : services;
  const operations = [...new Set(from.flatMap((service) => service.operations ?? []))].sort();
  const nodes = [...new Set(from.flatMap((service) => service.nodes ?? []))].sort();
  return h("form", { class: "search", role: "search", onsubmit: (event) => submit(event, hidden), onchange: (event) => event.target.tagName === "SELECT" && submit(event, hidden) },
    h("div", { class: "wide" }, h("label", { for: "search-q" }, "Text or trace id"),
      h("input", { id: "search-q", name: "q", type: "search", value: params.get("q") ?? "", placeholder: "name, message, trace id", "data-search": true })),
    services.length > 1 && choice("Service", "service", services.map((service) => service.name), params),
    choice("Operation", "operation", operations, params),
    choice("Node", "node", nodes, params),
    choice("Status", "status", ["error", "ok"], params),
    number("At least", "min_ms", params), number("At most", "max_ms", params),
    h("div", {}, h("label", { for: "search-attribute" }, "Attribute"),
      h("input", { id: "search-attribute", name: "attribute", value: params.get("attribute") ?? "", placeholder: "key=value", size: 16, pattern: "[^=]+=.*" })),
    h("div", {}, h("label", { for: "search-within" }, "Within"),
      h("select", { id: "search-within", name: "within" }, WITHIN.map(([word, text]) => h("option", { value: word, selected: word === (params.get("within") ?? "1h") }, text)))),
    h("button", { class: "primary", type: "submit" }, "Search"));
}

function choice(label, name, options, params) {
  const value = params.get(name) ?? "";
  const all = value && !options.includes(value) ? [value, ...options] : options;
  return h("div", { key: name }, h("label", { for: `search-${name}` }, label),
    h("select", { id: `search-${name}`, name }, h("option", { value: "", selected: !value }, "any"), all.map((option) => h("option", { value: option, key: option, selected: option === value }, option))));
}

function number(label, name, params) {
  return h("div", { key: name }, h("label", { for: `search-${name}` }, `${label} (ms)`),
    h("input", { id: `search-${name}`, name, type: "number", min: "0", step: "any", value: params.get(name) ?? "" }));
}

function submit(event, hidden) {
  event.preventDefault();
  const form = event.target.form ?? event.currentTarget;
  const data = Object.fromEntries([...new FormData(form)].filter(([, value]) => value !== ""));
  if (data.within === "1h") delete data.within;
  const what = new URLSearchParams(location.search).get("what");
  if (what) data.what = what;
  const id = data.q?.trim();
  if (/^[0-9a-f]{32}$/.test(id ?? "")) go(`/traces/${id}`);
  else go(address("/traces", { ...data, ...hidden }));
}
