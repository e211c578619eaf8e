/**
 * Several pools together, in real browsers against a real server.
 *
 * @module
 */

import assert from "node:assert/strict";
import { holds, inBrowsers, scene, serious, until } from "../support/browser.ts";
import { spoil } from "../support/damaged_pool.ts";
import { hold } from "../support/scene.ts";

const at = (ms: number): bigint => BigInt(Date.UTC(2026, 0, 5, 10, 0, 0) + ms) * 1_000_000n;

/** The texts of the rows of a list, top to bottom. */
const ROWS = (list: string): string =>
  `[...document.querySelectorAll("${list} .row:not([hidden])")]
    .sort((a, b) => a.ariaPosInSet - b.ariaPosInSet)
    .map((row) => row.querySelector(".data")?.textContent.trim() ?? row.textContent)`;

inBrowsers("several pools together", async (t, browser) => {
  // Lost: an afternoon with two windows and a sheet of paper, to see which of two programs was first.
  await t.step(
    "interleaved by time, live, with the pool in every row",
    () =>
      scene(browser, {}, async ({ server, page }) => {
        using api = server.client.createPool("api", 1 << 20);
        using db = server.client.createPool("db, main", 1 << 20);
        api.append({ msg: "request" }, { timestampNs: at(0) });
        api.append({ msg: "answer" }, { timestampNs: at(300) });
        db.append({ msg: "query" }, { timestampNs: at(100) });
        db.append({ msg: "rows" }, { timestampNs: at(200), tags: ["slow"] });
        await page.goto(`${server.url}/ui/pools/api,db%2C%20main`);
        await until(page, `${ROWS(".list")}.length === 4`);
        await holds(async () =>
          assert.deepEqual(await page.evaluate(ROWS(".list")), [
            "api request",
            "db, main query",
            "db, main rows",
            "api answer",
          ])
        );
        db.append({ msg: "commit" });
        api.append({ msg: "done" });
        await until(page, `${ROWS(".list")}.slice(-2).join() === "db, main commit,api done"`);
        await holds(async () => assert.deepEqual(await serious(page), []));

        // Every pool obeys the filter; the address keeps it.
        await page.keyboard.press("/");
        await page.locator(".where").fill('.data.msg == "rows" or .data.msg == "done"');
        await page.keyboard.press("Enter");
        await until(page, `${ROWS(".list")}.join() === "db, main rows,api done"`);
        await page.reload();
        await until(page, `${ROWS(".list")}.join() === "db, main rows,api done"`);
        await page.locator(".list .row").filter({ hasText: "rows" }).click();
        await page.locator(".inspector h2", { hasText: "#2" }).waitFor();
        // Keys of an open message are those of one pool.
        await page.keyboard.press("o");
        await page.locator("dialog .around .here").waitFor();
        await page.keyboard.press("Escape");
        await page.locator("dialog").waitFor({ state: "detached" });
        await page.keyboard.press("x");
        await page.locator("#toast", { hasText: "press x to compare it with #2" }).waitFor();
        await page.keyboard.press("Escape");
        await page.locator(".inspector").waitFor({ state: "hidden" });
        await page.getByRole("button", { name: "Clear the filter" }).click();
        await until(page, `${ROWS(".list")}.length === 6`);

        await page.getByRole("button", { name: "Side by side" }).click();
        const list = (n: number): string => `.stream:nth-of-type(${n}) .list`;
        await until(page, `${ROWS(list(1))}.join() === "request,answer,done"`);
        await until(page, `${ROWS(list(2))}.join() === "query,rows,commit"`);
        await holds(() => assert.match(page.url(), /layout=side/));
        await holds(async () => assert.deepEqual(await serious(page), []));
        await page.getByRole("link", { name: "Without api" }).click();
        await until(page, `location.pathname === "/ui/pools/db%2C%20main"`);
        await page.locator(".row .data", { hasText: "commit" }).waitFor();
      }),
  );

  // Lost: that something is missing, and of which pool.
  await t.step(
    "a gap says its pool, and so does a pool that is not there",
    () =>
      scene(browser, {}, async ({ server, page }) => {
        using small = server.client.createPool("small", 1 << 16);
        using calm = server.client.createPool("calm", 1 << 16);
        small.append({ n: 1 });
        calm.append({ n: 1 });
        await page.goto(`${server.url}/ui/pools/small,calm,nosuch`);
        await until(page, `${ROWS(".list")}.length === 2`);
        await page.locator(".part", { hasText: "nosuch" }).getByText("does not exist").waitFor();
        await server.stop();
        for (let n = 2; n <= 400; n++) small.append({ n, text: "x".repeat(600) });
        server.start();
        await page.locator(".part", { hasText: "small" }).getByText("1 gap").waitFor();
        calm.append({ n: "again" });
        await page.locator(".list .row", { hasText: "again" }).waitFor();
        await page.keyboard.press("g");
        await page.locator(".list .row.mark", { hasText: /small: Messages? 2/ }).waitFor();
        await holds(async () =>
          assert.equal(await page.locator(".part", { hasText: "calm" }).getByText("gap").count(), 0)
        );
      }),
  );

  // Lost: that something is missing, and what came first, in the hour that is looked at.
  await t.step(
    "a range of the past is in order to its end, and says what cannot be read",
    () =>
      scene(browser, {}, async ({ server, page }) => {
        using api = server.client.createPool("api", 1 << 20);
        using db = server.client.createPool("db", 1 << 20);
        for (let n = 1; n <= 6; n++) {
          api.append({ n }, { timestampNs: at(2 * n) });
          db.append({ n }, { timestampNs: at(2 * n + 1) });
        }
        spoil(`${server.dir}/db.plasmite`, 3, 4);
        // One pool answers long after the other.
        await page.route("**/v0/ui/pools/db/events?*", async (route) => {
          await new Promise((done) => setTimeout(done, 1500));
          await route.continue();
        });
        const time = (ms: number) => new Date(Number(at(ms) / 1_000_000n)).toISOString();
        const range = new URLSearchParams({ from: time(2), to: time(11) });
        await page.goto(`${server.url}/ui/pools/api,db?${range}`);
        await until(page, `${ROWS(".list")}.length === 9`);
        const rows = await page.evaluate<string[]>(ROWS(".list"));
        assert.match(rows[4] ?? "", /db: 3 to 4 unreadable/);
        assert.deepEqual(rows.filter((row) => !row.includes("unreadable")), [
          "api n 1",
          "db n 1",
          "api n 2",
          "db n 2",
          "api n 3",
          "api n 4",
          "api n 5",
          "db n 5",
        ]);
      }),
  );

  await t.step(
    "pools are added by Ctrl-K, and a group of the list is opened together",
    () =>
      scene(browser, {}, async ({ server, page }) => {
        for (const name of ["logs-a", "logs-b", "shop"]) {
          using pool = server.client.createPool(name, 1 << 16);
          pool.append({ of: name });
        }
        await page.goto(`${server.url}/ui`);
        await page.getByRole("link", { name: "Show the pools logs-… together" }).click();
        await until(page, `${ROWS(".list")}.join() === "logs-a of logs-a,logs-b of logs-b"`);
        // Lost: what is chosen before the names of the pools are there.
        const { release } = await hold(page, "**/v0/ui/names");
        await page.keyboard.press("Control+k");
        await page.getByRole("combobox", { name: /^Go to a pool/ }).fill("shop");
        await page.keyboard.press("Shift+Enter");
        release();
        await until(page, `location.pathname === "/ui/pools/logs-a,logs-b,shop"`);
        await until(page, `${ROWS(".list")}.at(-1) === "shop of shop"`);
        // Lost: the way back to those that were shown before.
        await page.goBack();
        await until(page, `${ROWS(".list")}.join() === "logs-a of logs-a,logs-b of logs-b"`);
        await page.goForward();
        await until(page, `${ROWS(".list")}.at(-1) === "shop of shop"`);
        // Eight at most, or nobody could tell them apart.
        const names = Array.from({ length: 9 }, (_, i) => `job-${i}`);
        for (const name of names.slice(1)) server.client.createPool(name, 1 << 16).close();
        await page.goto(`${server.url}/ui`);
        const together = page.getByRole("link", { name: "Show the pools job-… together" });
        await together.waitFor();
        server.client.createPool(names[0] ?? "", 1 << 16).close();
        await page.locator('[data-pool="job-0"]').waitFor();
        await together.waitFor({ state: "detached" });
        await page.goto(`${server.url}/ui/pools/${names}`);
        await page.locator("#toast", { hasText: "At most 8 pools are shown together" }).waitFor();
        await page.locator(".part", { hasText: "job-7" }).waitFor();
        await holds(async () => assert.equal(await page.locator(".part").count(), 8));
      }),
  );
});
