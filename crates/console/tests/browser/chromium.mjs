// The browser of the tests: the system's Chromium, driven by playwright-core.

import { createRequire } from "node:module";
import { join } from "node:path";

const { chromium } = createRequire(join(process.env.ONEFOLD_BROWSER_MODULES, "/"))("playwright-core");

export async function launch() {
  const args = ["--disable-dev-shm-usage"];
  // Chromium's sandbox refuses root; containers run tests as root.
  if (process.getuid() === 0) args.push("--no-sandbox");
  return chromium.launch({ executablePath: process.env.ONEFOLD_CHROMIUM, args });
}

/** A page whose complaints are collected: errors, refused inline code, missing files. */
export async function open(browser, url, { width = 1280, height = 860, theme = "light", ...more } = {}) {
  // Without a graphics card each frame costs the processor that the case waits for: motion is for the cases about it.
  const context = await browser.newContext({ viewport: { width, height }, colorScheme: theme, reducedMotion: "reduce", ...more });
  const page = await context.newPage();
  page.setDefaultTimeout(30_000);
  page.complaints = [];
  page.on("pageerror", (error) => page.complaints.push(String(error.stack)));
  page.on("console", (message) => {
    // A refusal of the API is shown on the page, and the browser logs it beside.
    if (message.type() === "error" && !/status of (4|5)\d\d/.test(message.text())) page.complaints.push(message.text());
  });
  if (url) await page.goto(url);
  return page;
}
