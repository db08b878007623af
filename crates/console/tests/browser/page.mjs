// The page against the development server: each view's parts, before a real system stands behind them.

import { assert, run, until } from "./check.mjs";
import { launch, open } from "./chromium.mjs";
import { addLog, start } from "./fixture/server.mjs";
import { HOSTILE } from "./fixture/traces.mjs";

const VIEWS = ["system", "traces", "logs", "metrics", "alerts", "jobs", "flags", "faults"];
const browser = await launch();

/** A page on a server of its own; complaints of the browser fail the case. Cases that take times run alone. */
function on(options, check) {
  return Object.assign(async () => {
    const fixture = await start(options.server);
    const page = await open(browser, null, options);
    const go = (path) => page.goto(fixture.url + path);
    try {
      await check({ fixture, page, go });
      assert.deepEqual(page.complaints, []);
    } finally {
      await page.context().close();
      fixture.close();
    }
  }, { isAlone: options.isAlone });
}

/** No view is wider than the page, every control has a name, and the browser complains of nothing. */
async function fits(width) {
  const fixture = await start();
  const page = await open(browser, null, { width });
  for (const view of [...VIEWS, `traces/${failing(fixture)}`, "system?node=app-a"]) {
    await page.goto(`${fixture.url}/${view}`);
    await page.locator("main:not(:has(> .notice:only-child)) > *").first().waitFor();
    const over = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
    assert.ok(over <= 0, `${view} is ${over} pixels too wide`);
    const nameless = await page.evaluate(() => [...document.querySelectorAll("button, a[href], input, select, textarea")]
      .filter((one) => !one.textContent.trim() && !one.getAttribute("aria-label") && !one.title && !document.querySelector(`label[for="${one.id}"]`))
      .map((one) => one.outerHTML));
    assert.deepEqual(nameless, [], view);
  }
  assert.deepEqual(page.complaints, []);
  await page.context().close();
  fixture.close();
}

const login = (fixture, path) => `${path}#token=${fixture.token}`;
const failing = (fixture) => fixture.state.kept[1].trace_id;

