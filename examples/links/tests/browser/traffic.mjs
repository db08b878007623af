// Readers and writers of the application, from the begin of the test to its end.

const PAUSE_MS = 20;

/** Starts them; `stop()` ends them. Failures are expected while something is broken, and are counted. */
export async function traffic(app) {
  const codes = [];
  for (let i = 0; i < 8; i += 1) codes.push(await created(app, i));
  const counts = { done: 0, failed: 0 };
  let isStopped = false;
  const walk = async (lane) => {
    for (let i = lane; !isStopped; i += 1) {
      const isWrite = i % 12 === 0;
      const sent = isWrite ? create(app, i) : fetch(`${app}/${codes[i % codes.length]}`, { redirect: "manual" });
      const status = await sent.then((response) => (response.arrayBuffer(), response.status), () => 0);
      counts[status > 0 && status < 500 ? "done" : "failed"] += 1;
      await new Promise((done) => setTimeout(done, PAUSE_MS));
    }
  };
  const lanes = [walk(1), walk(5)];
  return {
    codes, counts,
    stop: async () => {
      isStopped = true;
      await Promise.all(lanes);
    },
  };
}

export function create(app, i, headers = {}) {
  return fetch(`${app}/links`, { method: "POST", headers: { "content-type": "application/json", ...headers }, body: JSON.stringify({ url: `https://example.com/page/${i}` }) });
}

async function created(app, i) {
  const response = await create(app, i);
  return (await response.json()).code;
}
