// Which faults were in force in some time: for what is drawn over time.

import { get } from "../core/api.js";

const FRESH_MS = 2000;
let known = { at: -Infinity, faults: Promise.resolve([]) };

/** `[{ id, text, start, end }]`, in seconds; those in force still end with `end`. Nothing where they cannot be asked for. */
export async function during(start, end) {
  if (performance.now() - known.at > FRESH_MS) known = { at: performance.now(), faults: all() };
  const faults = await known.faults;
  return faults
    .map(({ id, text, since_ms: since, ended_ms: ended }) => ({ id, text, start: since / 1000, end: ended ? ended / 1000 : end }))
    .filter((fault) => fault.start <= end && fault.end >= start);
}

/** Charts and traces are whole without them. */
async function all() {
  try {
    const { faults, past = [] } = await get("/api/faults");
    return [...past, ...faults];
  } catch {
    return [];
  }
}
