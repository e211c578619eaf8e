/**
 * The address of the page: what it shows can be reloaded, shared and gone back to.
 *
 * @module
 */

import assert from "node:assert/strict";
import type { Page } from "playwright-core";
import { holds, inBrowsers, type Scene, scene, until } from "../support/browser.ts";
import { ask, listed, numbers, rowWith } from "../support/scene.ts";

const query = (page: Page): string =>
  decodeURIComponent(new URL(page.url()).search.replaceAll("+", " "));
const opened = (page: Page, seq: number) =>
  page.locator(".inspector h2", { hasText: `#${seq}` }).waitFor();
const sum = (page: Page, text: string) =>
  page.locator(".findbar .sum", { hasText: text }).waitFor();

/** A minute apart, up to now. */
function fill({ server }: Scene, count: number) {
  const pool = server.client.createPool("shop", 1 << 21);
  const start = Date.now() - count * 60_000;
  for (let n = 1; n <= count; n++) {
    const timestampNs = BigInt(start + n * 60_000) * 1_000_000n;
    const data = { n, level: n % 5 ? "info" : "error", user: { "a.b": n % 3 } };
    pool.append(data, { tags: [n % 2 ? "odd" : "even"], timestampNs });
  }
  return { pool, at: (n: number) => new Date(start + n * 60_000).toISOString() };
}

