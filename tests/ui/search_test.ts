/**
 * Finding words in a pool, with the keyboard alone, in Chromium.
 *
 * @module
 */

import assert from "node:assert/strict";
import type { Page } from "playwright-core";
import { holds, inBrowsers, type Scene, scene, until } from "../support/browser.ts";
import { ask, listed, rowWith } from "../support/scene.ts";

const sum = (page: Page, text: string | RegExp) =>
  page.locator(".findbar .sum", { hasText: text }).waitFor();
const selected = (page: Page, seq: number) =>
  page.locator('.row[aria-selected="true"] .seq', { hasText: new RegExp(`^${seq}$`) }).waitFor();
/** What is marked on screen. */
const marks = (page: Page): Promise<string[]> =>
  page.evaluate(`[...document.querySelectorAll(".row:not([hidden]) mark")]
    .map((mark) => mark.textContent)`);

inBrowsers("finding words", async (t, browser) => {
  const step = (name: string, play: (scene: Scene) => Promise<void>): Promise<boolean> =>
    t.step(name, () => scene(browser, {}, play));

  // Lost: the messages around a hit, and hits in keys and tags.
  await step("rows stay, hits are marked, n and N move", async ({ server, page }) => {
    const pool = server.client.createPool("shop", 1 << 20);
    for (let n = 1; n <= 300; n++) {
      pool.append({ n, text: n % 100 === 50 ? "Connection REFUSED by peer" : "fine" }, [
        n === 120 ? "refused-once" : "plain",
      ]);
    }
    await page.goto(`${server.url}/ui/pools/shop`);
    await rowWith(page, "300").waitFor();
    await ask(page, "refused");
    await sum(page, /^4 of 300 searched$/);
    await listed(page, 300);
    await page.keyboard.press("Shift+N");
    await selected(page, 250);
    await holds(async () => assert.deepEqual(await marks(page), ["REFUSED"]));
    await page.locator(".findbar .at", { hasText: "hit 4" }).waitFor();
    await page.keyboard.press("Shift+N");
    await selected(page, 150);
    await page.keyboard.press("Shift+N");
    await selected(page, 120);
    await holds(async () => assert.ok((await marks(page)).includes("refused"), "in a tag"));
    await page.keyboard.press("n");
    await selected(page, 150);
    await page.keyboard.press("n");
    await page.keyboard.press("n");
    await selected(page, 50);
    // Words with capitals are meant as they are written.
    await ask(page, "Refused");
    await sum(page, /^0 of 300 searched$/);
    await ask(page, "REFUSED");
    await sum(page, /^3 of 300 searched$/);
    // What arrives later is searched, too.
    pool.append({ text: "REFUSED again" });
    pool.append({ text: "refused again" });
    await sum(page, /^4 of 302 searched$/);
    // A tag is one thing to press, marked or not.
    await page.keyboard.press("Escape");
    await page.locator(".findbar").waitFor({ state: "hidden" });
    await until(page, `document.querySelector("mark") === null`);
    await holds(() => assert.doesNotMatch(page.url(), /q=/));
  });

  // Lost: hits in messages that the page has not loaded, and all that lies between the hits.
  await step("everything retained is searched; a hit that is not loaded is shown", async (s) => {
    const { server, page } = s;
    const pool = server.client.createPool("shop", 1 << 23);
    for (let n = 1; n <= 9000; n++) pool.append({ n, text: n === 77 ? "Straße" : "fine" });
    await page.goto(`${server.url}/ui/pools/shop?n=200`);
    await rowWith(page, "9000").waitFor();
    await ask(page, "strasse");
    await sum(page, /^1 of 9,000 searched$/);
    await page.keyboard.press("n");
    await selected(page, 77);
    await holds(async () => assert.deepEqual(await marks(page), ["Straße"]));
    await page.locator(".pastbar", { hasText: "Around message 77" }).waitFor();
    await rowWith(page, "76").waitFor();
    await holds(async () =>
      assert.equal(await page.locator(".inspector h2").count(), 0, "it is selected, not opened")
    );
    await page.keyboard.press("Escape");
    await rowWith(page, "9000").waitFor();
    await holds(() => assert.match(page.url(), /q=strasse/));
  });

  await step("only the hits, words that jq would take, numbers and phrases", async (s) => {
    const { server, page } = s;
    const pool = server.client.createPool("shop", 1 << 20);
    for (let n = 1; n <= 400; n++) {
      pool.append({ n: 10_000 + n, text: n % 50 ? "fine" : "right now", length: n % 200 ? 1 : 2 });
    }
    await page.goto(`${server.url}/ui/pools/shop`);
    await rowWith(page, "10400").waitFor();
    await ask(page, "now");
    await sum(page, /^8 of 400 searched$/);
    await page.locator(".findbar .only input").focus();
    await page.keyboard.press("Space");
    await listed(page, 8);
    await holds(() => assert.match(page.url(), /q=now&hits=1$/));
    pool.append({ text: "fine" });
    pool.append({ text: "now" });
    await listed(page, 9);
    await sum(page, /^9 of 402 searched$/);
    await page.reload();
    await listed(page, 9);
    await sum(page, /^9 of 402 searched$/);
    await holds(async () => assert.ok(await page.locator(".findbar .only input").isChecked()));
    await page.locator(".findbar .only input").focus();
    await page.keyboard.press("Space");
    await listed(page, 402);
    await page.locator(".list").focus();
    for (
      const [words, found] of [
        ["length", "400"],
        ["10123", "1"],
        ['"right now"', "8"],
        ['"now right"', "0"],
        ["now right", "8"],
        ["zzz", "0"],
      ] as const
    ) {
      await ask(page, words);
      await sum(page, `${found} of 402 searched`);
    }
  });

  // Lost: the filter, to the first search; or the search, to the filter.
  await step("a filter and words hold together; each can be edited and removed", async (s) => {
    const { server, page } = s;
    const pool = server.client.createPool("shop", 1 << 20);
    for (let n = 1; n <= 100; n++) pool.append({ n, text: n % 10 ? "a" : "b" });
    await page.goto(`${server.url}/ui/pools/shop?where=.data.n+>+50&q=b`);
    await listed(page, 50);
    await sum(page, /^5 of 50 searched$/);
    await holds(async () => assert.equal(await page.locator(".where").inputValue(), "b"));
    await page.locator(".kept", { hasText: ".data.n > 50" }).waitFor();
    await ask(page, "a");
    await sum(page, /^45 of 50 searched$/);
    await page.getByRole("button", { name: "Edit the filter" }).press("Enter");
    await holds(async () =>
      assert.equal(await page.locator(".where").inputValue(), ".data.n > 50")
    );
    await page.keyboard.press("Control+a");
    await page.keyboard.type(".data.n > 90");
    await page.keyboard.press("Enter");
    await sum(page, /^9 of 10 searched$/);
    await holds(() => assert.equal(new URL(page.url()).search, "?where=.data.n+%3E+90&q=a"));
    await page.getByRole("button", { name: "Remove the search" }).press("Enter");
    await page.locator(".findbar").waitFor({ state: "hidden" });
    await listed(page, 10);
  });

  // Lost: the rows one looks at, to a typing error.
  await step("a refused filter changes nothing, and what was meant is one key away", async (s) => {
    const { server, page } = s;
    const pool = server.client.createPool("shop", 1 << 20);
    for (let n = 1; n <= 20; n++) pool.append({ n, level: n % 5 ? "info" : "error" });
    pool.append({ line: "level=error code=7" });
    await page.goto(`${server.url}/ui/pools/shop?where=.data.n+>+10`);
    await listed(page, 10);
    await page.keyboard.press("/");
    await page.keyboard.press("Control+a");
    await page.keyboard.type('.data.level = "error"');
    await page.keyboard.press("Enter");
    await page.locator(".note.problem").waitFor();
    await holds(() => assert.equal(new URL(page.url()).search, "?where=.data.n+%3E+10"));
    await listed(page, 10);
    await page.locator(".meant", { hasText: '.data.level == "error"' }).waitFor();
    await page.keyboard.press("Tab");
    while (await page.evaluate(`!document.activeElement.matches(".meant")`)) {
      await page.keyboard.press("Tab");
    }
    await page.keyboard.press("Enter");
    await listed(page, 4);
    await holds(async () =>
      assert.equal(await page.locator(".where").inputValue(), '.data.level == "error"')
    );
    // The same may be a text that is looked for.
    await page.keyboard.press("Control+a");
    await page.keyboard.type("level=error");
    await page.keyboard.press("Enter");
    const asWords = page.getByRole("button", { name: "Search for these words" });
    await asWords.press("Enter");
    await sum(page, /^1 of \d+ searched$/);
  });

  // Lost: words that are typed where several pools are shown.
  await step("in several pools words list the hits of all", async ({ server, page }) => {
    for (const name of ["shop", "mail"]) {
      const pool = server.client.createPool(name, 1 << 18);
      for (let n = 1; n <= 20; n++) pool.append({ n, text: n % 10 ? "fine" : "refused" });
    }
    await page.goto(`${server.url}/ui/pools/shop,mail`);
    await listed(page, 40);
    await page.locator(".list").first().focus();
    await ask(page, "refused");
    await listed(page, 4);
    await until(page, `document.querySelectorAll(".row:not([hidden]) mark").length === 4`);
    await holds(() => assert.match(page.url(), /q=refused/));
  });
});
