/**
 * Many tabs over HTTP/1.1, of which a browser opens six connections to a server.
 *
 * @module
 */

import assert from "node:assert/strict";
import { inBrowsers, TestServer, watchPage } from "../support/browser.ts";
import { PATIENCE_MS } from "../support/patience.ts";
import { rowWith } from "../support/scene.ts";

inBrowsers("tabs", async (t, browser) => {
  // Lost: the seventh tab, which said "Loading" for ever.
  await t.step("eight tabs on eight pools all show rows, and what arrives", async () => {
    await using server = new TestServer();
    const context = await browser.newContext();
    context.setDefaultTimeout(PATIENCE_MS);
    try {
      const tabs = [];
      for (let i = 1; i <= 8; i++) {
        const pool = server.client.createPool(`pool${i}`);
        pool.append({ text: `old ${i}` });
        const page = await context.newPage();
        const bad = watchPage(page, server.url);
        await page.goto(`${server.url}/ui/pools/pool${i}`);
        tabs.push({ i, pool, page, bad });
      }
      for (const { i, page } of tabs) await rowWith(page, `old ${i}`).waitFor();
      for (const { i, pool } of tabs) pool.append({ text: `new ${i}` });
      for (const { i, page } of tabs) await rowWith(page, `new ${i}`).waitFor();
      for (const { bad } of tabs) assert.deepEqual(bad, []);
    } finally {
      await context.close();
    }
  });
});
