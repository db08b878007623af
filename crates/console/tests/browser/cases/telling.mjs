// Logs and metrics.

import { assert, until } from "../check.mjs";
import { addLog } from "../fixture/server.mjs";
import { on } from "../on.mjs";

export const telling = {
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
};
