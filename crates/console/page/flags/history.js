// What a flag or setting was before, who changed it and why, and the way back.

import { change, get } from "../core/api.js";
import { h } from "../core/dom.js";
import * as session from "../core/session.js";
import { moment } from "../core/time.js";
import { ask, field } from "../parts/dialog.js";
import { failure, loading } from "../parts/notice.js";
import { say } from "../parts/toast.js";

export class History {
  #redraw;
  #path;
  #list = null;
  #error = null;

  /** `path` is the resource's own, as in `/api/flags/preview`. */
  constructor(path, redraw) {
    this.#path = path;
    this.#redraw = redraw;
    this.load();
  }

  async load() {
    try {
      const answer = await get(`${this.#path}/history`);
      this.#list = answer.history ?? answer.revisions ?? answer;
      this.#error = null;
    } catch (error) {
      this.#error = error;
    }
    this.#redraw();
  }

  render(current, onDone) {
    if (this.#error) return failure(this.#error);
    if (!this.#list) return loading("its history");
    return h("ol", { class: "history" }, this.#list.map((entry) => this.#entry(entry, entry.revision === current, onDone)));
  }

  #entry(entry, isCurrent, onDone) {
    const { revision, at, updated_at: updated, by, updated_by: updatedBy, reason, value, definition } = entry;
    const shown = definition ?? value;
    return h("li", { key: revision },
      h("span", {}, h("strong", {}, `revision ${revision}`), isCurrent && h("span", { class: "chip chip-accent" }, "in force"), " ",
        h("span", { class: "muted" }, moment(at ?? updated), " by ", by ?? updatedBy ?? "somebody", reason ? `: ${reason}` : "")),
      !isCurrent && session.mayOperate() ? h("button", { class: "small", onclick: () => this.#rollBack(revision, onDone) }, "Roll back to this") : h("span", {}),
      h("pre", {}, shown === null || shown === undefined ? "removed" : typeof shown === "string" ? shown : JSON.stringify(shown, null, 2)));
  }

  #rollBack(revision, onDone) {
    ask({
      title: `Roll back to revision ${revision}`,
      text: "Its value is written again as the newest revision; nothing of the history is lost.",
      fields: () => field("Reason", "reason", { required: true, maxlength: 200 }),
      action: "Roll back",
      send: async ({ reason }) => {
        await change("POST", `${this.#path}/rollback`, { revision, reason });
        say(`Rolled back to revision ${revision}`);
        this.load();
        onDone();
      },
    });
  }
}
