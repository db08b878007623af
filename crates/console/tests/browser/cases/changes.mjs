// Who may look, who may change, and what is changed.

import { assert } from "../check.mjs";
import { login, on } from "../on.mjs";

export const changes = {
  "the token in the address logs in and is gone from it": on({}, async ({ fixture, page, go }) => {
    await go(login(fixture, "/alerts"));
    await page.getByRole("button", { name: "Log out" }).waitFor();
    assert.ok(!page.url().includes(fixture.token));
    await page.getByRole("button", { name: "Log out" }).click();
    await page.getByText("You are looking as a guest.").waitFor();
    await page.getByRole("banner").getByRole("button", { name: "Log in" }).click();
    await page.fill("#field-token", "wrong");
    await page.keyboard.press("Enter");
    await page.locator("dialog").getByText("the token is none of this console's").waitFor();
    await page.fill("#field-token", fixture.token);
    await page.keyboard.press("Enter");
    await page.getByRole("button", { name: "Log out" }).waitFor();
  }),

  "where reading needs a session, nothing is shown without": on({ server: { read: "token" } }, async ({ fixture, page, go }) => {
    await go("/logs");
    await page.getByText("Log in to look inside").waitFor();
    assert.equal(await page.locator(".log-row").count(), 0);
    await page.getByRole("main").getByRole("button", { name: "Log in" }).click();
    await page.fill("#field-token", fixture.token);
    await page.keyboard.press("Enter");
    await page.locator(".log-row").first().waitFor();
  }),

  "an alert is silenced with a reason": on({}, async ({ fixture, page, go }) => {
    await go(login(fixture, "/alerts"));
    await page.getByRole("button", { name: "Silence" }).first().click();
    await page.fill("#field-reason", "known, being repaired");
    await page.locator("dialog").getByRole("button", { name: "Silence" }).click();
    await page.getByText("silenced", { exact: true }).waitFor();
  }),

  "a dead job is read and replayed": on({}, async ({ fixture, page, go }) => {
    await go(login(fixture, "/jobs"));
    await page.getByRole("button", { name: "count-host.v1" }).click();
    await page.getByText("attempt 1: no primary answers").waitFor();
    await page.getByRole("button", { name: "Replay" }).click();
    await page.getByText("No job has died").waitFor();
    assert.equal(fixture.state.dead.length, 0);
  }),

  "a flag's definition is refused with a reason, then taken": on({}, async ({ fixture, page, go }) => {
    await go(login(fixture, "/flags"));
    await page.getByRole("button", { name: "Edit" }).first().click();
    const text = await page.inputValue("#field-definition");
    await page.fill("#field-definition", "{");
    await page.getByRole("button", { name: "Save" }).click();
    await page.getByText("This is no JSON yet").waitFor();
    await page.fill("#field-definition", text.replace('"off"\n', '"maybe"\n').replace('defaultVariant": "off"', 'defaultVariant": "maybe"'));
    await page.getByRole("button", { name: "Save" }).click();
    await page.getByText('there is no variant "maybe"').waitFor();
    await page.fill("#field-definition", text.replace('defaultVariant": "off"', 'defaultVariant": "on"'));
    await page.getByRole("button", { name: "Save" }).click();
    await page.getByText("on = true").waitFor();
    await page.getByRole("button", { name: "History" }).first().click();
    await page.getByText("before the launch").first().waitFor();
    assert.match(page.url(), /history=flags/);
  }),

  "where faults are not enabled, the page says so": on({}, async ({ page, go }) => {
    await go("/faults");
    await page.getByText("Faults are not enabled on this system.").waitFor();
    assert.equal(await page.getByRole("main").getByRole("button").count(), 0);
  }),
};