const cases = {
  "a killed node is seen within a second, and what happened is told": on({ isAlone: true }, async ({ fixture, page, go }) => {
    await go("/system");
    await page.waitForSelector('[data-node="app-b"][data-state="ready"]');
    // On a machine that does other things as well, the best of three tells what the page needs.
    const took = [];
    for (let i = 0; i < 3; i += 1) {
      const began = Date.now();
      fixture.kill("app-b");
      await page.waitForSelector('[data-node="app-b"][data-state="down"]');
      took.push(Date.now() - began);
      await page.getByText("was killed by signal 9").first().waitFor();
      fixture.revive("app-b");
      await page.waitForSelector('[data-node="app-b"][data-state="ready"]');
    }
    console.log(`     ${took.join(", ")} ms`);
    assert.ok(Math.min(...took) < 1000, `${took} ms`);
  }),

  "updates change elements and do not replace them": on({}, async ({ fixture, page, go }) => {
    await go("/system");
    await page.waitForSelector('[data-node="app-a"]');
    const kept = await page.evaluateHandle(() => document.querySelector('[data-node="app-a"]'));
    await page.focus('[data-node="app-a"]');
    const { time } = fixture.state;
    await until(() => fixture.state.time > time + 2, "two more topologies");
    assert.ok(await page.evaluate((element) => element.isConnected && document.activeElement === element, kept));
  }),

  "a node leads to its metrics, logs and traces": on({}, async ({ page, go }) => {
    await go("/system");
    await page.click('[data-node="app-a"]');
    const drawer = page.locator(".drawer");
    await drawer.getByText("127.0.0.1:21020").waitFor();
    await drawer.locator(".mini").nth(3).waitFor();
    assert.match(page.url(), /node=app-a/);
    await drawer.getByText("All logs").click();
    await page.waitForURL(/\/logs\?node=app-a/);
    await page.goBack();
    await drawer.waitFor();
    await page.keyboard.press("Escape");
    await drawer.waitFor({ state: "detached" });
  }),

  "a broken stream comes back by itself": on({}, async ({ fixture, page, go }) => {
    await go("/system");
    await page.locator(".connection", { hasText: "live" }).waitFor();
    for (const response of fixture.state.streams) response.destroy();
    await page.locator(".connection", { hasText: "reconnecting" }).waitFor();
    await page.locator(".connection", { hasText: "live" }).waitFor();
    page.complaints = page.complaints.filter((complaint) => !complaint.includes("ERR_INCOMPLETE_CHUNKED_ENCODING"));
  }),

  "fifty nodes cost less than a frame for each frame": on({ isAlone: true, server: { apps: 50 } }, async ({ page, go }) => {
    await go("/system");
    await page.waitForSelector('[data-node="app-c-16"]');
    const session = await page.context().newCDPSession(page);
    await session.send("Performance.enable", { timeDomain: "threadTicks" });
    const spent = async () => {
      const { metrics } = await session.send("Performance.getMetrics");
      return metrics.find(({ name }) => name === "TaskDuration").value;
    };
    const before = await spent();
    const frames = await page.evaluate(() => new Promise((done) => {
      let count = 0;
      const end = performance.now() + 2000;
      const turn = () => (performance.now() < end ? ((count += 1), requestAnimationFrame(turn)) : done(count));
      requestAnimationFrame(turn);
    }));
    const ms = ((await spent()) - before) * 1000;
    console.log(`     ${frames / 2} frames/s, ${(ms / frames).toFixed(1)} ms of the main thread each`);
    assert.ok(ms / 2000 < 0.5, `the main thread was busy for ${(ms / 20).toFixed(0)} % of the time`);
    assert.ok(ms / frames < 1000 / 60, `${(ms / frames).toFixed(1)} ms a frame`);
  }),

  "the first paint comes within 300 ms": on({ isAlone: true }, async ({ page, go }) => {
    const paints = [];
    for (let i = 0; i < 5; i += 1) {
      await go("/system");
      await page.waitForSelector(".top");
      paints.push(await page.evaluate(() => performance.getEntriesByName("first-contentful-paint")[0]?.startTime ?? Infinity));
    }
    console.log(`     ${paints.map(Math.round).join(", ")} ms`);
    assert.ok(Math.min(...paints) < 300, `${paints}`);
  }),

  "a failing request is found, and its cause is read": on({}, async ({ fixture, page, go }) => {
    await go("/traces");
    await page.selectOption("#search-status", "error");
    await page.waitForURL(/status=error/);
    await until(async () => (await page.locator(".trace-link").count()) === 2, "the failed ones alone");
    await page.locator(".trace-link", { hasText: "PATCH /links/{code}" }).click();
    await page.waitForURL(new RegExp(failing(fixture)));
    const cause = page.locator(".cause");
    await cause.getByText("no primary answers: postgres-1 refused the connection").waitFor();
    await cause.getByText("the primary does not answer; the write is refused").waitFor();
    await page.getByText("attempt 2").waitFor();
  }),

  "a trace is read by keys alone": on({}, async ({ fixture, page, go }) => {
    await go(`/traces/${failing(fixture)}`);
    await page.waitForSelector(".span-row");
    await page.keyboard.press("j");
    await page.keyboard.press("j");
    await page.keyboard.press("k");
    await page.keyboard.press("Enter");
    await page.locator(".span-detail").waitFor();
    const rows = await page.locator(".span-row").count();
    await page.keyboard.press("ArrowLeft");
    await until(async () => (await page.locator(".span-row").count()) < rows, "the children are folded");
    await page.keyboard.press("ArrowRight");
    await until(async () => (await page.locator(".span-row").count()) === rows, "the children are back");
    await page.keyboard.press("g");
    await page.keyboard.press("l");
    await page.waitForURL(/\/logs/);
  }),

  "a span shows what was asked of cache and database, and its logs": on({}, async ({ fixture, page, go }) => {
    const miss = fixture.state.kept[3];
    await go(`/traces/${miss.trace_id}?span=${miss.spans[2].span_id}`);
    await page.getByText("your-writes → bounded=500ms").first().waitFor();
    await page.locator(".chip-warn", { hasText: "miss" }).waitFor();
    await page.getByText("postgres-2 (replica)").first().waitFor();
    await page.locator(".span-detail").getByText("onefold.cache.result").waitFor();
  }),

  "two traces are compared line by line": on({}, async ({ page, go }) => {
    await go("/traces");
    const boxes = page.getByRole("checkbox");
    await boxes.nth(0).check();
    await page.getByText("One trace is chosen").waitFor();
    await boxes.nth(1).click();
    await page.getByText("Two traces compared").waitFor();
    await page.getByText("not in this one").first().waitFor();
  }),

  "the tail is live, held, narrowed and bounded": on({}, async ({ fixture, page, go }) => {
    await go("/logs");
    await page.locator(".log-row").nth(3).waitFor();
    await page.getByRole("button", { name: "Hold" }).click();
    const held = await page.locator(".log-row").count();
    addLog(fixture.state, { level: "ERROR", body: "something new" });
    await page.getByRole("button", { name: /Go on: / }).waitFor();
    assert.equal(await page.locator(".log-row").count(), held);
    await page.getByRole("button", { name: /Go on/ }).click();
    await page.getByText("something new").waitFor();
    await page.selectOption("#log-level", "ERROR");
    await page.waitForURL(/level=ERROR/);
    await until(async () => (await page.locator(".level-INFO").count()) === 0, "only errors");
    for (let i = 0; i < 1500; i += 1) addLog(fixture.state, { level: "ERROR", body: `flood ${i}` });
    await page.getByText("flood 1499").waitFor();
    assert.ok((await page.locator(".log-row").count()) <= 1000);
    await page.locator(".log-row").first().click();
    await page.locator(".log-detail").getByText("/{code}").waitFor();
    await page.locator(".log-row").first().getByText("trace").click();
    await page.waitForURL(/\/traces\//);
  }),

  "charts name their values under the pointer, and exemplars lead to traces": on({}, async ({ page, go }) => {
    await go("/metrics");
    const duration = page.getByRole("region", { name: "Duration" });
    const stage = duration.locator(".chart svg").first();
    await stage.waitFor();
    const box = await stage.boundingBox();
    await page.mouse.move(box.x + box.width / 2, box.y + box.height / 2);
    await duration.locator(".chart-values").getByText("95 %").waitFor();
    assert.match(await duration.locator(".chart-values").innerText(), /UTC[\s\S]*ms/);
    await page.mouse.move(5, 5);
    await duration.locator(".exemplars a").first().click();
    await page.waitForURL(/\/traces\/[0-9a-f]{32}/);
  }),

  "a query of one's own is drawn, and a wrong one says why": on({}, async ({ page, go }) => {
    await go("/metrics");
    await page.fill("#query", "sum by (node) (rate(onefold_app_request_seconds_count[1m]))");
    await page.keyboard.press("Enter");
    await page.waitForURL(/query=/);
    await page.locator(".legend", { hasText: "app-a" }).waitFor();
    await page.fill("#query", "sum oops");
    await page.keyboard.press("Enter");
    await page.getByText('query: 1:5: unexpected identifier "oops"').waitFor();
  }),

  "the token in the address logs in and is gone from it": on({}, async ({ fixture, page, go }) => {
    await go(login(fixture, "/alerts"));
    await page.getByRole("button", { name: "Log out" }).waitFor();
    assert.ok(!page.url().includes(fixture.token));
    await page.getByRole("button", { name: "Log out" }).click();
    await page.getByText("You are looking as a guest.").waitFor();
    await page.getByRole("banner").getByRole("button", { name: "Log in" }).click();
    await page.fill("#field-token", "wrong");
    await page.keyboard.press("Enter");
    await page.locator("dialog").getByText("the token is none of this console's").waitFor();
    await page.fill("#field-token", fixture.token);
    await page.keyboard.press("Enter");
    await page.getByRole("button", { name: "Log out" }).waitFor();
  }),

  "where reading needs a session, nothing is shown without": on({ server: { read: "token" } }, async ({ fixture, page, go }) => {
    await go("/logs");
    await page.getByText("Log in to look inside").waitFor();
    assert.equal(await page.locator(".log-row").count(), 0);
    await page.getByRole("main").getByRole("button", { name: "Log in" }).click();
    await page.fill("#field-token", fixture.token);
    await page.keyboard.press("Enter");
    await page.locator(".log-row").first().waitFor();
  }),

  "an alert is silenced with a reason": on({}, async ({ fixture, page, go }) => {
    await go(login(fixture, "/alerts"));
    await page.getByRole("button", { name: "Silence" }).first().click();
    await page.fill("#field-reason", "known, being repaired");
    await page.locator("dialog").getByRole("button", { name: "Silence" }).click();
    await page.getByText("silenced", { exact: true }).waitFor();
  }),

  "a dead job is read and replayed": on({}, async ({ fixture, page, go }) => {
    await go(login(fixture, "/jobs"));
    await page.getByRole("button", { name: "count-host.v1" }).click();
    await page.getByText("attempt 1: no primary answers").waitFor();
    await page.getByRole("button", { name: "Replay" }).click();
    await page.getByText("No job has died").waitFor();
    assert.equal(fixture.state.dead.length, 0);
  }),

  "a flag's definition is refused with a reason, then taken": on({}, async ({ fixture, page, go }) => {
    await go(login(fixture, "/flags"));
    await page.getByRole("button", { name: "Edit" }).first().click();
    const text = await page.inputValue("#field-definition");
    await page.fill("#field-definition", "{");
    await page.getByRole("button", { name: "Save" }).click();
    await page.getByText("This is no JSON yet").waitFor();
    await page.fill("#field-definition", text.replace('"off"\n', '"maybe"\n').replace('defaultVariant": "off"', 'defaultVariant": "maybe"'));
    await page.getByRole("button", { name: "Save" }).click();
    await page.getByText('there is no variant "maybe"').waitFor();
    await page.fill("#field-definition", text.replace('defaultVariant": "off"', 'defaultVariant": "on"'));
    await page.getByRole("button", { name: "Save" }).click();
    await page.getByText("on = true").waitFor();
    await page.getByRole("button", { name: "History" }).first().click();
    await page.getByText("before the launch").first().waitFor();
    assert.match(page.url(), /history=flags/);
  }),

  "markup in telemetry stays text": on({}, async ({ fixture, page, go }) => {
    addLog(fixture.state, { level: "ERROR", body: HOSTILE, node: "app-a" });
    fixture.state.dead[0].errors[2].error = HOSTILE;
    fixture.state.dead[0].args = { [HOSTILE]: HOSTILE };
    fixture.state.alerts[0].annotations.summary = HOSTILE;
    fixture.state.flags[0].reason = HOSTILE;
    fixture.state.system.nodes[4].state = HOSTILE;
    const hostile = fixture.state.kept[0].trace_id;
    for (const path of ["/system", `/traces/${hostile}?span=${fixture.state.kept[0].spans[0].span_id}`, "/traces?q=script", "/logs?level=ERROR", "/jobs", "/alerts", "/flags", `/metrics?query=${encodeURIComponent(HOSTILE)}`, `/logs?q=${encodeURIComponent(HOSTILE)}`]) {
      await go(path);
      await until(async () => (await page.locator("#app").textContent()).includes("<script>") || (await page.locator("textarea, input[type=search]").evaluateAll((all) => all.some((one) => one.value.includes("<script>")))), `${path} shows the text`);
      assert.equal(await page.evaluate(() => window.stolen), undefined, path);
      assert.equal(await page.locator("#app script, #app img, #app [onerror], #app [href^='javascript']").count(), 0, path);
    }
  }),

  "every view fits a wide page": () => fits(1280),
  "every view fits a narrow page": () => fits(400),

  "motion is still where it is not wanted, and the theme is kept": on({ reducedMotion: "reduce" }, async ({ page, go }) => {
    await go("/system");
    await page.waitForSelector(".flow");
    assert.equal(await page.evaluate(() => getComputedStyle(document.querySelector(".flow")).animationName), "none");
    const ground = () => page.evaluate(() => getComputedStyle(document.body).backgroundColor);
    const light = await ground();
    const theme = page.getByRole("button", { name: /^Theme/ });
    await theme.click();
    await theme.click();
    const dark = await ground();
    assert.notEqual(dark, light);
    await page.reload();
    await page.waitForSelector(".flow");
    assert.equal(await ground(), dark);
  }),

  "the tab key reaches the nodes of the picture": on({}, async ({ page, go }) => {
    await go("/system");
    await page.waitForSelector('[data-node="balancer"]');
    const reached = new Set();
    for (let i = 0; i < 40; i += 1) {
      await page.keyboard.press("Tab");
      reached.add(await page.evaluate(() => document.activeElement?.dataset?.node ?? ""));
    }
    assert.ok(reached.has("balancer") && reached.has("postgres-1"), [...reached].join());
  }),
};

const status = await run(cases, process.argv[2]);
await browser.close();
process.exit(status);
