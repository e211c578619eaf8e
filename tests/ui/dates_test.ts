/**
 * Days and times in the page, on the clock of the server.
 *
 * @module
 */

import assert from "node:assert/strict";
import { holds, inBrowsers, scene, until } from "../support/browser.ts";
import { rowWith } from "../support/scene.ts";

const MINUTE = 60_000;
const DAY = 24 * 60 * MINUTE;

/** Sets the clock of a page wrong. */
const TEN_MINUTES_AHEAD = `{
  const now = Date.now;
  Date.now = () => now() + 10 * 60_000;
}`;

inBrowsers("dates", async (t, browser) => {
  // Lost: on which day something happened.
  await t.step("a row of another day has its date, and days are separated", async () => {
    await scene(browser, {}, async ({ server, page }) => {
      const pool = server.client.createPool("shop", 1 << 20);
      const noon = Math.floor(Date.now() / DAY) * DAY - DAY / 2;
      const times = [noon - 3 * DAY, noon - 3 * DAY + 1000, noon - DAY, Date.now()];
      for (const [n, time] of times.entries()) {
        pool.append({ n }, { timestampNs: BigInt(time) * 1_000_000n });
      }
      await page.goto(`${server.url}/ui/pools/shop`);
      await rowWith(page, "n 3").waitFor();
      await holds(async () => {
        const shown = await page.evaluate<[string, string | null][]>(
          `[...document.querySelectorAll(".row:not([hidden])")]
            .sort((a, b) => a.ariaPosInSet - b.ariaPosInSet)
            .map((row) => [row.querySelector("time").textContent, row.getAttribute("data-day")])`,
        );
        assert.match(shown[0]?.[0] ?? "", /^\d{1,2} \w{3}( \d{4}| 12:00)$/);
        assert.match(shown[3]?.[0] ?? "", /^\d\d:\d\d:\d\d\.\d{3}$/);
        const separated = shown.map(([, day]) => day !== null);
        assert.deepEqual(separated, [false, false, true, true]);
        assert.match(shown[3]?.[1] ?? "", /^\w+day, \d{1,2} \w{3} \d{4}$/);
      });
    });
  });

  // Lost: what "two minutes ago" means, on a machine whose clock is wrong.
  await t.step("ages are those of the server, with a browser that is ten minutes off", async () => {
    await scene(browser, {}, async ({ server, page }) => {
      const pool = server.client.createPool("shop", 1 << 20);
      pool.append({ n: 1 }, { timestampNs: BigInt(Date.now() - 55 * MINUTE) * 1_000_000n });
      await page.addInitScript(TEN_MINUTES_AHEAD);
      await page.addInitScript(`try {
        localStorage.setItem("plasmite-times", "relative");
      } catch { /* the empty page has no storage */ }`);
      await page.goto(`${server.url}/ui/pools/shop`);
      await until(page, `/^5[5-9] min ago$/.test(document.querySelector(".row time").textContent)`);
      await rowWith(page, "n 1").click();
      await page.locator(".inspector dl", { hasText: /5[5-9] min ago/ }).waitFor();
    });
  });

  // Lost: when the connection was lost, between rows on another clock; who works with the pool.
  await t.step("notes and claims are on the server's clock, with such a browser", async () => {
    await scene(browser, {}, async ({ server, page }) => {
      const pool = server.client.createPool("shop", 1 << 20);
      pool.append({ n: 1 });
      await using _lease = await pool.claim("k", { holder: "ann", ttlMs: 5 * MINUTE });
      await page.addInitScript(TEN_MINUTES_AHEAD);
      await page.addInitScript(`try {
        localStorage.setItem("plasmite-times", "utc");
      } catch { /* the empty page has no storage */ }`);
      await page.goto(`${server.url}/ui/pools/shop`);
      await rowWith(page, "n 1").waitFor();
      await page.locator(".coordination summary", { hasText: "1 claimed key" }).waitFor();
      await server.stop();
      await page.locator(".lamp", { hasText: "Reconnecting" }).waitFor();
      const before = Date.now();
      server.start();
      const note = page.locator(".row.mark", { hasText: "Disconnected for" });
      await note.waitFor();
      const shown = /\d\d:\d\d:\d\d/.exec(await note.textContent() ?? "")?.[0];
      const later = Date.parse(`1970-01-01T${shown}Z`) - Math.floor(before % DAY / 1000) * 1000;
      // The page has measured that clock over a connection that may be slow.
      const least = -4 * MINUTE;
      const most = Date.now() - before + 4 * MINUTE;
      assert.ok((later - least + DAY) % DAY <= most - least, `${shown} is ${later} ms later`);
    });
  });
});
