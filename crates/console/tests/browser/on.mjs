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
