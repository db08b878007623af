// Server-sent events that come back by themselves: after a break with a growing pause, and after the page was hidden.
// A hidden page holds no connection, since a browser grants few to one host.

const PAUSE_MS_MIN = 500;
const PAUSE_MS_MAX = 8000;

/** Opens a stream. `handlers` are by event name and get parsed JSON; `onState` hears `open`, `away` or `paused`. */
export function stream(url, handlers, onState = () => {}) {
  let source = null;
  let timer = 0;
  let pause = PAUSE_MS_MIN;

  const open = () => {
    shut();
    if (document.hidden) return onState("paused");
    source = new EventSource(url);
    source.onopen = () => {
      pause = PAUSE_MS_MIN;
      onState("open");
    };
    source.onerror = () => {
      shut();
      onState("away");
      timer = setTimeout(open, pause * (0.75 + Math.random() / 2));
      pause = Math.min(pause * 2, PAUSE_MS_MAX);
    };
    for (const [name, handle] of Object.entries(handlers)) {
      source.addEventListener(name, (event) => handle(JSON.parse(event.data)));
    }
    return undefined;
  };
  const shut = () => {
    clearTimeout(timer);
    source?.close();
    source = null;
  };
  const turn = () => (document.hidden ? (shut(), onState("paused")) : open());

  document.addEventListener("visibilitychange", turn);
  open();
  return () => {
    document.removeEventListener("visibilitychange", turn);
    shut();
  };
}
