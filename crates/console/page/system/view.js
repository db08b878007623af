// System: the picture of the whole, alive.

import { h } from "../core/dom.js";
import { setKeys } from "../core/keys.js";
import { live } from "../core/live.js";
import { amend } from "../core/router.js";
import { Size } from "../core/size.js";
import { moment } from "../core/time.js";
import { empty, loading } from "../parts/notice.js";
import { boxes, frames, titles } from "./boxes.js";
import { Figures } from "./figures.js";
import { graph } from "./graph.js";
import { happenings } from "./happenings.js";
import { layout } from "./layout.js";
import { labels, links } from "./links.js";
import { Panel } from "./panel.js";
import { rails } from "./rails.js";
import { Requests } from "./requests.js";

export function system(redraw) {
  const size = new Size(redraw);
  const figures = new Figures(redraw);
  const requests = new Requests(redraw);
  const panel = new Panel(redraw);
  const picture = new Picture(redraw);
  // The mark of a change goes by itself.
  const fading = setInterval(() => live.changed.size && redraw(), 1000);
  setKeys((event) => event.key === "Escape" && (amend({ node: null }), true));

  return {
    place: ({ params }) => panel.show(params.get("node")),
    render: () => [
      figures.render(live.topology, live.alerts),
      h("section", { class: "card picture-card", "aria-label": "The system" },
        h("div", { class: "picture", ref: size.ref }, picture.render(size.width, figures.latest("hits"))),
        key()),
      h("div", { class: "thirds" }, happenings(live.happenings), requests.render()),
      panel.render(),
    ],
    close: () => {
      clearInterval(fading);
      for (const part of [size, figures, requests, panel]) part.close();
    },
  };
}

/** The drawing itself: laid out anew only where the nodes or the width have changed. */
class Picture {
  #hovered = null;
  #laid = { of: null };

  constructor(redraw) {
    this.hover = (name) => {
      this.#hovered = name;
      redraw();
    };
  }

  render(width, hit) {
    const { topology } = live;
    if (!topology) return live.connection === "away" ? empty("The observer does not answer.", "The page goes on trying; what it knew comes back by itself.") : loading("the topology");
    if (!width) return null;
    const drawn = graph(topology);
    const names = `${width} ${topology.nodes.map((node) => `${node.name}:${node.zone}:${node.database?.role ?? node.role}`).join()}`;
    if (this.#laid.of !== names) this.#laid = { of: names, drawing: layout(drawn, width) };
    const { drawing } = this.#laid;
    const focus = this.#hovered;
    return h("svg", { class: "picture-svg", width, height: drawing.height, viewBox: `0 0 ${width} ${drawing.height}`, role: "group", "aria-label": `The system with ${topology.nodes.length} nodes and engines` },
      frames(drawing), titles(drawing),
      links(drawn, drawing, focus),
      boxes(drawn, drawing, { focus, changed: live.changed, hit, onHover: this.hover }),
      rails(drawn, drawing, focus),
      labels(drawn, drawing, focus));
  }
}

function key() {
  return h("p", { class: "key muted" },
    h("span", {}, "Dots: requests; a wider line, more of them."),
    h("span", {}, "Dashed red: some fail."),
    h("span", {}, "Dotted amber: broken on purpose."),
    h("span", {}, "Figures: the last minute."),
    live.topology && h("span", { class: "push" }, "As of ", moment(live.topology.at)));
}
