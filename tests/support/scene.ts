/**
 * What tests of a pool's page look at.
 *
 * @module
 */

import type { Locator, Page } from "playwright-core";
import { until } from "./browser.ts";

/** The numbers of the messages on screen, top to bottom. */
export function numbers(page: Page): Promise<number[]> {
  return page.evaluate(`[...document.querySelectorAll(".row:not([hidden]):not(.mark)")]
    .sort((a, b) => a.ariaPosInSet - b.ariaPosInSet)
    .map((row) => Number(row.querySelector(".seq")?.textContent))`);
}

/** Waits until the list has so many rows. */
export async function listed(page: Page, count: number): Promise<void> {
  await until(
    page,
    `Math.max(0, ...[...document.querySelectorAll(".row:not([hidden])")]
      .map((row) => Number(row.ariaSetSize))) === ${count}`,
  );
}

/** The first row with this text; digits are not looked for in its time, where they can be by chance. */
export function rowWith(page: Page, text: string): Locator {
  const rows = page.locator(".row:not([hidden])");
  if (!/^\d+$/.test(text)) return rows.filter({ hasText: text }).first();
  return rows.filter({ has: page.locator(".seq, .data, .cell", { hasText: text }) }).first();
}

/** The row of the message with this number. */
export function rowOf(page: Page, seq: number): Locator {
  const number = page.locator(".seq", { hasText: new RegExp(`^\\s*${seq}\\s*$`) });
  return page.locator(".row:not([hidden])").filter({ has: number });
}

/** Holds back what a page asks for, until it is released. */
export async function hold(
  page: Page,
  what: string | RegExp,
): Promise<{ readonly asked: Promise<unknown>; readonly release: () => void }> {
  let release = (): void => {};
  const released = new Promise<void>((done) => release = done);
  await page.route(what, async (route) => {
    await released;
    await route.continue();
  });
  return { asked: page.waitForRequest(what), release };
}

/** Types into the box of a pool's page, presses Enter and leaves it. */
export async function ask(page: Page, text: string): Promise<void> {
  await page.keyboard.press("/");
  await page.keyboard.press("Control+a");
  await page.keyboard.type(text);
  await page.keyboard.press("Enter");
  await page.keyboard.press("Escape");
}
