// Traces: found, read, compared.

import { assert, until } from "../check.mjs";
import { failing, on } from "../on.mjs";

export const traces = {
  "a failing request is found, and its cause is read": on({}, async ({ fixture, page, go }) => {
    await go("/traces");
    await page.selectOption("#search-status", "error");
    await page.waitForURL(/status=error/);
    await until(async () => (await page.locator(".trace-link").count()) === 2, "the failed ones alone");
    await page.locator(".trace-link", { hasText: "PATCH /links/{code}" }).click();
    await page.waitForURL(new RegExp(failing(fixture)));
    const cause = page.locator(".cause");
    await cause.getByText("no primary answers: postgres-1 refused the connection").waitFor();
    await cause.getByText("the primary does not answer; the write is refused").waitFor();
    await page.getByText("attempt 2").waitFor();
  }),

  "a span shows what was asked of cache and database, and its logs": on({}, async ({ fixture, page, go }) => {
    const miss = fixture.state.kept[4];
    await go(`/traces/${miss.trace_id}?span=${miss.spans[2].span_id}`);
    await page.getByText("your-writes → bounded=500ms").first().waitFor();
    await page.locator(".chip-warn", { hasText: "miss" }).waitFor();
    await page.getByText("postgres-2 (replica)").first().waitFor();
    await page.locator(".span-detail").getByText("onefold.cache.result").waitFor();
  }),

  "a request leads to the job that it set off, and the job back to it": on({}, async ({ fixture, page, go }) => {
    const [, , request, job] = fixture.state.kept;
    await go(`/traces/${request.trace_id}`);
    await page.locator(".linked", { hasText: "It set off" }).getByRole("link", { name: "click.v1 run" }).click();
    await page.waitForURL(new RegExp(job.trace_id));
    await page.getByRole("heading", { name: "click.v1 run" }).waitFor();
    await page.locator(".linked", { hasText: "It was set off by" }).getByRole("link").click();
    await page.waitForURL(new RegExp(`${request.trace_id}.span=${request.spans[2].span_id}`));
    await page.getByRole("heading", { name: "POST /links" }).waitFor();
    // The log line stands in the span that wrote it.
    await page.locator(".span.is-open").getByText("link created").waitFor();
  }),

  "two traces are compared line by line": on({}, async ({ page, go }) => {
    await go("/traces");
    const boxes = page.getByRole("checkbox");
    await boxes.nth(0).check();
    await page.getByText("One trace is chosen").waitFor();
    await boxes.nth(1).click();
    await page.getByText("Two traces compared").waitFor();
    await page.getByText("not in this one").first().waitFor();
  }),
};
