// From view to view.

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
