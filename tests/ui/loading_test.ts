/**
 * What the page loads, and when, in a real browser.
 *
 * @module
 */

import assert from "node:assert/strict";
import { fillPool, holds, inBrowsers, TestServer, watchPage } from "../support/browser.ts";
import { PATIENCE_MS } from "../support/patience.ts";
import { uiAssets } from "../../server/ui/mod.ts";

const MINUTE = 60_000;

/** Notes in the page when the first row was drawn. */
const NOTE_FIRST_ROW = `new MutationObserver((_, self) => {
  if (!document.querySelector(".row .data, a.pool")) return;
  globalThis.firstRow = performance.now();
  self.disconnect();
}).observe(document, { childList: true, subtree: true })`;

/** Nothing is done after a second or more until somebody has clicked. */
const NO_LONG_WAITS = `{
  const wait = setTimeout;
  let clicked = false;
  addEventListener("click", () => clicked = true, true);
  globalThis.setTimeout = (act, ms, ...more) => !clicked && ms >= 1000 ? 0 : wait(act, ms, ...more);
}`;

/** The files of the page that were asked for before that. */
const LOADED = `performance.getEntriesByType("resource")
  .filter((one) => one.startTime <= firstRow && one.name.includes("/ui/assets/"))
  .map((one) => new URL(one.name).pathname).sort()`;

// Lost: the time to the first row on a slow network, to parts that nobody has opened.
inBrowsers(
  "the first rows need the files that the page names, other parts come with their use",
  async (_, browser) => {
    await using server = new TestServer();
    fillPool(server.client.createPool("shop", 1 << 20), 50, MINUTE);
    const assets = await uiAssets();
    for (
      const [path, key, first] of [
        ["/ui", "/ui", "a.pool"],
        ["/ui/pools/shop", "/ui/pools/:name", ".row .data"],
      ] as const
    ) {
      const context = await browser.newContext();
      const page = await context.newPage();
      page.setDefaultTimeout(PATIENCE_MS);
      const bad = watchPage(page, server.url);
      await page.addInitScript(NOTE_FIRST_ROW);
      // What the page does by time alone may come before the first row, where that takes long.
      await page.addInitScript(NO_LONG_WAITS);
      await page.goto(server.url + path);
      await page.locator(first).first().waitFor();
      const loaded = new Set(await page.evaluate<string[]>(LOADED));
      // Who works with a pool and what the timeline counts is asked by time, which on a slow machine
      // can be before the first row.
      for (const file of ["coordination.js", "coordination.css", "counting.js"]) {
        loaded.delete(`/ui/assets/${file}`);
      }
      const body = assets.get(key)?.body ?? "";
      const named = new Set(body.match(/\/ui\/assets\/[\w.]+/g));
      loaded.delete("/ui/assets/icon.svg");
      named.delete("/ui/assets/icon.svg");
      assert.deepEqual([...loaded].sort(), [...named].sort(), path);
      // Every request costs a browser more than what it fetches.
      const scripts = [...loaded].filter((file) => file.endsWith(".js"));
      assert.ok(scripts.length <= 5, `${path}: ${scripts.join(" ")}`);
      if (key !== "/ui") {
        await page.locator(first).first().click();
        await page.locator(".inspector h2").waitFor();
        const sheets = `[...document.styleSheets].some((one) => one.href?.endsWith("inspect.css"))`;
        await holds(async () =>
          assert.ok(await page.evaluate(sheets), "a part comes with its style sheet")
        );
      }
      assert.deepEqual(bad, []);
      await context.close();
    }
  },
);
