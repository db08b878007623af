// One chart of a dashboard: its queries, asked again while it is open.

import { h } from "../core/dom.js";
import { address } from "../core/router.js";
import { Size } from "../core/size.js";
import { during } from "../faults/during.js";
import { Chart } from "../parts/chart.js";
import { failure } from "../parts/notice.js";
import { exemplars, nameOf, range } from "./series.js";

const EXEMPLARS_MAX = 40;

export class Panel {
  #size;
  #chart;
  #data = null;
  #error = null;
  #time = null;

  constructor(definition, redraw) {
    this.definition = definition;
    this.#size = new Size(redraw);
    this.#chart = new Chart(redraw);
  }

  async ask(time, signal) {
    try {
      const answers = await Promise.all(this.definition.queries.map(({ query }) => range(query, time, signal)));
      const sampled = this.definition.queries.filter((query) => query.exemplars);
      // Charts are whole without exemplars: a store may keep none.
      const found = await Promise.all(sampled.map(({ query }) => exemplars(query, time, signal).catch(() => [])));
      // What is drawn together is set together: a drawing may come between.
      const faults = await during(time.start, time.end);
      this.#data = answers.flatMap((series, i) => named(series, this.definition.queries[i]));
      this.#exemplars = found.flat().slice(-EXEMPLARS_MAX);
      this.#faults = faults;
      this.#time = time;
      this.#error = null;
    } catch (error) {
      if (error.name !== "AbortError") this.#error = error;
    }
  }

  #exemplars = [];
  #faults = [];

  render({ isPlain = false } = {}) {
    const { title, unit, queries } = this.definition;
    return h("section", { class: isPlain ? "panel" : "card panel", key: title, "aria-label": title },
      !isPlain && h("header", {}, h("h3", {}, title), h("a", { href: address("/metrics", { query: queries.find((query) => query.exemplars)?.query ?? queries[0].query, unit }) }, "Query")),
      failure(this.#error),
      h("div", { ref: this.#size.ref, class: "panel-stage" }, this.#data && this.#size.width > 0 && this.#chart.render({
        series: this.#data, unit, ...this.#time, width: this.#size.width, exemplars: this.#exemplars, faults: this.#faults, label: title,
      })));
  }

  close() {
    this.#size.close();
  }
}

function named(series, { name, legend }) {
  const list = series.map(({ labels, points }) => ({ name: series.length === 1 && name ? name : nameOf(labels, legend), points }));
  return legend ? list.sort((a, b) => a.name.localeCompare(b.name, "en", { numeric: true })) : list;
}
