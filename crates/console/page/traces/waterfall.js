// The spans of a trace over time, a row for each; rows open, fold, and are walked by keys.

import { h } from "../core/dom.js";
import { duration } from "../core/format.js";
import { moveFocus } from "../core/keys.js";
import { amend } from "../core/router.js";
import { sign, tierMark, tierOf } from "../parts/mark.js";
import { ticks } from "../parts/scale.js";
import { chips } from "./facts.js";
import { spanDetail } from "./span.js";
import { unfolded } from "./tree.js";

const ROWS_AT_ONCE = 400;

export class Waterfall {
  #redraw;
  #folded = new Set();
  #opened = new Set();
  #limit = ROWS_AT_ONCE;
  #shown = null;

  constructor(redraw) {
    this.#redraw = redraw;
  }

  /** Opens a span, as a link to it asks for. */
  open(id) {
    if (id && id !== this.#shown) {
      this.#shown = id;
      this.#opened.add(id);
      this.#limit = Infinity;
      requestAnimationFrame(() => requestAnimationFrame(() => document.querySelector(`[data-span="${CSS.escape(id)}"]`)?.scrollIntoView({ block: "center" })));
    }
  }

  render(trace, rows) {
    const seen = unfolded(rows, this.#folded);
    const total = Math.max(trace.duration_ms, ...trace.spans.map((span) => span.offset_ms + span.duration_ms)) || 1;
    const logs = new Map();
    for (const log of trace.logs ?? []) logs.set(log.span_id, [...(logs.get(log.span_id) ?? []), log]);
    const began = new Date(trace.start).getTime();
    return h("div", { class: "waterfall", role: "list", "aria-label": "Spans" },
      axis(total),
      seen.slice(0, this.#limit).map((row) => this.#row(row, total, logs.get(row.span.span_id) ?? [], began)),
      seen.length > this.#limit && h("button", { class: "more", onclick: () => this.#more() }, `Show ${seen.length - this.#limit} more spans`));
  }

  #row(row, total, logs, began) {
    const { span, depth, children } = row;
    const id = span.span_id;
    const isOpen = this.#opened.has(id);
    const isFailed = span.status === "error";
    const start = (span.offset_ms / total) * 100;
    const width = Math.max(0.25, (span.duration_ms / total) * 100);
    return h("div", { class: isOpen ? "span is-open" : "span", key: id, role: "listitem" },
      h("div", {
        class: "span-row", tabindex: "0", "data-span": id, role: "button", "aria-expanded": String(isOpen),
        "aria-label": `${span.name}, ${span.node ?? span.service}, ${duration(span.duration_ms)}${isFailed ? ", failed" : ""}`,
        onclick: () => this.#toggle(id), onkeydown: (event) => this.#key(event, row),
      },
      h("div", { class: "span-name", style: { "padding-left": `${Math.min(depth, 16) * 14}px` } },
        children.length
          ? h("button", { class: "fold", tabindex: "-1", "aria-label": this.#folded.has(id) ? "Unfold" : "Fold", onclick: (event) => this.#fold(event, id) }, this.#folded.has(id) ? "▸" : "▾")
          : h("span", { class: "fold" }),
        tierMark(span.tier), isFailed && sign("bad"),
        h("span", { class: "span-title", title: span.name }, span.name),
        h("span", { class: "span-node muted" }, span.node ?? span.service)),
      h("div", { class: "span-time" },
        h("i", { class: `span-bar bar-${tierOf(span.tier)}${isFailed ? " is-failed" : ""}`, style: { left: `${start.toFixed(3)}%`, width: `${width.toFixed(3)}%` } }),
        logs.map((log, i) => h("i", { class: `log-mark level-${log.level}`, key: i, title: `${log.level}: ${log.body}`, style: { left: `${(Math.min(1, Math.max(0, (new Date(log.time).getTime() - began) / total)) * 100).toFixed(2)}%` } })),
        h("span", { class: start + width >= 66 && start <= 34 ? "span-note is-inside" : "span-note", style: note(start, width) }, h("b", {}, duration(span.duration_ms)), chips(span)))),
      isOpen && spanDetail(row, logs));
  }

  #toggle(id) {
    if (String(getSelection())) return;
    const isOpening = !this.#opened.delete(id);
    if (isOpening) this.#opened.add(id);
    // The address names the span that was opened last, and a colleague sees it too.
    this.#shown = isOpening ? id : null;
    amend({ span: this.#shown });
    this.#redraw();
  }

  #fold(event, id) {
    event.stopPropagation();
    if (!this.#folded.delete(id)) this.#folded.add(id);
    this.#redraw();
  }

  #key(event, { span, children }) {
    const id = span.span_id;
    if (event.key === "Enter" || event.key === " ") this.#toggle(id);
    else if (event.key === "ArrowDown" || event.key === "j") moveFocus(".span-row", 1);
    else if (event.key === "ArrowUp" || event.key === "k") moveFocus(".span-row", -1);
    else if (event.key === "ArrowLeft" && children.length) this.#folded.add(id);
    else if (event.key === "ArrowRight") this.#folded.delete(id);
    else return;
    event.preventDefault();
    event.stopPropagation();
    this.#redraw();
  }

  #more() {
    this.#limit += ROWS_AT_ONCE;
    this.#redraw();
  }
}

/** Behind the bar where there is room, else before it, else on its end. */
function note(start, width) {
  if (start + width < 66) return { left: `calc(${(start + width).toFixed(3)}% + 6px)` };
  if (start > 34) return { right: `calc(${(100 - start).toFixed(3)}% + 6px)` };
  return { right: `calc(${Math.max(0, 100 - start - width).toFixed(3)}% + 8px)` };
}

function axis(total) {
  const marks = ticks(total, 5).filter((mark) => mark <= total);
  return h("div", { class: "span-axis", "aria-hidden": "true", key: "axis" }, h("span", {}),
    h("div", { class: "span-time" }, marks.map((mark) => h("span", { class: "span-tick", key: mark, style: { left: `${((mark / total) * 100).toFixed(2)}%` } }, duration(mark)))));
}
