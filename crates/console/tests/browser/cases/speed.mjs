// Times: the first paint, and frames.

import { assert } from "../check.mjs";
import { on } from "../on.mjs";

/** How long frames are counted. */
const FRAMES_MS = 2000;

export const speed = {
  "fifty nodes cost less than a frame for each frame": on({ isAlone: true, reducedMotion: "no-preference", server: { apps: 50 } }, async ({ fixture, page, go }) => {
    await go("/system");
    await page.waitForSelector('[data-node="app-c-16"]');
    const session = await page.context().newCDPSession(page);
    await session.send("Performance.enable", { timeDomain: "threadTicks" });
    const spent = async () => {
      const { metrics } = await session.send("Performance.getMetrics");
      return metrics.find(({ name }) => name === "TaskDuration").value;
    };
    const before = await spent();
    // As often as the observer tells.
    const telling = setInterval(() => fixture.push(), 250);
    const times = await page.evaluate((during) => new Promise((done) => {
      const took = [];
      let last = performance.now();
      const end = last + during;
      const turn = (now) => {
        took.push(now - last);
        last = now;
        if (now < end) requestAnimationFrame(turn);
        else done(took);
      };
      requestAnimationFrame(turn);
    }), FRAMES_MS);
    clearInterval(telling);
    const busy = ((await spent()) - before) * 1000;
    times.sort((a, b) => a - b);
    const at = (share) => times[Math.floor(times.length * share)].toFixed(1);
    const each = busy / times.length;
    console.log(`     ${(times.length / FRAMES_MS * 1000).toFixed(0)} frames/s; a frame every ${at(0.5)} ms (p50), ${at(0.95)} ms (p95), ${at(0.999)} ms at most; ${each.toFixed(1)} ms of the main thread each`);
    // Time of the processor, not of the clock: the machine may have more to do than this.
    assert.ok(busy / FRAMES_MS < 0.5, `the main thread was busy for ${(busy / FRAMES_MS * 100).toFixed(0)} % of the time`);
    assert.ok(each < 1000 / 60, `${each.toFixed(1)} ms a frame`);
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
