/**
 * Going to a place in a pool: numbers, times, the oldest, the newest, ranges.
 *
 * @module
 */

import assert from "node:assert/strict";
import type { Page } from "playwright-core";
import { placeOf } from "../../server/ui/places.js";
import { holds, inBrowsers, type Scene, scene, until } from "../support/browser.ts";
import { numbers, rowWith } from "../support/scene.ts";

// Lost: the minutes before midnight, or another day than was meant.
Deno.test("places: numbers, durations, times of day and dates", () => {
  const now = Date.parse("2026-11-27T14:30:00Z");
  const at = (text: string): string | null => {
    const place = placeOf(text, now, true);
    return place !== null && "time" in place ? new Date(place.time).toISOString() : null;
  };
  assert.deepEqual(placeOf(" #42 ", now, true), { seq: 42n });
  assert.deepEqual(placeOf("18446744073709551615", now, true), { seq: 18446744073709551615n });
  assert.deepEqual(placeOf("15m", now, true), { ago: 900_000 });
  assert.deepEqual(placeOf("1h 30min ago", now, true), { ago: 5_400_000 });
  assert.deepEqual(placeOf("1.5h", now, true), { ago: 5_400_000 });
  assert.deepEqual(placeOf("2d", now, true), { ago: 172_800_000 });
  assert.deepEqual(placeOf("oldest", now, true), { end: "oldest" });
  assert.equal(at("14:05"), "2026-11-27T14:05:00.000Z");
  assert.equal(at("9:05:07.5"), "2026-11-27T09:05:07.500Z");
  assert.equal(at("23:59"), "2026-11-26T23:59:00.000Z", "what is still to come was yesterday");
  assert.equal(at("2026-11-01"), "2026-11-01T00:00:00.000Z");
  assert.equal(at("2026-11-01 9:05"), "2026-11-01T09:05:00.000Z");
  assert.equal(at("2026-11-01T09:05:10+02:00"), "2026-11-01T07:05:10.000Z");
  assert.equal(at("2026-11-01t09:05z"), "2026-11-01T09:05:00.000Z");
  for (const text of ["", "soon", "25:00", "14:60", "2026-13-01", "-", "12h later", "1.5"]) {
    assert.equal(placeOf(text, now, true), null, text);
  }
  // Times without a zone are those of this machine, unless UTC is preferred.
  const local = placeOf("2026-11-01 09:05", now, false);
  assert.deepEqual(local, { time: new Date(2026, 10, 1, 9, 5).getTime() });
});

const selected = (page: Page, seq: number) =>
  page.locator('.row[aria-selected="true"] .seq', { hasText: new RegExp(`^${seq}$`) }).waitFor();

/** Opens "Go to", writes and presses Enter. */
async function goTo(page: Page, text: string): Promise<void> {
  await page.keyboard.press(":");
  await page.locator("dialog input").waitFor();
  await page.keyboard.press("Control+a");
  await page.keyboard.type(text);
  await page.keyboard.press("Enter");
}

/** 9000 messages, ten seconds apart, up to a minute ago. */
function shop({ server }: Scene): { start: number } {
  const pool = server.client.createPool("shop", 1 << 23);
  const start = Date.now() - 9006 * 10_000;
  for (let n = 1; n <= 9000; n++) {
    pool.append({ n }, { timestampNs: BigInt(start + n * 10_000) * 1_000_000n });
  }
  return { start };
}

