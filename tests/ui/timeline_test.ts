/**
 * The timeline draws what the server has counted.
 *
 * @module
 */

import assert from "node:assert/strict";
import type { Page } from "playwright-core";
import { holds, inBrowsers, rested, scene, until } from "../support/browser.ts";

const MINUTE = 60_000;

/** Waits until the timeline tells this of its whole range, and holds that. */
async function tells(page: Page, words: RegExp): Promise<void> {
  await until(page, `document.querySelector(".labels span") !== null`);
  await rested(page, ".plot");
  const box = await page.locator(".plot").boundingBox();
  assert.ok(box);
  await page.mouse.move(box.x + 1, box.y + 20);
  await page.mouse.down();
  await page.mouse.move(box.x + box.width - 1, box.y + 20, { steps: 4 });
  let back = 1;
  await holds(async () => {
    back = 3 - back;
    await page.mouse.move(box.x + box.width - back, box.y + 20);
    assert.match(await page.locator(".tip").innerText(), words);
  });
}

inBrowsers("timeline", async (t, browser) => {
  // Lost: the belief that something happened at 10 o'clock, from bars that were made up.
  await t.step(
    "its bars are exact, of more messages than are listed and with filters",
    async () => {
      await scene(browser, {}, async ({ server, page }) => {
        const pool = server.client.createPool("shop", 1 << 22);
        const now = Date.now();
        for (let n = 0; n < 3000; n++) {
          // Two bursts with nothing in between.
          const t = now - 50 * MINUTE + (n < 1000 ? n : 40 * MINUTE + n);
          const tags = n % 10 === 0 ? ["error"] : ["ok"];
          pool.append({ n }, { tags, timestampNs: BigInt(t) * 1_000_000n });
        }
        // The page asks for the newest 200 rows only.
        await page.goto(`${server.url}/ui/pools/shop?n=200`);
        await page.locator(".row .data").first().waitFor();
        await tells(page, /· {1,2}3,000 messages$/);
        await page.mouse.up();
        await page.locator(".pastbar", { hasText: "3,000 messages" }).waitFor();
        // With a filter it counts what matches.
        await page.goto(`${server.url}/ui/pools/shop?tag=error`);
        await tells(page, /· {1,2}300 messages$/);
      });
    },
  );
});
