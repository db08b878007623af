// A line chart: one path for each series, a crosshair that names the values, exemplars that lead to their traces.

import { h } from "../core/dom.js";
import { quantity } from "../core/format.js";
import { exact, tick } from "../core/time.js";
import { line, scale, ticks, timeTicks } from "./scale.js";

const HEIGHT = 168;
const LEFT = 56;
const RIGHT = 10;
const TOP = 10;
const BOTTOM = 22;
const SERIES_MAX = 12;
const DASHES = ["", "6 3", "2 3", "9 3 2 3"];
const COLOURS = 8;

/** A chart keeps where the pointer is; its data come with each drawing. */
export class Chart {
  #redraw;
  #hover = null;
  #drawn = null;

  constructor(redraw) {
    this.#redraw = redraw;
  }

  /** `series` is `[{ name, points }]`; `width` in pixels. */
  render({ series, unit, start, end, step, width, exemplars = [], faults = [], label }) {
    const shown = series.slice(0, SERIES_MAX);
    const axes = this.#layout(shown, { unit, start, end, step, width, exemplars });
    return h("figure", { class: "chart" },
      h("div", { class: "chart-stage" },
        h("svg", { width, height: HEIGHT, viewBox: `0 0 ${width} ${HEIGHT}`, role: "img", "aria-label": `${label}: ${told(shown, unit)}`, onpointermove: (event) => this.#point(event, axes), onpointerleave: () => this.#leave() },
          axes.frame, bands(axes, faults), axes.paths, this.#crosshair(axes, shown), this.#exemplars(axes, exemplars, unit)),
        this.#values(axes, shown, unit)),
      legend(shown, unit, series.length - shown.length));
  }

  /** Paths are made anew only for new points, not for each move of the pointer. */
  #layout(series, given) {
    const { start, end, width, unit, step } = given;
    const before = this.#drawn;
    if (before && before.series.length === series.length && before.width === width
      && before.start === start && before.series.every((points, i) => points === series[i].points)) return before;
    const top = Math.max(0, ...series.flatMap(({ points }) => points.map(([, value]) => (Number.isFinite(value) ? value : 0))));
    const marks = ticks(top, 3);
    const x = scale(start, end, LEFT, width - RIGHT);
    const y = scale(0, marks.at(-1), HEIGHT - BOTTOM, TOP);
    this.#drawn = {
      series: series.map(({ points }) => points), width, start, end, x, y, top: marks.at(-1),
      frame: frame(marks, x, y, { start, end, width, unit }),
      paths: h("g", { class: "lines", key: "lines" }, series.map(({ points }, i) =>
        h("path", { class: `line series-${i % COLOURS}`, "stroke-dasharray": dash(i), d: line(points, x, y, (step || 15) * 3) }))),
    };
    return this.#drawn;
  }

  #point(event, axes) {
    const box = event.currentTarget.getBoundingClientRect();
    const share = (event.clientX - box.left - LEFT) / (axes.width - LEFT - RIGHT);
    this.#hover = share < 0 || share > 1 ? null : axes.start + share * (axes.end - axes.start);
    this.#redraw();
  }

