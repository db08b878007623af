// Every state of a view stands in its address, and times are the reader's.

import { assert, until } from "../check.mjs";
import { failing, login, on } from "../on.mjs";

const value = (selector) => async (page) => page.locator(selector).inputValue();
const pressed = async (page) => page.locator('main [aria-pressed="true"]').allInnerTexts();

/** An address, what to look at, and what is there. */
const addresses = ({ state }) => [
  ["/system?node=app-a", (page) => page.locator(".drawer h2").innerText(), "app-a"],
  ["/traces?status=error&min_ms=100&within=6h", value("#search-status"), "error"],
  ["/traces?status=error&min_ms=100&within=6h", value("#search-min_ms"), "100"],
  ["/traces?status=error&min_ms=100&within=6h", value("#search-within"), "6h"],
  ["/traces?status=error&min_ms=100&within=6h", (page) => page.locator(".trace-link").allInnerTexts(), ["PATCH /links/{code}"]],
  ["/traces?what=all&q=script", pressed, ["Everything"]],
  [`/traces?compare=${state.kept[1].trace_id},${state.kept[2].trace_id}`, (page) => page.locator("h1").innerText(), "Two traces compared"],
  [`/traces/${failing({ state })}?span=${state.kept[1].spans[4].span_id}`, (page) => page.locator(".span.is-open .span-title").allInnerTexts(), ["UPDATE links"]],
  ["/logs?level=WARN&q=behind&node=app-a", value("#log-level"), "WARN"],
  ["/logs?level=WARN&q=behind&node=app-a", value("#log-q"), "behind"],
  ["/logs?level=WARN&q=behind&node=app-a", value("#log-node"), "app-a"],
  ["/logs?live=off", (page) => page.locator(".log-status .state").innerText(), "stopped"],
  ["/metrics?board=cache&within=1h", pressed, ["1 h"]],
  ["/metrics?board=cache&within=1h", (page) => page.locator("main [aria-current]").innerText(), "Cache"],
  ["/metrics?query=sum(up)", value("#query"), "sum(up)"],
  ["/alerts", (page) => page.locator("h1").innerText(), "Alerts"],
  ["/jobs?state=running", async (page) => (await pressed(page)).map((text) => text.replace(/\s.*/s, "")), ["Running"]],
  ["/jobs?job=0198c1de-7f3a", (page) => page.locator('td [aria-expanded="true"]').allInnerTexts(), ["count-host.v1"]],
  ["/flags?history=flags/preview-page", (page) => page.locator(".history").getByText("revision").count(), 2],
  ["/faults", (page) => page.locator("h1").innerText(), "Faults"],
];

export const places = {
  "an address brings a colleague to the same": on({}, async ({ fixture, page, go }) => {
    let before = null;
    for (const [path, look, expected] of addresses(fixture)) {
      if (path !== before) await go(path);
      before = path;
      let found = null;
      const isThere = async () => JSON.stringify(found = await look(page)) === JSON.stringify(expected);
      await until(isThere, path, 5000).catch(() => assert.deepEqual(found, expected, path));
    }
  }),

  "what one opens stands in the address, and the way back leads through it": on({}, async ({ fixture, page, go }) => {
    await go(login(fixture, "/jobs"));
    await page.getByRole("button", { name: "count-host.v1" }).click();
    await page.waitForURL(/job=0198c1de-7f3a/);
    await page.getByRole("button", { name: "Running" }).click();
    await page.waitForURL(/\/jobs\?state=running$/);
    await page.getByRole("link", { name: "Traces", exact: true }).click();
    await page.locator(".trace-link", { hasText: "PATCH" }).click();
    await page.locator(".span-row").nth(2).click();
    await page.waitForURL(/span=/);
    const place = page.url();
    await page.locator(".span-detail").waitFor();
    await page.getByRole("link", { name: "Metrics", exact: true }).click();
    await page.waitForURL(/metrics/);
    await page.goBack();
    assert.equal(page.url(), place);
    await page.locator(".span-detail").waitFor();
    await page.goBack();
    await page.locator(".trace-link").first().waitFor();
    await page.goBack();
    await page.waitForURL(/state=running/);
  }),

  "times are those of the reader's zone, and the pointer shows UTC": on({ timezoneId: "Asia/Kathmandu" }, async ({ page, go }) => {
    await go("/logs?live=off");
    const time = page.locator(".log-time time").first();
    await time.waitFor();
    const [shown, machine, title] = await time.evaluate((one) => [one.textContent, one.getAttribute("datetime"), one.title]);
    const there = new Date(new Date(machine).getTime() + 345 * 60_000).toISOString();
    assert.ok(shown.endsWith(there.slice(11, 23)), `${shown} is ${there} in Nepal`);
    assert.equal(title, `${machine.slice(0, 10)} ${machine.slice(11, 23)} UTC`);
    await go("/metrics");
    const ticks = page.getByRole("region", { name: "Duration" }).locator(".axes text");
    await ticks.last().waitFor();
    const now = new Date(Date.now() + 345 * 60_000).toISOString().slice(11, 13);
    assert.ok((await ticks.allTextContents()).some((text) => text.startsWith(`${now}:`)), "the axis too");
  }),
};
