// The page by keys alone.

import { assert, until } from "../check.mjs";
import { failing, login, on } from "../on.mjs";
import { walk } from "../walk.mjs";

/** What takes the focus, in order of appearance; of long lists the first few say enough. */
const FOCUSABLE = "a[href]:not([tabindex='-1']), button:not(:disabled):not([tabindex='-1']), input, select, textarea, [tabindex='0'], summary";
const REACHED_MAX = 40;

export const keys = {
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

  "every control of every view is reached by the tab key, and seen where it has the focus": on({}, async ({ fixture, page, go }) => {
    await go(login(fixture, "/system"));
    await page.getByRole("button", { name: "Log out" }).waitFor();
    await page.evaluate(() => addEventListener("focusin", ({ target }) => {
      const box = target.querySelector?.(".card-box, rect");
      const isDrawn = target instanceof SVGElement && box && getComputedStyle(box).strokeWidth === "2px";
      if (!isDrawn && getComputedStyle(target).outlineStyle === "none" && target !== document.body) window.walked.unseen.push(target.outerHTML.slice(0, 90));
      if (target.dataset.order) window.walked.reached.push(target.dataset.order);
    }));
    for (const path of ["/system?node=app-a", "/traces", `/traces/${failing(fixture)}`, "/logs?live=off", "/metrics", "/alerts", "/jobs", "/flags", "/faults"]) {
      await walk(page, path);
      const wanted = await page.evaluate((selector) => {
        window.walked = { reached: [], unseen: [] };
        const all = [...document.querySelectorAll(selector)].filter((one) => one.checkVisibility());
        all.forEach((one, i) => one.setAttribute("data-order", i));
        document.activeElement?.blur();
        document.body.tabIndex = -1;
        document.body.focus();
        return all.length;
      }, FOCUSABLE);
      for (let i = 0; i < Math.min(wanted, REACHED_MAX); i += 1) await page.keyboard.press("Tab");
      const { reached, unseen } = await page.evaluate(() => window.walked);
      assert.deepEqual(unseen, [], `${path}: nothing shows the focus`);
      // What a poll has drawn meanwhile is new, and bears no number.
      assert.ok(new Set(reached).size >= Math.min(wanted, REACHED_MAX) * 0.9, `${path}: ${reached.length} of ${wanted}`);
    }
  }),

  "a dialog takes the keys, and gives the focus back": on({}, async ({ page, go }) => {
    await go("/system");
    await page.locator("[data-node]").first().waitFor();
    await page.keyboard.press("?");
    await page.locator("dialog").getByText("next and previous row").waitFor();
    await page.keyboard.press("g");
    await page.keyboard.press("t");
    assert.match(page.url(), /\/system$/);
    await page.keyboard.press("Escape");
    await page.locator("dialog").waitFor({ state: "detached" });
    await page.focus('[data-node="app-b"]');
    await page.keyboard.press("Enter");
    await page.locator(".drawer").waitFor();
    await page.keyboard.press("Escape");
    await page.locator(".drawer").waitFor({ state: "detached" });
    assert.equal(await page.evaluate(() => document.activeElement.dataset.node), "app-b");
  }),
};
