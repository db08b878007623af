// Runs cases, some at once, and says how each went.

import assert from "node:assert/strict";

export { assert };

const AT_ONCE = 4;

/** `cases` is `{ "what holds": async () => {} }`. Answers 1 if one fails. */
export async function run(cases, only, atOnce = AT_ONCE) {
  const failed = [];
  const chosen = Object.entries(cases).filter(([name]) => !only || name.includes(only));
  const one = async ([name, check]) => {
    const began = Date.now();
    try {
      await check();
      console.log(`ok   ${name} (${Date.now() - began} ms)`);
    } catch (error) {
      failed.push(name);
      console.log(`FAIL ${name} (${Date.now() - began} ms)\n     ${String(error.stack).replaceAll("\n", "\n     ")}`);
    }
  };
  // Those that take times first, by themselves.
  for (const entry of chosen.filter(([, check]) => check.isAlone)) await one(entry);
  const rest = chosen.filter(([, check]) => !check.isAlone);
  const lane = async () => {
    for (let next = rest.shift(); next; next = rest.shift()) await one(next);
  };
  await Promise.all(Array.from({ length: atOnce }, lane));
  console.log(failed.length ? `${failed.length} failed: ${failed.join("; ")}` : "all hold");
  return failed.length ? 1 : 0;
}

/** Waits until `look()` is true. */
export async function until(look, what, ms = 20_000) {
  const end = Date.now() + ms;
  for (;;) {
    if (await look()) return;
    if (Date.now() > end) throw new Error(`not within ${ms} ms: ${what}`);
    await new Promise((done) => setTimeout(done, 20));
  }
}
