// A small line without axes: the shape of the last minutes.

import { h } from "../core/dom.js";
import { line, scale } from "./scale.js";

export function sparkline(points, { width = 120, height = 28, label, tone = "accent" }) {
  const real = points.filter(([, value]) => Number.isFinite(value));
  if (real.length < 2) return h("svg", { class: "spark", width, height, "aria-hidden": "true" });
  const top = Math.max(...real.map(([, value]) => value)) || 1;
  const x = scale(real[0][0], real.at(-1)[0], 1, width - 3);
  const y = scale(0, top, height - 2, 3);
  const path = line(real, x, y);
  const [lastAt, lastValue] = real.at(-1);
  return h("svg", { class: `spark spark-${tone}`, width, height, viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": label },
    h("path", { class: "spark-area", d: `${path}L${x(lastAt).toFixed(1)} ${height}L1 ${height}Z` }),
    h("path", { class: "spark-line", d: path }),
    h("circle", { cx: x(lastAt), cy: y(lastValue), r: 2 }));
}
