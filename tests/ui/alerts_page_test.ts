/**
 * The badge in the title and notifications, in real browsers against a real server.
 *
 * @module
 */

import assert from "node:assert/strict";
import type { Page } from "playwright-core";
import { holds, inBrowsers, scene, serious, until } from "../support/browser.ts";
import { until as eventually } from "../support/patience.ts";

/** Keeps the notifications that the page shows. */
const RECORD = `globalThis.told = [];
  globalThis.Notification = class extends Notification {
    constructor(title, options) {
      super(title, options);
      told.push(title + ": " + options.body);
    }
  };`;

const look = (page: Page, elsewhere: boolean): Promise<void> =>
  page.evaluate(`Object.defineProperty(document, "hidden", {
      value: ${elsewhere}, configurable: true,
    });
    document.dispatchEvent(new Event("visibilitychange"))`);

inBrowsers("telling somebody who looks elsewhere", async (t, browser, name) => {
  const permissions = name === "chromium" ? ["notifications"] : [];
  // Lost: the one error of the night, in a tab behind twenty others.
  await t.step(
    "matches of the filter are counted in the title, and notified if asked for",
    () =>
      scene(browser, { context: { permissions } }, async ({ server, page }) => {
        using pool = server.client.createPool("shop", 1 << 18);
        pool.append({ level: "error", msg: "old" });
        await page.addInitScript(RECORD);
        await page.goto(`${server.url}/ui/pools/shop?where=.data.level%20%3D%3D%20%22error%22`);
        await page.locator(".row .data", { hasText: "old" }).waitFor();
        await look(page, true);
        pool.append({ level: "error", msg: "nobody asked" });
        await page.locator(".row .data", { hasText: "nobody asked" }).waitFor();
        await holds(async () => assert.equal(await page.title(), "shop · Plasmite UI"));
        await holds(async () => assert.deepEqual(await page.evaluate("told"), []));
        await look(page, false);

        await page.getByRole("button", { name: /^Tell me/ }).click();
        await page.getByLabel(/^When a message comes that the filter/).check();
        if (name === "chromium") await page.getByLabel(/^Also as a notification/).check();
        await holds(async () => assert.deepEqual(await serious(page), []));
        await page.getByRole("button", { name: "Tell me", exact: true }).click();
        await page.locator("dialog").waitFor({ state: "detached" });
        await look(page, true);
        pool.append({ level: "info", msg: "calm" });
        pool.append({ level: "error", msg: "first" });
        await until(page, `document.title === "(1) shop · Plasmite UI"`);
        pool.append({ level: "error", msg: "second" });
        await until(page, `document.title === "(2) shop · Plasmite UI"`);
        // One at a time, so that a burst does not bury the screen.
        const told = name === "chromium" ? ["shop: first  level error"] : [];
        await holds(async () => assert.deepEqual(await page.evaluate("told"), told));
        await look(page, false);
        await until(page, `document.title === "shop · Plasmite UI"`);
      }),
  );

  // Lost: the day on which the sensor had died, and no message said so.
  await t.step(
    "a pool that falls silent says so, until it speaks",
    () =>
      scene(browser, {}, async ({ server, page }) => {
        using pool = server.client.createPool("sensor", 1 << 18);
        pool.append({ n: 1 });
        await page.clock.install();
        await page.goto(`${server.url}/ui/pools/sensor`);
        await eventually(async () => {
          await page.clock.runFor(100);
          return await page.locator(".row .data").count() > 0;
        });
        await page.getByRole("button", { name: /^Tell me/ }).click();
        await page.getByLabel("When nothing comes").selectOption("after 5 min");
        await page.getByRole("button", { name: "Tell me", exact: true }).click();
        await page.clock.runFor(240_000);
        await holds(async () => assert.equal(await page.title(), "sensor · Plasmite UI"));
        await page.clock.runFor(62_000);
        await holds(async () => assert.equal(await page.title(), "(silent) sensor · Plasmite UI"));
        pool.append({ n: 2 });
        await eventually(async () => {
          await page.clock.runFor(100);
          return !(await page.title()).startsWith("(");
        });
        await holds(async () => assert.equal(await page.title(), "sensor · Plasmite UI"));
      }),
  );
});