  #leave() {
    this.#hover = null;
    this.#redraw();
  }

  #crosshair({ x, y }, series) {
    if (this.#hover === null) return null;
    const at = nearest(series, this.#hover);
    if (at === null) return null;
    return h("g", { class: "crosshair", key: "crosshair" },
      h("line", { x1: x(at), x2: x(at), y1: TOP, y2: HEIGHT - BOTTOM }),
      series.map(({ points }, i) => {
        const point = points.find(([time]) => time === at);
        return point && Number.isFinite(point[1]) && h("circle", { class: `dot series-${i % COLOURS}`, cx: x(at), cy: y(point[1]), r: 3.5 });
      }));
  }

  #values({ x, width }, series, unit) {
    if (this.#hover === null) return null;
    const at = nearest(series, this.#hover);
    if (at === null) return null;
    const side = x(at) > width / 2 ? { right: `${width - x(at) + 10}px` } : { left: `${x(at) + 10}px` };
    const { local, utc } = exact(at);
    const rows = series
      .map(({ name, points }, i) => ({ name, i, value: points.find(([time]) => time === at)?.[1] }))
      .filter(({ value }) => value !== undefined)
      .sort((a, b) => b.value - a.value);
    return h("div", { class: "chart-values", style: side, key: "values" },
      h("strong", {}, local), h("small", { class: "muted" }, utc.slice(11)),
      rows.map(({ name, i, value }) => h("div", { key: i }, swatch(i), h("span", {}, name), h("b", {}, quantity(value, unit)))));
  }

  #exemplars({ x, y, start, end, top }, exemplars, unit) {
    return h("g", { class: "exemplars", key: "exemplars" }, exemplars
      .filter(({ at, value }) => at >= start && at <= end && value <= top)
      .map(({ at, value, traceId }) => h("a", { href: `/traces/${encodeURIComponent(traceId)}`, key: `${traceId}${at}`, "aria-label": `A request of ${quantity(value, unit)}: open its trace` },
        h("path", { d: "M0-4.5 4.5 0 0 4.5-4.5 0z", transform: `translate(${x(at).toFixed(1)} ${y(value).toFixed(1)})` }),
        h("title", {}, `${quantity(value, unit)}: open its trace`))));
  }
}

/** When something was broken on purpose: a band, or a line for what was over at once. */
function bands({ x, start, end }, faults) {
  return h("g", { class: "faults", key: "faults" }, faults.map((fault) => {
    const [left, right] = [x(Math.max(start, fault.start)), x(Math.min(end, fault.end))];
    return h("rect", { key: fault.id, x: left.toFixed(1), y: TOP, width: Math.max(1.5, right - left).toFixed(1), height: HEIGHT - BOTTOM - TOP }, h("title", {}, `Fault ${fault.id}: ${fault.text}`));
  }));
}

function frame(marks, x, y, { start, end, width, unit }) {
  const times = timeTicks(start, end, Math.max(2, Math.floor(width / 110)));
  return h("g", { class: "axes", key: "axes" },
    marks.map((mark) => [
      h("line", { x1: LEFT, x2: width - RIGHT, y1: y(mark), y2: y(mark) }),
      h("text", { x: LEFT - 8, y: y(mark) + 4, "text-anchor": "end" }, quantity(mark, unit)),
    ]),
    times.at.map((at) => h("text", { x: x(at), y: HEIGHT - 5, "text-anchor": "middle" }, tick(at, times.step < 60))));
}

function legend(series, unit, more) {
  if (!series.length) return h("figcaption", { class: "legend muted" }, "No samples in this time.");
  return h("figcaption", { class: "legend" },
    series.map(({ name, points }, i) => h("span", { key: i }, swatch(i), h("span", { class: "legend-name" }, name), h("b", {}, quantity(points.at(-1)?.[1], unit)))),
    more > 0 && h("span", { class: "muted" }, `and ${more} more; narrow the query`));
}

function swatch(i) {
  return h("svg", { class: `swatch series-${i % COLOURS}`, width: 18, height: 8, "aria-hidden": "true" },
    h("path", { class: "line", d: "M1 4H17", "stroke-dasharray": dash(i) }));
}

/** Colours repeat with another dash, and neighbours differ in it, so that a line is known without its colour. */
function dash(i) {
  return DASHES[i % DASHES.length] || undefined;
}

function nearest(series, at) {
  let best = null;
  for (const { points } of series) {
    for (const [time] of points) if (best === null || Math.abs(time - at) < Math.abs(best - at)) best = time;
  }
  return best;
}

function told(series, unit) {
  return series.map(({ name, points }) => `${name} ${quantity(points.at(-1)?.[1], unit)}`).join(", ") || "no samples";
}
