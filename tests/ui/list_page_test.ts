/**
 * The list of pools as a table, in real browsers against a real server.
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
import { until as eventually } from "../support/patience.ts";
import { hold } from "../support/scene.ts";

const MINUTE = 60_000;

function make(server: TestServer, name: string, count = 0, spanMs = MINUTE): void {
  using pool = server.client.createPool(name, 1 << 20);
  if (count > 0) fillPool(pool, count, spanMs);
}

/** The names of the rows, groups in brackets, top to bottom. */
const shown = (page: Page): Promise<string[]> =>
  page.evaluate(`[...document.querySelectorAll("table.pools tbody tr:not(.space)")]
    .map((row) => row.dataset.pool ?? "[" + row.dataset.group + "]")`);

const shows = (page: Page, names: string[]): Promise<void> =>
  until(
    page,
    `JSON.stringify([...document.querySelectorAll("table.pools tbody tr:not(.space)")]
      .map((row) => row.dataset.pool ?? "[" + row.dataset.group + "]")) ===
      ${JSON.stringify(JSON.stringify(names))}`,
  );

inBrowsers("the list of pools", async (t, browser) => {
  // Lost: the one pool among many that is damaged, full, or whose reader is late.
  await t.step(
    "sorted by every column, grouped, with health, time to full and lag",
    () =>
      scene(browser, {}, async ({ server, page }) => {
        make(server, "logs-api", 40);
        make(server, "logs-db", 10, 5 * MINUTE);
        make(server, "shop", 500);
        make(server, "quiet");
        await Deno.writeTextFile(`${server.dir}/broken.plasmite`, "not a pool");
        using pool = server.client.pool("shop");
        await pool.setCursor("slow", 1);
        await page.goto(`${server.url}/ui`);
        await shows(page, ["broken", "[logs]", "logs-api", "logs-db", "quiet", "shop"]);
        const cell = (pool: string, column: string) =>
          page.locator(`[data-pool="${pool}"] .c-${column}`);
        await holds(async () => assert.equal(await cell("broken", "state").innerText(), "Corrupt"));
        await page.locator(".summary", { hasText: "1 damaged" }).waitFor();
        await cell("shop", "full").filter({ hasText: /^about \d+ (s|min|h)$/ }).waitFor();
        await cell("shop", "readers").filter({ hasText: "1, 499 behind" }).waitFor();
        await holds(async () => assert.equal(await cell("quiet", "full").innerText(), "–"));

        const heads = page.locator("table.pools thead .sort");
        for (let i = 0; i < await heads.count(); i++) {
          const head = heads.nth(i);
          if (!await head.isVisible()) continue;
          const order = (): Promise<string | null> =>
            head.evaluate((one) => one.closest("th")?.getAttribute("aria-sort") ?? null);
          const orders = [await order()];
          for (let n = 0; n < 2; n++) {
            await head.click();
            await holds(async () => assert.notEqual(await order(), orders.at(-1)));
            orders.push(await order());
          }
          assert.ok(orders[1] && orders[2], String(orders));
          await holds(async () => assert.equal(await page.locator("th[aria-sort]").count(), 1));
        }
        await page.getByRole("button", { name: "Messages", exact: true }).click();
        await shows(page, ["shop", "[logs]", "logs-api", "logs-db", "quiet", "broken"]);
        await holds(() => assert.match(page.url(), /\?sort=-messages$/));
        await page.getByRole("button", { name: /^logs-/ }).click();
        await shows(page, ["shop", "[logs]", "quiet", "broken"]);
        await page.reload();
        await shows(page, ["shop", "[logs]", "logs-api", "logs-db", "quiet", "broken"]);
        await page.getByRole("button", { name: "Group" }).click();
        await shows(page, ["shop", "logs-api", "logs-db", "quiet", "broken"]);
        await holds(async () => assert.deepEqual(await serious(page), []));
      }),
  );

  // Lost: everyone who uses no mouse.
  await t.step(
    "by keyboard alone, and a click anywhere in a row opens the pool",
    () =>
      scene(browser, {}, async ({ server, page }) => {
        make(server, "logs-api", 4);
        make(server, "logs-db", 4);
        make(server, "shop", 5);
        await page.goto(`${server.url}/ui`);
        await shows(page, ["[logs]", "logs-api", "logs-db", "shop"]);
        await page.keyboard.press("j");
        await page.keyboard.press("Enter");
        await shows(page, ["[logs]", "shop"]);
        await page.keyboard.press("j");
        await page.keyboard.press("Enter");
        await page.locator(".row .data").first().waitFor();
        await holds(() => assert.match(page.url(), /\/ui\/pools\/shop$/));
        await page.goBack();
        await page.locator('[data-pool="shop"] .c-rate').click({ force: true });
        await page.locator(".row .data").first().waitFor();
        await holds(() => assert.match(page.url(), /\/ui\/pools\/shop$/));
        await page.goBack();
        await page.locator('[data-pool="shop"]').waitFor();
        await page.keyboard.press("/");
        await page.keyboard.type("lgdb");
        await shows(page, ["logs-db"]);
        await until(page, `location.search === "?search=lgdb"`);
        await page.keyboard.press("Enter");
        await page.keyboard.press("Enter");
        await page.locator(".row .data").first().waitFor();
        await holds(() => assert.match(page.url(), /\/ui\/pools\/logs-db$/));
      }),
  );

  // Lost: the dialog that was asked for, to the second half of a double-click.
  await t.step(
    "a double-click opens a dialog, and a click beside it closes it later",
    () =>
      scene(browser, {}, async ({ server, page }) => {
        make(server, "shop", 1);
        await page.clock.install();
        await page.goto(`${server.url}/ui`);
        await eventually(async () => {
          await page.clock.runFor(10);
          return await page.locator("[data-pool]").count() > 0;
        });
        await page.clock.pauseAt(Date.now() + 60 * MINUTE);
        for (const name of ["New pool", "Go to"]) {
          await page.getByRole("button", { name, exact: true }).click();
          await page.locator("dialog").waitFor();
          await page.mouse.click(5, 795);
          await holds(async () => assert.equal(await page.locator("dialog").count(), 1, name));
          await page.clock.runFor(1000);
          await page.mouse.click(5, 795);
          await page.locator("dialog").waitFor({ state: "detached" });
        }
      }),
  );

  // Lost: the page one has gone to, to one that comes late.
  await t.step(
    "a view that is loaded too late is not shown",
    () =>
      scene(browser, {}, async ({ server, page }) => {
        make(server, "shop", 1);
        const { asked, release } = await hold(page, "**/ui/assets/pool.js");
        await page.goto(`${server.url}/ui`);
        await page.locator('[data-pool="shop"] a').click();
        await asked;
        await page.goBack();
        await shows(page, ["shop"]);
        release();
        // What waits for the same module has gone on when this has.
        await page.evaluate(`import("/ui/assets/pool.js").then(() => {})`);
        await shows(page, ["shop"]);
        await holds(async () => assert.equal(await page.locator("h1").innerText(), "Pools"));
      }),
  );

  // Lost: a browser that hangs for seconds where somebody has a pool for each of many jobs.
  await t.step(
    "of many pools only the rows on screen exist and are asked for",
    () =>
      scene(browser, {}, async ({ server, page }) => {
        {
          using pool = server.client.createPool("first", 1 << 16);
          fillPool(pool, 3, MINUTE);
        }
        const many = 500;
        for (let i = 0; i < many; i++) {
          await Deno.copyFile(`${server.dir}/first.plasmite`, `${server.dir}/job${i}.plasmite`);
        }
        const whole: string[] = [];
        const some: string[] = [];
        page.on("request", (request) => {
          const url = new URL(request.url());
          if (url.pathname !== "/v0/ui/pools") return;
          (url.search === "" ? whole : some).push(url.search);
        });
        await page.goto(`${server.url}/ui`);
        await page.locator('[data-pool="first"]').waitFor();
        await holds(async () => assert.ok((await shown(page)).length < 60));
        await holds(async () => {
          const rows = await page.locator("table.pools").getAttribute("aria-rowcount");
          assert.equal(rows, String(many + 2));
        });
        await page.keyboard.press("G");
        await page.locator(`[data-pool="job${many - 1}"] a:focus`).waitFor();
        const last = page.locator(`[data-pool="job${many - 1}"]`);
        await holds(async () =>
          assert.equal(await last.getAttribute("aria-rowindex"), String(many + 2))
        );
        {
          using pool = server.client.openPool(`job${many - 1}`);
          pool.append({ new: true });
        }
        await last.locator(".c-messages", { hasText: /^4$/ }).waitFor();
        // A list that is quick to make is asked for as a whole, another one by the names on screen.
        assert.ok(some.length > 0 || whole.length > 1);
        assert.ok(some.every((search) => search.includes(`job${many - 1}`) || whole.length > 0));
        await page.keyboard.press("k");
        await page.locator(`[data-pool="job${many - 2}"] a:focus`).waitFor();
      }),
  );
});
