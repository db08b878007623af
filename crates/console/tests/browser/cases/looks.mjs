// How it looks: sizes, themes, contrasts, signs.

import { assert, until } from "../check.mjs";
import { open } from "../chromium.mjs";
import { contrast } from "../contrast.mjs";
import { start } from "../fixture/server.mjs";
import { browser, failing, login, on } from "../on.mjs";
import { walk } from "../walk.mjs";

/** Every view in every standing that differs in colour. */
const places = (fixture) => [
  "/system", "/system?node=app-b", "/traces", `/traces/${failing(fixture)}?span=${fixture.state.kept[1].spans[4].span_id}`,
  `/traces?compare=${fixture.state.kept[1].trace_id},${fixture.state.kept[2].trace_id}`, "/logs?live=off", "/metrics", "/metrics?query=up",
  "/alerts", "/jobs", "/jobs?state=running", "/flags?history=flags/preview-page", "/faults",
];

/** No view is wider than the page, every control has a name, and all that is drawn is seen. */
function fits(theme, width) {
  return async () => {
    const fixture = await start();
    fixture.kill("app-b");
    const page = await open(browser, fixture.url + login(fixture, "/system"), { width, theme });
    await page.getByRole("button", { name: "Log out" }).waitFor();
    let checked = 0;
    for (const path of places(fixture)) {
      await walk(page, path);
      assert.deepEqual(await page.evaluate(faults), [], path);
      const found = await contrast(page);
      assert.deepEqual(found.faint, [], `${path}, ${theme}`);
      checked += found.checked;
    }
    console.log(`     ${checked} contrasts`);
    assert.deepEqual(page.complaints, []);
    await page.context().close();
    fixture.close();
  };
}

// Runs in the page.
function faults() {
  const found = [];
  const over = document.documentElement.scrollWidth - document.documentElement.clientWidth;
  if (over > 0) found.push(`${over} pixels too wide`);
  // What may be moved sideways within the page is meant to be.
  for (const one of document.querySelectorAll("main *, .top *")) {
    const isMeant = one.matches(".scroll, .ways, .segments, .waterfall, pre, textarea");
    if (!isMeant && /auto|scroll/.test(getComputedStyle(one).overflowX) && one.scrollWidth > one.clientWidth) found.push(`${one.className} is wider than it may be`);
  }
  for (const one of document.querySelectorAll("button, a[href], input, select, textarea")) {
    const isNamed = one.textContent.trim() || one.getAttribute("aria-label") || one.title || document.querySelector(`label[for="${one.id}"]`);
    if (!isNamed) found.push(`no name: ${one.outerHTML}`);
  }
  return found;
}

export const looks = {
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

  "the light page is readable": fits("light", 1280),
  "the dark page is readable": fits("dark", 1280),
  "the narrow light page is readable": fits("light", 400),
  "the narrow dark page is readable": fits("dark", 400),

  "what a colour says is said without it": on({}, async ({ fixture, page, go }) => {
    fixture.kill("app-b");
    await go("/system");
    const dead = page.locator('[data-node="app-b"]');
    await dead.getByText("down", { exact: true }).waitFor();
    const sign = (name) => page.locator(`[data-node="${name}"] .sign`).getAttribute("d");
    assert.notEqual(await sign("app-b"), await sign("app-a"), "by shape");
    const dashes = (selector) => page.locator(selector).first().evaluate((one) => getComputedStyle(one).strokeDasharray);
    assert.notEqual(await dashes('[data-node="app-b"] .card-box'), await dashes('[data-node="app-a"] .card-box'));
    await page.waitForSelector(".link.is-failing");
    assert.notEqual(await dashes(".link.is-failing > path"), await dashes(".link:not(.is-failing):not(.is-idle) > path"));
    const marks = await page.locator(".boxes path.tier").evaluateAll((all) => all.map((one) => [one.getAttribute("class"), one.getAttribute("d")]));
    assert.equal(new Set(marks.map(([tier]) => tier)).size, new Set(marks.map(([, shape]) => shape)).size, "each tier has its shape");
    await walk(page, `/traces/${failing(fixture)}`);
    assert.equal(await page.locator(".span-bar.is-failed").count(), await page.locator(".span-row .sign-bad").count());
    await walk(page, "/metrics?board=app");
    const lines = await page.getByRole("region", { name: "Requests by node" }).locator(".lines .line").evaluateAll((all) => all.map((one) => one.getAttribute("stroke-dasharray")));
    assert.equal(new Set(lines).size, lines.length, `lines differ in their dashes: ${lines}`);
  }),
};
