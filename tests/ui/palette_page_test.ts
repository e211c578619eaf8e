/**
 * Ctrl-K, the theme and the other settings, in real browsers against a real server.
 *
 * @module
 */

import assert from "node:assert/strict";
import type { Page } from "playwright-core";
import {
  fillPool,
  holds,
  inBrowsers,
  scene,
  serious,
  type TestServer,
  until,
} from "../support/browser.ts";
import { hold } from "../support/scene.ts";

function make(server: TestServer, ...names: string[]): void {
  for (const name of names) {
    using pool = server.client.createPool(name, 1 << 18);
    fillPool(pool, 5, 60_000);
  }
}

const options = (page: Page): Promise<string[]> =>
  page.locator(".palette [role=option] span").allInnerTexts();

inBrowsers("going anywhere by keyboard, and settings", async (t, browser) => {
  // Lost: the way to a pool whose name one remembers a part of, among hundreds.
  await t.step(
    "Ctrl-K finds any pool, the ones opened last first",
    () =>
      scene(browser, {}, async ({ server, page }) => {
        make(server, "aaa", "logs-api", "logs-db", "production.eu.payments", "shop");
        await page.goto(`${server.url}/ui/pools/shop`);
        await page.locator(".row .data").first().waitFor();
        // Also out of a text field.
        await page.keyboard.press("/");
        await page.keyboard.press("Control+k");
        const box = page.getByRole("combobox", { name: /^Go to a pool/ });
        await box.fill("pay");
        await until(
          page,
          `document.querySelector(".palette [aria-selected=true] span")?.textContent ===
          "production.eu.payments"`,
        );
        await holds(async () => assert.deepEqual(await serious(page), []));
        await page.keyboard.press("Enter");
        await until(page, `location.pathname === "/ui/pools/production.eu.payments"`);
        await page.locator(".row .data").first().waitFor();
        await page.keyboard.press("Control+k");
        await page.locator(".palette [role=option]", { hasText: "aaa" }).waitFor();
        await holds(async () =>
          assert.deepEqual((await options(page)).slice(0, 2), ["production.eu.payments", "shop"])
        );
        await page.keyboard.press("ArrowDown");
        await page.keyboard.press("Enter");
        await until(page, `location.pathname === "/ui/pools/shop"`);
        await page.keyboard.press("Control+k");
        await box.fill("no such thing");
        await page.locator(".palette .none").waitFor();
        await page.keyboard.press("Escape");
        await page.locator(".palette").waitFor({ state: "detached" });
        await page.keyboard.press("Control+k");
        await box.fill("all pools");
        await page.keyboard.press("Enter");
        await page.locator('[data-pool="shop"]').waitFor();
      }),
  );

  // Lost: the first letters, which the page would take for commands.
  await t.step(
    "what is typed until the box is there is in it",
    () =>
      scene(browser, {}, async ({ server, page }) => {
        make(server, "shop");
        const { asked, release } = await hold(page, "**/ui/assets/palette.js");
        await page.goto(`${server.url}/ui`);
        await page.locator('[data-pool="shop"]').waitFor();
        await page.keyboard.press("Control+k");
        await asked;
        await page.keyboard.type("no");
        release();
        const box = page.getByRole("combobox", { name: /^Go to a pool/ });
        await box.waitFor();
        await holds(async () => assert.equal(await box.inputValue(), "no"));
        await holds(async () => assert.equal(await page.locator("dialog").count(), 1));
      }),
  );

  // Lost: eyes at night, and the choice with the next reload.
  await t.step(
    "the theme can be chosen, is kept, and holds in all tabs at once",
    () =>
      scene(browser, {}, async ({ server, page }) => {
        make(server, "shop");
        const background = "getComputedStyle(document.body).backgroundColor";
        const light = "rgb(247, 248, 250)", dark = "rgb(14, 17, 22)";
        await page.goto(`${server.url}/ui`);
        await page.locator('[data-pool="shop"]').waitFor();
        const other = await page.context().newPage();
        await other.goto(`${server.url}/ui/pools/shop`);
        await other.locator(".row .data").first().waitFor();
        await page.keyboard.press("Control+k");
        await page.getByRole("combobox", { name: /^Go to a pool/ }).fill("dark");
        await page.keyboard.press("Enter");
        await until(page, `${background} === "${dark}"`);
        await until(other, `${background} === "${dark}"`);
        // A canvas has to get a colour, not an expression.
        await until(
          other,
          `/^(rgb|#)/.test(getComputedStyle(document.documentElement).getPropertyValue("--h4"))`,
        );
        await page.reload();
        await page.locator('[data-pool="shop"]').waitFor();
        await holds(async () => assert.equal(await page.evaluate(background), dark));
        await page.getByRole("button", { name: "Settings" }).click();
        await holds(async () =>
          assert.ok(await page.getByRole("radio", { name: "Dark" }).isChecked())
        );
        await holds(async () => assert.deepEqual(await serious(page), []));
        await page.getByRole("radio", { name: "Light" }).check();
        await until(page, `${background} === "${light}"`);
        await until(other, `${background} === "${light}"`);
        await page.getByRole("radio", { name: "As the system" }).check();
        await holds(async () =>
          assert.equal(await page.evaluate(`localStorage.getItem("plasmite-theme")`), null)
        );
      }),
  );
});
