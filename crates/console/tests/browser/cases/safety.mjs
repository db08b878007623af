// What telemetry brings is text.

import { assert, until } from "../check.mjs";
import { addLog } from "../fixture/server.mjs";
import { HOSTILE } from "../fixture/traces.mjs";
import { on } from "../on.mjs";

export const safety = {
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
};
