// A picture of each view in both themes and both widths, for whoever changes the console.

import { mkdirSync } from "node:fs";
import { join } from "node:path";

const WIDTHS = [[1280, 860], [400, 860]];

/** `views` is `{ name: path }`. Answers what is too wide for its page. */
export async function screenshots(browser, open, folder, views, state) {
  mkdirSync(folder, { recursive: true });
  const tooWide = [];
  for (const theme of ["light", "dark"]) {
    for (const [width, height] of WIDTHS) {
      const page = await open(browser, null, { width, height, theme, storageState: state });
      for (const [name, url] of Object.entries(views)) {
        await page.goto(url);
        await page.locator("main:not(:has(> .notice:only-child)) > *").first().waitFor();
        // Charts and lists come with the first answer, and the first answers within a moment.
        await page.waitForTimeout(300);
        if (await page.evaluate(() => document.documentElement.scrollWidth > document.documentElement.clientWidth)) tooWide.push(`${name} at ${width}`);
        await page.screenshot({ path: join(folder, `${name}-${theme}-${width}.png`) });
      }
      await page.context().close();
    }
  }
  return tooWide;
}
