// The width of an element, watched, for what is drawn in pixels.

/** `ref` goes to the element; `width` is 0 until it is in the document. */
export class Size {
  #observer;
  width = 0;

  constructor(redraw) {
    this.#observer = new ResizeObserver(([entry]) => {
      const width = Math.floor(entry.contentRect.width);
      if (width !== this.width && width > 0) {
        this.width = width;
        redraw();
      }
    });
    this.ref = (element) => {
      this.#observer.disconnect();
      this.#observer.observe(element);
    };
  }

  close() {
    this.#observer.disconnect();
  }
}
