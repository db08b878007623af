// Steady memory: as many updates as come within an hour, within less than a minute, and what of them stays.
//
// usage: memory.mjs [UPDATES]: 14,400 are an hour of the topology at its fastest; the test runs fewer.

import { assert, until } from "./check.mjs";
import { launch, open } from "./chromium.mjs";
import { addLog, start } from "./fixture/server.mjs";
import { settled, walk } from "./walk.mjs";

const updates = Number(process.argv[2] ?? 14_400);
const HEAP_GROWTH_BYTES_MAX = 3 << 20;
const NODES_GROWTH_MAX = 300;
const LISTENERS_GROWTH_MAX = 50;

const browser = await launch();
const fixture = await start();
const page = await open(browser, `${fixture.url}/system`);
const devtools = await page.context().newCDPSession(page);

/** What the page holds once nobody needs the rest. */
async function held() {
  for (let i = 0; i < 3; i += 1) await devtools.send("HeapProfiler.collectGarbage");
  const { usedSize: heap } = await devtools.send("Runtime.getHeapUsage");
  const { nodes, jsEventListeners: listeners } = await devtools.send("Memory.getDOMCounters");
  return { heap, nodes, listeners };
}

/** The picture moves, nodes die and return, and things happen. */
async function watchSystem(count) {
  await walk(page, "/system");
  for (let i = 0; i < count; i += 1) {
    if (i % 40 === 10) fixture.kill("app-b");
    if (i % 40 === 20) fixture.revive("app-b");
    await fixture.push();
  }
  const { at } = await fixture.push();
  await until(async () => (await page.locator(".key time").getAttribute("datetime")) >= at, "the last picture is drawn", 60_000);
}

async function followLogs(count) {
  await walk(page, "/logs");
  await page.locator(".log-status", { hasText: "following" }).waitFor();
  for (let i = 0; i < count; i += 1) {
    addLog(fixture.state, { level: i % 9 ? "INFO" : "WARN", body: `line ${i} of ${count}, ${"x".repeat(i % 90)}` });
    if (i % 50 === 0) await fixture.drained();
  }
  await page.getByText(`line ${count - 1} of ${count}`).waitFor({ timeout: 60_000 });
}

async function lookAround() {
  for (const view of ["traces", "metrics", "alerts", "jobs", "flags", "faults", "system?node=app-a", "system"]) await walk(page, `/${view}`);
}

async function round(count) {
  await followLogs(count);
  await lookAround();
  await watchSystem(count);
}

await settled(page);
// The first round fills what is bounded: a thousand lines, sixty happenings, the code that is compiled.
await round(1200);
const before = await held();
const began = Date.now();
await round(updates);
const after = await held();
const growth = Object.fromEntries(Object.keys(before).map((name) => [name, after[name] - before[name]]));
console.log(`${2 * updates} updates in ${((Date.now() - began) / 1000).toFixed(0)} s: heap ${(before.heap / 2 ** 20).toFixed(1)} to ${(after.heap / 2 ** 20).toFixed(1)} MiB, nodes ${before.nodes} to ${after.nodes}, listeners ${before.listeners} to ${after.listeners}`);
assert.ok(growth.heap < HEAP_GROWTH_BYTES_MAX, `the heap grew by ${growth.heap} bytes`);
assert.ok(growth.nodes < NODES_GROWTH_MAX, `${growth.nodes} more nodes`);
assert.ok(growth.listeners < LISTENERS_GROWTH_MAX, `${growth.listeners} more listeners`);
assert.deepEqual(page.complaints, []);
console.log("all hold");
await browser.close();
fixture.close();
process.exit(0);
