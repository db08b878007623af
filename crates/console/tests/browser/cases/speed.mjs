// Times: the first paint, and frames.

import { assert } from "../check.mjs";
import { on } from "../on.mjs";

export const speed = {
  "fifty nodes cost less than a frame for each frame": on({ isAlone: true, reducedMotion: "no-preference", server: { apps: 50 } }, async ({ page, go }) => {
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
};
