// The lines that are shown: a bounded list, newest first, from the tail and from the store.

const LINES_MAX = 1000;

export class Lines {
  #list = [];
  #held = [];
  lost = 0;
  isPaused = false;

  get list() {
    return this.#list;
  }

  get held() {
    return this.#held.length;
  }

  /** A line from the tail: shown, or held back while somebody reads. */
  add(line) {
    if (this.isPaused) this.#held = [line, ...this.#held].slice(0, LINES_MAX);
    else this.#list = [line, ...this.#list].slice(0, LINES_MAX);
  }

  /** Older lines. Those beyond the bound are not kept: the search narrows better than scrolling. */
  append(lines) {
    this.#list = [...this.#list, ...lines].slice(0, LINES_MAX);
  }

  get isFull() {
    return this.#list.length >= LINES_MAX;
  }

  reset(lines = []) {
    this.#list = lines.slice(0, LINES_MAX);
    this.#held = [];
    this.lost = 0;
  }

  go() {
    this.isPaused = false;
    this.#list = [...this.#held, ...this.#list].slice(0, LINES_MAX);
    this.#held = [];
  }
}
