// Traces: search, one trace, or two.

import { get } from "../core/api.js";
import { h } from "../core/dom.js";
import { moveFocus, setKeys } from "../core/keys.js";
import { poll } from "../core/poll.js";
import { address, amend, go, here } from "../core/router.js";
import { Size } from "../core/size.js";
import { empty, failure, loading } from "../parts/notice.js";
import { Comparison } from "./compare.js";
import { cloud, comparison, list } from "./list.js";
import { WHAT, asked, searchForm, whatOf } from "./search.js";
import { Trace } from "./trace.js";

export function traces(redraw) {
  let shown = null;
  setKeys((event) => {
    const rows = here().rest.length ? ".span-row" : ".trace-link";
    if (event.key === "ArrowDown" || event.key === "j") moveFocus(rows, 1);
    else if (event.key === "ArrowUp" || event.key === "k") moveFocus(rows, -1);
    else if (event.key === "Escape" && here().rest.length) go("/traces");
    else return false;
    return true;
  });

  /** What was open stays open while the address still means it. */
  const turn = (key, make) => {
    if (shown?.key === key) return;
    shown?.part.close?.();
    shown = { key, part: make() };
  };
  return {
    place: ({ rest: [id], params }, isAgain) => {
      if (isAgain) shown = null;
      const pair = params.get("compare")?.split(",") ?? [];
      if (id) {
        turn(`trace ${id}`, () => new Trace(id, redraw));
        shown.part.focus(params.get("span"));
      } else if (pair.length === 2) {
        turn(`compare ${pair}`, () => new Comparison(pair, redraw));
      } else {
        turn("search", () => new Search(redraw));
        shown.part.ask(params);
      }
    },
    render: () => shown.part.render(),
    close: () => shown?.part.close?.(),
  };
}

class Search {
  #redraw;
  #size;
  #params = new URLSearchParams();
  #known = null;
  #found = null;
  #error = null;
  #stop = null;

  constructor(redraw) {
    this.#redraw = redraw;
    this.#size = new Size(redraw);
    get("/api/operations").then((known) => (this.#known = known), () => {}).finally(redraw);
  }

  ask(params) {
    this.#params = params;
    this.#stop?.();
    this.#stop = poll((signal) => this.#load(signal), 5000);
  }

  close() {
    this.#stop?.();
    this.#size.close();
  }

  async #load(signal) {
    try {
      this.#found = await get("/api/traces", asked(this.#params), signal);
      this.#error = null;
    } catch (error) {
      if (error.name === "AbortError") return;
      this.#error = error;
    }
    this.#redraw();
  }

  render() {
    const chosen = new Set(this.#params.get("compare")?.split(",").filter(Boolean));
    const choose = (id) => {
      if (!chosen.delete(id)) chosen.add(id);
      const params = Object.fromEntries(this.#params);
      go(address("/traces", { ...params, compare: [...chosen].slice(-2).join(",") }));
    };
    const found = this.#found?.traces;
    return [
      h("div", { class: "head", key: "title" }, h("h1", {}, "Traces"),
        h("div", { class: "segments push", role: "group", "aria-label": "What is listed" }, WHAT.map(([word, title]) =>
          h("button", { key: word, "aria-pressed": String(word === whatOf(this.#params)), onclick: () => amend({ what: word }) }, title)))),
      h("section", { class: "card pad", key: "form" }, searchForm(this.#params, this.#known, { compare: this.#params.get("compare") })),
      comparison([...chosen]),
      failure(this.#error),
      !found && !this.#error && loading("traces"),
      found && h("section", { class: "card found", key: "found" },
        h("div", { ref: this.#size.ref }, cloud(found, this.#size.width)),
        found.length ? list(found, chosen, choose) : empty("No trace fits.", "Failed and slow requests are always kept; of the others only a sample. Widen the time, or send a request."),
        this.#found.truncated && h("p", { class: "muted pad" }, "There are more; the newest are shown. Narrow the search for others.")),
    ];
  }
}
