// The console over the real system. The Rust test beside starts it and says where everything is.

import { request } from "node:http";
import { assert, run, until } from "../../../../crates/console/tests/browser/check.mjs";
import { launch, open } from "../../../../crates/console/tests/browser/chromium.mjs";
import { walk } from "../../../../crates/console/tests/browser/walk.mjs";
import { HOSTILE, HOSTILE_TRACE, sendHostile } from "./otlp.mjs";
import { screenshots } from "./screenshots.mjs";
import { create, traffic } from "./traffic.mjs";

const { LINKS_APP: app, LINKS_CONSOLE: console_, LINKS_LOGIN: login, LINKS_OTLP: otlp, LINKS_DEAD_JOB: deadJob, LINKS_SCREENSHOTS: folder } = process.env;

const browser = await launch();
const load = await traffic(app);
const get = async (path) => (await fetch(console_ + path)).json();
const nodeNamed = async (name) => (await get("/api/topology")).nodes.find((node) => node.name === name);
const primary = async () => (await get("/api/topology")).nodes.find((node) => node.database?.role === "primary");

// One login by the printed link; its session is the whole test's.
const first = await open(browser, login);
await first.getByRole("button", { name: "Log out" }).waitFor();
const state = await first.context().storageState();
assert.ok(!first.url().includes("token"), "the ticket is gone from the address");

/** A case on a page of its own, in the session. `go` loads the page once, and follows links from then on. */
function on(check) {
  return async () => {
    const page = await open(browser, null, { storageState: state });
    const go = (path) => (page.url().startsWith(console_) ? walk(page, path) : page.goto(console_ + path));
    try {
      await check(page, go);
      assert.deepEqual(page.complaints, []);
    } finally {
      await page.context().close();
    }
  };
}

/** The answer's status to a request with these headers, as no browser would send them. */
function status(path, headers, method = "GET") {
  return new Promise((done, fail) => {
    request(console_ + path, { method, headers }, (response) => (response.resume(), done(response.statusCode))).on("error", fail).end();
  });
}

/** Of one write, begun by a client. */
const TRACE = "0af7651916cd43dd8448eb211c80319c";
let failedTrace = null;

/** One at a time, since they break things. */
const broken = {
  "a killed node is seen, and so is its return": on(async (page, go) => {
    await go("/system");
    await page.waitForSelector('[data-node="app-b"][data-state="ready"]');
    const { pid } = await nodeNamed("app-b");
    process.kill(pid, "SIGKILL");
    const began = Date.now();
    await page.locator(".feed", { hasText: "app-b died" }).waitFor();
    console.log(`     seen after ${Date.now() - began} ms`);
    await page.locator(".feed", { hasText: "app-b is back" }).waitFor();
    await page.waitForSelector('[data-node="app-b"][data-state="ready"]');
    await page.click('[data-node="app-b"]');
    await page.locator(".drawer").getByText(String((await nodeNamed("app-b")).pid)).waitFor();
  }),

  "a failing request is found, and its cause is read": on(async (page, go) => {
    process.kill((await primary()).pid, "SIGKILL");
    const failed = await until5xx();
    assert.ok(failed >= 500, String(failed));
    await go("/traces?status=error");
    await page.locator(".trace-link", { hasText: "POST /links" }).first().click();
    await page.locator(".cause").waitFor();
    assert.ok((await page.locator(".cause-message").innerText()).length > 10);
    failedTrace = new URL(page.url()).pathname;
    await page.waitForSelector(".span-row >> nth=1");
    await until(async () => (await create(app, 1)).status === 201, "writes are taken again", 30_000);
  }),

  "every view is kept as a picture, fits, and can be read": async () => {
    const views = { system: "/system", node: "/system?node=app-a", traces: "/traces", trace: `/traces/${TRACE}`, logs: "/logs", metrics: "/metrics?within=5m", alerts: "/alerts", jobs: "/jobs", flags: "/flags", faults: "/faults" };
    if (failedTrace) views.failure = failedTrace;
    assert.deepEqual(await screenshots(browser, console_, folder, views, state), []);
  },
};

