/**
 * The line of tools on the page of a pool, at every width.
 *
 * @module
 */

import assert from "node:assert/strict";
import { holds, inBrowsers, scene } from "../support/browser.ts";

/** Boxes of what is in the line of tools. */
const BOXES = `[...document.querySelectorAll(".tools > *")]
  .filter((one) => one.offsetWidth > 0)
  .map((one) => {
    const { left, right, top, bottom } = one.getBoundingClientRect();
    const seen = one.matches("select") ||
      [...one.querySelectorAll("input, svg, span")].some((part) => part.getClientRects().length);
    return { what: one.className, left, right, top, bottom, seen };
  })`;

interface Box {
  readonly what: string;
  readonly left: number;
  readonly right: number;
  readonly top: number;
  readonly bottom: number;
  readonly seen: boolean;
}

// Lost: the box for filters, under a neighbour that had taken all of the room.
inBrowsers("tools lie side by side, and the box has room", async (_, browser) => {
  await scene(browser, {}, async ({ server, page }) => {
    using pool = server.client.createPool("shop", 1 << 18);
    pool.append({ n: 1 });
    await page.goto(`${server.url}/ui/pools/shop`);
    await page.locator(".row .data").first().waitFor();
    for (const width of [390, 640, 900, 1200, 1360, 1920]) {
      await page.setViewportSize({ width, height: 800 });
      await holds(async () => {
        const boxes = await page.evaluate<Box[]>(BOXES);
        for (const [i, a] of boxes.entries()) {
          assert.ok(a.left >= 0 && a.right <= width + 1, `${width}: ${a.what} is cut off`);
          assert.ok(a.seen, `${width}: ${a.what} shows nothing`);
          for (const b of boxes.slice(i + 1)) {
            const apart = a.right <= b.left + 1 || b.right <= a.left + 1 ||
              a.bottom <= b.top + 1 || b.bottom <= a.top + 1;
            assert.ok(apart, `${width}: ${a.what} lies on ${b.what}`);
          }
        }
        const search = boxes.find(({ what }) => what === "search");
        assert.ok(search && search.right - search.left >= 200, `${width}: the box has no room`);
      });
    }
  });
});