inBrowsers("go to", async (t, browser) => {
  const step = (name: string, play: (scene: Scene) => Promise<void>): Promise<boolean> =>
    t.step(name, () => scene(browser, {}, play));

  // Lost: the beginning of the pool, because the oldest loaded row passed for it.
  await step("g is the oldest, G the newest, whatever is loaded", async (s) => {
    const { page, server } = s;
    shop(s);
    await page.goto(`${server.url}/ui/pools/shop?n=100`);
    await rowWith(page, "9000").waitFor();
    await page.keyboard.press("g");
    await selected(page, 1);
    await page.locator(".pastbar", { hasText: "From the oldest message" }).waitFor();
    await page.locator(".pastbar small", { hasText: /^ 9,000 messages$/ }).waitFor();
    await holds(async () => assert.equal((await numbers(page))[0], 1));
    await page.keyboard.press("j");
    await selected(page, 2);
    await page.keyboard.press("g");
    await selected(page, 1);
    await page.keyboard.press("Shift+G");
    await rowWith(page, "9000").waitFor();
    await page.locator(".pastbar").waitFor({ state: "hidden" });
    server.client.pool("shop").append({ n: 9001 });
    await rowWith(page, "9001").waitFor();
    // With a filter it is the oldest that matches.
    await page.goto(`${server.url}/ui/pools/shop?where=.data.n+%25+7+==+0`);
    await rowWith(page, "8995").waitFor();
    await page.keyboard.press("g");
    await selected(page, 7);
  });

  await step("a number, a time, so long ago; what is wrong is said", async (s) => {
    const { page, server } = s;
    const { start } = shop(s);
    await page.goto(`${server.url}/ui/pools/shop?n=100`);
    await rowWith(page, "9000").waitFor();
    await goTo(page, "4567");
    await selected(page, 4567);
    await page.locator("dialog").waitFor({ state: "detached" });
    await rowWith(page, "4566").waitFor();
    await goTo(page, new Date(start + 100 * 10_000).toISOString());
    await selected(page, 100);
    await goTo(page, "1h");
    await until(
      page,
      `Math.abs(Number(document.querySelector('.row[aria-selected="true"] .seq')?.textContent) -
        8646) < 20`,
    );
    await goTo(page, "99999");
    await page.locator("dialog .problem", { hasText: "99999 is not retained" }).waitFor();
    await page.keyboard.press("Control+a");
    await page.keyboard.type("some day");
    await page.keyboard.press("Enter");
    await page.locator("dialog .problem", { hasText: "Write a number" }).waitFor();
    await page.keyboard.press("Control+a");
    await page.keyboard.type("2099-01-01");
    await page.keyboard.press("Enter");
    await page.locator("dialog .problem", { hasText: "There is no message at" }).waitFor();
    await page.keyboard.press("Control+a");
    await page.keyboard.type("oldest");
    await page.keyboard.press("Enter");
    await selected(page, 1);
  });

  await step(
    "a range is chosen by its name, and the timeline shows it from edge to edge",
    async (s) => {
      const { page, server } = s;
      shop(s);
      await page.goto(`${server.url}/ui/pools/shop?n=100`);
      await rowWith(page, "9000").waitFor();
      const ranges = page.getByLabel("Range of time");
      await ranges.focus();
      await ranges.selectOption({ label: "Last hour" });
      await page.locator(".pastbar").waitFor();
      // The last message is a minute old.
      await until(
        page,
        `((n) => n > 345 && n < 360)(Math.max(...[...document.querySelectorAll(".row:not([hidden])")]
        .map((row) => Number(row.ariaSetSize))))`,
      );
      await holds(() => assert.match(page.url(), /from=.*&to=/));
      await holds(async () => assert.equal(await ranges.inputValue(), "60"));
      await page.reload();
      await page.locator(".pastbar").waitFor();
      await until(page, `document.querySelector(".ranges").value === "own"`);
      await ranges.selectOption({ label: "All times" });
      await page.locator(".pastbar").waitFor({ state: "hidden" });
      await page.goBack();
      await page.locator(".pastbar").waitFor();
    },
  );

  // Lost: the last minutes, on a machine whose clock is wrong.
  await step("so long ago and ranges are on the server's clock", async (s) => {
    const { page } = s;
    shop(s);
    await page.addInitScript(`{
      const now = Date.now;
      Date.now = () => now() + 10 * 60_000;
    }`);
    await page.goto(`${s.server.url}/ui/pools/shop?n=100`);
    await rowWith(page, "9000").waitFor();
    await goTo(page, "30m");
    // A slow machine may take its time until here.
    await until(
      page,
      `Math.abs(Number(document.querySelector('.row[aria-selected="true"] .seq')?.textContent) -
        8836) < 20`,
    );
    await page.getByLabel("Range of time").selectOption({ label: "Last 15 minutes" });
    await until(
      page,
      `((n) => n > 65 && n <= 85)(Math.max(...[...document.querySelectorAll(".row:not([hidden])")]
        .map((row) => Number(row.ariaSetSize))))`,
    );
  });
});
