/**
 * Tests of the page in Debian's Chromium: each is a server, a page on it, and the check that the page
 * behaved (no script errors, nothing against its policy, no requests to elsewhere).
 *
 * @module
 */

import assert from "node:assert/strict";
import type { BrowserContextOptions, Locator, Page } from "playwright-core";
import type { AppOptions } from "../../server/app.ts";
import { hasBrowser, launch, TestServer, watchPage } from "./browser.ts";

/** The longest wait for anything; the machine may be busy. */
const WATCHDOG = 60_000;

/** A server and a page on it. */
export interface Scene {
  readonly server: TestServer;
  readonly page: Page;
}

/** What is special about a scene. */
export interface SceneOptions {
  readonly app?: AppOptions;
  readonly context?: BrowserContextOptions;
}

/** Defines a test with steps that share a browser; each step has a server and a page of its own. */
export function sceneTest(
  name: string,
  define: (
    step: (
      name: string,
      play: (scene: Scene) => Promise<void>,
      options?: SceneOptions,
    ) => Promise<boolean>,
  ) => Promise<void>,
): void {
  Deno.test({
    name: hasBrowser() ? name : `${name} (NOT RUN: no Chromium)`,
    ignore: !hasBrowser(),
    sanitizeOps: false,
    sanitizeResources: false,
  }, async (t) => {
    const browser = await launch();
    try {
      await define((step, play, options = {}) =>
        t.step(step, async () => {
          await using server = new TestServer(options.app);
          const context = await browser.newContext({
            viewport: { width: 1200, height: 800 },
            timezoneId: "UTC",
            ...options.context,
          });
          context.setDefaultTimeout(WATCHDOG);
          const page = await context.newPage();
          const bad = watchPage(page, server.url);
          try {
            await play({ server, page });
            assert.deepEqual(bad, []);
          } finally {
            await context.close();
          }
        })
      );
    } finally {
      await browser.close();
    }
  });
}

/** Waits until an expression is true; the page's policy forbids Playwright's own way. */
export async function until(page: Page, expression: string): Promise<void> {
  const end = performance.now() + WATCHDOG;
  while (performance.now() < end) {
    if (await page.evaluate(expression)) return;
    await page.waitForTimeout(50);
  }
  assert.fail(`never true: ${expression}`);
}

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

/** The first row with this text. */
export function rowWith(page: Page, text: string): Locator {
  return page.locator(".row:not([hidden])", { hasText: text }).first();
}