inBrowsers("the address", async (t, browser) => {
  const step = (name: string, play: (scene: Scene) => Promise<void>): Promise<boolean> =>
    t.step(name, () => scene(browser, {}, play));

  // Lost: what a colleague sent, because the link showed only half of it.
  await step("filter, tags, range, words, columns and message hold together", async (s) => {
    const { page, server } = s;
    const { at } = fill(s, 300);
    const asked = new URLSearchParams([
      ["tag", "odd"],
      ["where", '.data.level == "info"'],
      ["q", "info"],
      ["hits", "1"],
      ["from", at(101)],
      ["to", at(199)],
      ["columns", "n,user.a\\.b"],
      ["seq", "151"],
    ]);
    const all = async (): Promise<void> => {
      await opened(page, 151);
      // 50 odd ones, without those that end in 5.
      await listed(page, 40);
      await page.locator('.row[aria-selected="true"] .seq', { hasText: "151" }).waitFor();
      await page.locator(".pastbar").waitFor();
      await sum(page, "120 of 120 searched");
      await holds(async () => assert.ok(await page.locator(".findbar .only input").isChecked()));
      await holds(async () =>
        assert.deepEqual(await page.locator(".head .cell").allInnerTexts(), ["n", "user.a.b"])
      );
      await page.getByRole("button", { name: /^odd/, pressed: true }).waitFor();
      const now = new URL(page.url()).searchParams;
      assert.deepEqual([...now].sort(), [...asked].sort());
    };
    await page.goto(`${server.url}/ui`);
    await page.locator('[data-pool="shop"]').waitFor();
    await page.goto(`${server.url}/ui/pools/shop?${asked}`);
    await all();
    await page.reload();
    await all();
    // A message in full is a detail of the query, no query of its own.
    await page.keyboard.press("j");
    await opened(page, 153);
    await page.goBack();
    await holds(() => assert.equal(page.url(), `${server.url}/ui`));
    await page.goForward();
    await opened(page, 153);
  });

  // Lost: the query before the last one.
  await step("each query is an entry of the history, and Back shows the former one", async (s) => {
    const { page, server } = s;
    fill(s, 100);
    await page.goto(`${server.url}/ui/pools/shop`);
    await listed(page, 100);
    await ask(page, ".data.n > 50");
    await listed(page, 50);
    await page.getByRole("button", { name: /^odd/ }).press("Enter");
    await listed(page, 25);
    await ask(page, "error");
    await sum(page, "10 of 50 searched");
    assert.equal(query(page), "?tag=odd&q=error");
    await page.goBack();
    await listed(page, 25);
    await holds(async () =>
      assert.equal(await page.locator(".where").inputValue(), ".data.n > 50")
    );
    await page.locator(".findbar").waitFor({ state: "hidden" });
    await page.goBack();
    await listed(page, 50);
    await page.getByRole("button", { name: /^odd/, pressed: false }).waitFor();
    await page.goBack();
    await listed(page, 100);
    assert.equal(query(page), "");
    await holds(async () => assert.equal(await page.locator(".where").inputValue(), ""));
    await page.goForward();
    await listed(page, 50);
    await page.goForward();
    await page.goForward();
    await sum(page, "10 of 50 searched");
    await page.locator(".list").focus();
    // The same as before is no new entry.
    await ask(page, "error");
    await page.goBack();
    await listed(page, 25);
    // Another page, and back.
    await page.locator(".list").focus();
    await page.keyboard.press("u");
    await page.locator(".brand").waitFor();
    await until(page, `location.pathname === "/ui"`);
    await page.goBack();
    await listed(page, 25);
    await holds(async () =>
      assert.equal(await page.locator(".where").inputValue(), ".data.n > 50")
    );
  });

  await step("a range is a query; Esc leaves it, and Back returns", async (s) => {
    const { page, server } = s;
    const { at } = fill(s, 200);
    await page.goto(`${server.url}/ui/pools/shop?from=${at(51)}&to=${at(60)}`);
    await listed(page, 10);
    await page.keyboard.press("Escape");
    await listed(page, 200);
    assert.equal(query(page), "");
    await page.goBack();
    await listed(page, 10);
    await holds(async () => assert.deepEqual((await numbers(page)).slice(0, 2), [51, 52]));
    // A filter holds inside of it.
    await ask(page, '.data.level == "error"');
    await listed(page, 2);
    assert.match(query(page), /where=.*&from=.*&to=/);
  });

  // Lost: the filter, to a message that is opened by a link.
  await step("a message by number keeps the filter, whether it matches or not", async (s) => {
    const { page, server } = s;
    fill(s, 100);
    const path = `${server.url}/ui/pools/shop?where=${encodeURIComponent(".data.n > 50")}`;
    await page.goto(`${path}&seq=60`);
    await opened(page, 60);
    await listed(page, 50);
    await page.goto(`${path}&seq=40`);
    await opened(page, 40);
    await listed(page, 50);
    await page.locator("#toast", { hasText: "40 does not match the filter" }).waitFor();
    assert.equal(query(page), "?where=.data.n > 50&seq=40");
    await page.goto(`${path}&seq=4000`);
    await page.locator("#toast", { hasText: "4000 is not retained" }).waitFor();
    await listed(page, 50);
    assert.equal(query(page), "?where=.data.n > 50");
  });

  await step("columns are in the address, and an address with others wins", async (s) => {
    const { page, server } = s;
    fill(s, 20);
    await page.goto(`${server.url}/ui/pools/shop`);
    await rowWith(page, "20").waitFor();
    await page.keyboard.press("c");
    await page.locator("dialog label", { hasText: "level" }).locator("input").press("Space");
    await page.keyboard.press("Escape");
    await page.locator(".head .cell", { hasText: "level" }).waitFor();
    assert.equal(query(page), "?columns=level");
    await page.goto(`${server.url}/ui/pools/shop`);
    await page.locator(".head .cell", { hasText: "level" }).waitFor();
    await until(page, `location.search === "?columns=level"`);
    await page.goto(`${server.url}/ui/pools/shop?columns=n`);
    await page.locator(".head .cell", { hasText: "n" }).waitFor();
    await holds(async () =>
      assert.deepEqual(await page.locator(".head .cell").allInnerTexts(), ["n"])
    );
    await page.goto(`${server.url}/ui/pools/shop?columns=`);
    await rowWith(page, "20").waitFor();
    await holds(async () => assert.equal(await page.locator(".head .cell").count(), 0));
  });

  await step("the search in the list of pools", async ({ page, server }) => {
    for (const name of ["shop", "stock", "mail"]) server.client.createPool(name, 1 << 18).close();
    await page.goto(`${server.url}/ui?search=s`);
    await page.locator('[data-pool="stock"]').waitFor();
    await page.locator('[data-pool="mail"]').waitFor({ state: "detached" });
    await holds(async () =>
      assert.equal(await page.locator("input[type=search]").inputValue(), "s")
    );
    await page.keyboard.press("/");
    await page.keyboard.press("Control+a");
    await page.keyboard.type("sh");
    await page.locator('[data-pool="stock"]').waitFor({ state: "detached" });
    await until(page, `location.search === "?search=sh"`);
    await page.reload();
    await page.locator('[data-pool="shop"]').waitFor();
    await holds(async () => assert.equal(await page.locator('[data-pool="stock"]').count(), 0));
  });
});
