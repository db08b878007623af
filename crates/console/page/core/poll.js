// Asks again and again while somebody looks, and never twice at once.

/** Calls `ask(signal)` now and each `ms`; returns how to stop. A hidden page asks nothing. */
export function poll(ask, ms) {
  let timer = 0;
  let stopped = false;
  let running = null;

  const turn = async () => {
    clearTimeout(timer);
    if (stopped || running || document.hidden) return;
    running = new AbortController();
    try {
      await ask(running.signal);
    } finally {
      running = null;
      if (!stopped) timer = setTimeout(turn, ms);
    }
  };
  const wake = () => !document.hidden && turn();
  document.addEventListener("visibilitychange", wake);
  turn();
  return () => {
    stopped = true;
    clearTimeout(timer);
    running?.abort();
    document.removeEventListener("visibilitychange", wake);
  };
}
