// A picture of each view in both themes and both widths, for whoever changes the console.

import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { open } from "../../../../crates/console/tests/browser/chromium.mjs";
import { contrast } from "../../../../crates/console/tests/browser/contrast.mjs";
import { settled, walk } from "../../../../crates/console/tests/browser/walk.mjs";

const SIZES = [[1280, 860], [400, 860]];

/** `views` is `{ name: path }`. Answers what is too wide for its page, or too faint to be read. */
export async function screenshots(browser, console_, folder, views, state) {
  mkdirSync(folder, { recursive: true });
  const wrong = [];
  const theme = async (name) => {
    for (const [width, height] of SIZES) wrong.push(...await shoot(name, width, height));
  };
  const shoot = async (theme, width, height) => {
    const found = [];
    const page = await open(browser, `${console_}/faults`, { width, height, theme, storageState: state });
    await settled(page);
    for (const [name, path] of Object.entries(views)) {
      await walk(page, path);
      const says = (what) => found.push(`${name} at ${width}, ${theme}: ${what}`);
      if (await page.evaluate(() => document.documentElement.scrollWidth > document.documentElement.clientWidth)) says("too wide");
      (await contrast(page)).faint.forEach(says);
      await page.screenshot({ path: join(folder, `${name}-${theme}-${width}.png`) });
    }
    await page.context().close();
    return found;
  };
  await Promise.all([theme("light"), theme("dark")]);
  return wrong;
}
