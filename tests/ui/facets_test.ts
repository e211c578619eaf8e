/**
 * Choosing tags and values of fields, with the keyboard alone.
 *
 * @module
 */

import assert from "node:assert/strict";
import type { Page } from "playwright-core";
import { holds, inBrowsers, type Scene, scene } from "../support/browser.ts";
import { listed, rowWith } from "../support/scene.ts";

const facet = (page: Page, name: string) =>
  page.locator(".facets").getByRole("button", { name, exact: true });
const box = (page: Page): Promise<string> => page.locator(".where").inputValue();
const chips = (page: Page): Promise<string[]> => page.locator(".chip .word").allInnerTexts();

/** 60 messages: every third is an error, every fourth of plan pro, every second odd. */
function shop({ server }: Scene): void {
  const pool = server.client.createPool("shop", 1 << 20);
  for (let n = 1; n <= 60; n++) {
    pool.append({
      n,
      level: n % 3 ? (n % 5 ? "info" : "warn") : "error",
      user: { plan: n % 4 ? "free" : "pro" },
      id: `id-${n}`,
    }, [n % 2 ? "odd" : "even"]);
  }
}

inBrowsers("facets", async (t, browser) => {
  const step = (name: string, play: (scene: Scene) => Promise<void>): Promise<boolean> =>
    t.step(name, () => scene(browser, {}, play));

  // Lost: the other values, as soon as one was chosen.
  await step("values stay with their counts; Enter, o and x write the filter", async (s) => {
    const { page, server } = s;
    shop(s);
    await page.goto(`${server.url}/ui/pools/shop`);
    await listed(page, 60);
    await page.keyboard.press("f");
    await page.locator(".facets .about", { hasText: "60 messages were counted" }).waitFor();
    await facet(page, "error, 20").press("Enter");
    await listed(page, 20);
    await holds(async () => assert.equal(await box(page), '.data.level == "error"'));
    await facet(page, "info, 32").waitFor();
    await facet(page, "warn, 8").press("o");
    await listed(page, 28);
    await holds(async () =>
      assert.equal(await box(page), '.data.level == "error" or .data.level == "warn"')
    );
    await holds(async () =>
      assert.equal(await facet(page, "warn, 8").getAttribute("aria-pressed"), "true")
    );
    await facet(page, "pro, 15").press("x");
    await holds(async () =>
      assert.equal(
        await box(page),
        '(.data.level == "error" or .data.level == "warn") and [.data.user.plan?] != ["pro"]',
      )
    );
    await listed(page, 21);
    await page.locator(".facet.not", { hasText: "pro" }).waitFor();
    // The one that was chosen has kept the focus, so it can be taken back.
    await page.keyboard.press("x");
    await listed(page, 28);
    await page.goBack();
    await listed(page, 21);
    await page.goBack();
    await listed(page, 28);
    await facet(page, "error, 20").press("Shift+Enter");
    await listed(page, 8);
    await facet(page, "warn, 8").press("Alt+Enter");
    await listed(page, 52);
    await holds(async () => assert.equal(await box(page), '[.data.level?] != ["warn"]'));
    // Arrows move, Esc leads back to the list.
    await facet(page, "error, 20").focus();
    await page.keyboard.press("ArrowUp");
    await holds(async () =>
      assert.equal(await page.evaluate(`document.activeElement.textContent`), "info32")
    );
    await page.keyboard.press("Escape");
    await page.locator(".facets").waitFor({ state: "hidden" });
    await holds(async () =>
      assert.equal(await page.evaluate(`document.activeElement.className`), "list")
    );
  });

  await step("tags too, with what was written by hand; the chips stay", async (s) => {
    const { page, server } = s;
    shop(s);
    await page.goto(`${server.url}/ui/pools/shop?where=.data.n+>+30+or+.data.n+<+3`);
    await listed(page, 32);
    await page.keyboard.press("f");
    await facet(page, "odd, 30").press("Enter");
    await listed(page, 16);
    await holds(() => assert.match(page.url(), /tag=odd/));
    await facet(page, "even, 30").press("o");
    await listed(page, 32);
    await holds(async () =>
      assert.equal(
        await box(page),
        "(.data.n > 30 or .data.n < 3) and " +
          '(any(.meta.tags[]; . == "odd") or any(.meta.tags[]; . == "even"))',
      )
    );
    await facet(page, "even, 30").press("x");
    await listed(page, 16);
    // What was open stays open when the page is loaded again.
    await page.reload();
    await listed(page, 16);
    await facet(page, "odd, 30").waitFor();
    await page.keyboard.press("/");
    await page.getByRole("button", { name: "Clear the filter" }).press("Enter");
    await listed(page, 60);
    await page.locator(".chip", { hasText: "even" }).waitFor();
    await page.getByRole("button", { name: /^odd 30|^odd\s*30/ }).first().press("Enter");
    await listed(page, 30);
    await holds(async () => assert.deepEqual((await chips(page)).sort(), ["even", "odd"]));
  });

  await step("with the mouse: click, Shift and Alt; in a range only that is counted", async (s) => {
    const { page, server } = s;
    const pool = server.client.createPool("shop", 1 << 20);
    const start = Date.parse("2026-01-01T00:00:00Z");
    for (let n = 1; n <= 60; n++) {
      const timestampNs = BigInt(start + n * 60_000) * 1_000_000n;
      pool.append({ n, kind: n % 2 ? "a" : "b" }, { timestampNs });
    }
    const range = "from=2026-01-01T00:10:30Z&to=2026-01-01T00:20:30Z";
    await page.goto(`${server.url}/ui/pools/shop?${range}`);
    await listed(page, 10);
    await page.keyboard.press("f");
    await page.locator(".facets .about", { hasText: "10 messages were counted, in this range" })
      .waitFor();
    await facet(page, "a, 5").click();
    await listed(page, 5);
    await facet(page, "b, 5").click({ modifiers: ["Shift"] });
    await listed(page, 10);
    await facet(page, "b, 5").click({ modifiers: ["Alt"] });
    await listed(page, 5);
    await page.keyboard.press("Escape");
    await page.keyboard.press("Escape");
    await page.keyboard.press("f");
    await facet(page, "a, 30").waitFor();
    await rowWith(page, "59").waitFor();
  });
});