const calm = {
  "the picture is whole and shows the traffic": on(async (page, go) => {
    await go("/system");
    for (const name of ["balancer", "app-a", "app-b", "app-c", "postgres-1", "postgres-2", "postgres-3", "worker-1", "worker-2"]) {
      await page.waitForSelector(`[data-node="${name}"][data-state="ready"]`);
    }
    await page.locator(".figure", { hasText: "Requests" }).getByText(/[1-9][\d.]*\/s/).waitFor();
    // The lines of the README's picture. What a rate is made of comes with the second push.
    const lines = ["client>balancer:http", "balancer>app:http", "app>cache:cache", "cache>primary:cache", "app>primary:sql", "app>queue:queue", "queue>worker:queue", "worker>primary:sql"];
    for (const key of lines) await page.locator(`[data-label="${key}"]`).getByText(/p95 [\d.]+ (ms|µs|s)/).waitFor();
    await page.locator('[data-label="primary>replica:replication"]').getByText(/lag [\d.]+ (ms|µs|s)/).waitFor();
    await page.locator('[data-rail="coordination"]').getByText(/\/s · p95 [\d.]+ (ms|µs|s)/).waitFor();
    await page.locator('[data-rail="observer"]').getByText(/[1-9][\d.]*\/s/).waitFor();
    const { edges } = await get("/api/topology");
    for (const name of ["app-a", "app-b", "app-c", "worker-1", "worker-2", "balancer"]) {
      assert.ok(edges.some((edge) => edge.from === name && edge.to === "coordination" && edge.rate > 0), `${name} watches`);
    }
    for (const name of ["postgres-2", "postgres-3"]) assert.ok(edges.some((edge) => edge.to === name && edge.kind === "replication" && edge.p95_ms > 0), name);
  }),

  "one trace shows the request from balancer to worker": on(async (page, go) => {
    const response = await create(app, 77, { traceparent: `00-${TRACE}-b7ad6b7169203331-01` });
    assert.equal(response.status, 201);
    await until(async () => (await fetch(`${console_}/api/traces/${TRACE}`)).status === 200, "the trace is stored");
    await go(`/traces/${TRACE}`);
    for (const tier of ["balancer", "app", "database", "queue"]) await page.locator(".times-key", { hasText: tier }).waitFor();
    await page.locator(".span-row").first().press("Enter");
    await page.locator(".span-detail").waitFor();
  }),

  "logs are followed, and lead to their trace": on(async (page, go) => {
    await go("/logs?level=INFO");
    await page.locator(".log-row").first().waitFor();
    const newest = await page.locator(".log-row time").first().getAttribute("datetime");
    await until(async () => (await page.locator(".log-row time").first().getAttribute("datetime")) > newest, "new lines come by themselves");
    await page.locator(".log-trace").first().click();
    await page.waitForURL(/\/traces\/[0-9a-f]{32}/);
  }),

  "every tier's metrics are drawn": on(async (page, go) => {
    for (const board of ["balancer", "app", "cache", "database", "queue", "coordination"]) {
      await go(`/metrics?board=${board}&within=5m`);
      // A line without a rise has no height, and counts as hidden.
      await page.locator(".panel .line[d^='M']").first().waitFor({ state: "attached" });
      assert.equal(await page.locator(".panel .notice-bad").count(), 0, board);
    }
  }),

  "alerts are listed, and one is silenced and heard again": on(async (page, go) => {
    await go("/alerts");
    await page.getByRole("button", { name: "Silence" }).first().click();
    await page.fill("#field-reason", "a test");
    await page.locator("dialog").getByRole("button", { name: "Silence" }).click();
    await page.getByText("silenced", { exact: true }).first().waitFor();
    await page.getByRole("button", { name: "Hear again" }).first().click();
    await until(async () => (await page.getByRole("button", { name: "Hear again" }).count()) === 0, "the silence is gone");
  }),

  "a dead job is read and replayed": on(async (page, go) => {
    await go("/jobs");
    const row = page.locator("tr", { hasText: deadJob }).first();
    await row.getByRole("button", { name: "click.v1" }).click();
    await page.getByText("attempt 1:").waitFor();
    await row.getByRole("button", { name: "Replay" }).click();
    await until(async () => !(await get("/api/jobs")).dead.some((job) => String(job.id) === deadJob), "it is dead no more");
    await row.waitFor({ state: "detached" });
  }),

  "a flag is edited, and the application changes": on(async (page, go) => {
    const follow = () => fetch(`${app}/${load.codes[0]}`, { redirect: "manual" });
    assert.equal((await follow()).status, 302);
    await go("/flags");
    await page.getByRole("button", { name: "Add a flag" }).click();
    await page.fill("#field-key", "preview-page");
    await page.getByRole("button", { name: "Add", exact: true }).click();
    const flag = page.locator(".flag", { hasText: "preview-page" });
    await flag.getByRole("button", { name: "Edit" }).click();
    const text = await page.inputValue("#field-definition");
    await page.fill("#field-definition", text.replace('"defaultVariant": "off"', '"defaultVariant": "maybe"'));
    await page.getByRole("button", { name: "Save" }).click();
    await page.locator("dialog .notice-bad").waitFor();
    await page.fill("#field-definition", text.replace('"defaultVariant": "off"', '"defaultVariant": "on"'));
    await page.fill("#field-reason", "to see it");
    await page.getByRole("button", { name: "Save" }).click();
    await until(async () => (await follow()).status === 200, "links show a page");
    await flag.getByText("to see it").waitFor();
    await flag.getByRole("button", { name: "History" }).click();
    await flag.getByText("in force").waitFor();
    assert.match(page.url(), /history=flags%2Fpreview-page/);
    await flag.getByRole("button", { name: "Roll back to this" }).last().click();
    await page.fill("#field-reason", "seen enough");
    await page.getByRole("button", { name: "Roll back", exact: true }).click();
    await until(async () => (await follow()).status === 302, "links lead on again");
    await flag.locator(".history").getByText("seen enough").waitFor();
  }),

  "a stored attempt at markup stays text": on(async (page, go) => {
    await sendHostile(otlp);
    await until(async () => (await fetch(`${console_}/api/traces/${HOSTILE_TRACE}`)).status === 200, "the span is stored");
    for (const path of [`/traces/${HOSTILE_TRACE}?span=badc0ffee0ddf00d`, "/traces?service=elsewhere", `/logs?trace_id=${HOSTILE_TRACE}`]) {
      await go(path);
      await page.locator("main", { hasText: HOSTILE }).waitFor();
      assert.equal(await page.evaluate(() => window.stolen), undefined, path);
      assert.equal(await page.locator("#app script, #app img, #app [onerror], #app [href^='javascript']").count(), 0, path);
    }
  }),

  "foreign hosts, origins and tokens are refused": on(async (page, go) => {
    const host = new URL(console_).host;
    assert.equal(await status("/", { host: "evil.example" }), 421);
    assert.equal(await status("/api/topology", { host: `evil.example:${host.split(":")[1]}` }), 421);
    assert.equal(await status("/api/topology", { host, origin: "http://evil.example" }), 403);
    assert.equal(await status("/api/topology", { host, "sec-fetch-site": "cross-site" }), 403);
    assert.equal(await status("/api/topology", { host, authorization: "Bearer wrong" }), 401);
    assert.equal(await status(`/api/jobs/${deadJob}/cancel`, { host }, "POST"), 401);
    const cookie = state.cookies.map(({ name, value }) => `${name}=${value}`).join("; ");
    assert.equal(await status(`/api/jobs/${deadJob}/cancel`, { host, cookie }, "POST"), 403, "without onefold-csrf");
    await go("/system");
    assert.ok(state.cookies.every((one) => one.httpOnly && one.sameSite === "Strict"), JSON.stringify(state.cookies));
    assert.equal(await page.evaluate(() => document.cookie), "");
    // Another origin on this machine: the application itself.
    const foreign = await open(browser, `${app}/links`, { storageState: state });
    const blocked = await foreign.evaluate((url) => fetch(url).then((response) => response.status, () => "blocked"), `${console_}/api/topology`);
    assert.equal(blocked, "blocked");
    await foreign.context().close();
  }),
};

/** Writes with a deadline shorter than any restart, until the missing primary makes one fail. */
async function until5xx() {
  for (let i = 0; i < 200; i += 1) {
    const { status: found } = await create(app, i, { "onefold-timeout": "30ms" });
    if (found >= 500) return found;
  }
  return 0;
}

const outcome = await run(calm, process.argv[2], 2) || await run(broken, process.argv[2], 1);
await load.stop();
console.log(`     ${load.counts.done} requests were answered, ${load.counts.failed} failed`);
await browser.close();
process.exit(outcome);
