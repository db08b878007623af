// What a case of the page stands on: a page in the browser, on a development server of its own.

import { assert } from "./check.mjs";
import { launch, open } from "./chromium.mjs";
import { start } from "./fixture/server.mjs";

export const browser = await launch();

/** Complaints of the browser fail the case. Cases that take times run alone. */
export function on({ isAlone, server, ...options }, check) {
  return Object.assign(async () => {
    const fixture = await start(server);
    const page = await open(browser, null, options);
    const go = (path) => page.goto(fixture.url + path);
    try {
      await check({ fixture, page, go });
      assert.deepEqual(page.complaints, []);
    } finally {
      await page.context().close();
      fixture.close();
    }
  }, { isAlone });
}

export const login = (fixture, path) => `${path}#token=${fixture.token}`;
export const failing = (fixture) => fixture.state.kept[1].trace_id;

/** Goes there as a link of the page does: without loading it anew. */
export async function walk(page, path) {
  await page.evaluate((to) => {
    history.pushState(null, "", to);
    dispatchEvent(new PopStateEvent("popstate"));
  }, path);
  await settled(page);
}

/** Waits until the view has what it asked for. */
export function settled(page) {
  return page.waitForFunction(() => {
    const main = document.querySelector("main#main");
    return main?.children.length > 1 && !/Loading /.test(main.textContent) && document.querySelector(".connection")?.textContent !== "connecting";
  });
}
