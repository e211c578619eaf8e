/**
 * A server, a page on it, and the check that the page behaved: what every test of the page needs.
 *
 * @module
 */

import assert from "node:assert/strict";
import type { Browser, BrowserContextOptions, Locator, Page } from "playwright-core";
import type { AppOptions } from "../../server/app.ts";
import { hasBrowser, launch, TestServer, watchPage } from "../support/browser.ts";

/** What a step of a test is given. */
export interface Scene {
  readonly server: TestServer;
  readonly page: Page;
}

/** How the server and the page are made. */
export interface SceneOptions {
  readonly app?: AppOptions;
  readonly context?: BrowserContextOptions;
}

/** How long a state is waited for; the machine may be slow and loaded. */
const PATIENCE = 60_000;

/** Plays on a server and a page of its own. Fails on script errors, violated policies and foreign requests. */
export async function scene(
  browser: Browser,
  options: SceneOptions,
  play: (scene: Scene) => Promise<void>,
): Promise<void> {
  await using server = new TestServer(options.app);
  const context = await browser.newContext({
    viewport: { width: 1200, height: 800 },
    timezoneId: "UTC",
    ...options.context,
  });
  context.setDefaultTimeout(PATIENCE);
  const page = await context.newPage();
  const bad = watchPage(page, server.url);
  try {
    await play({ server, page });
    assert.deepEqual(bad, []);
  } finally {
    await context.close();
  }
}

/** A test of the page in Chromium, of steps that have a scene each. */
export function pageTest(
  name: string,
  steps: (
    step: (
      name: string,
      options: SceneOptions,
      play: (scene: Scene) => Promise<void>,
    ) => Promise<void>,
  ) => Promise<void>,
): void {
  Deno.test({
    name: hasBrowser()
      ? name
      : `${name} (NOT RUN: apt-get install chromium, or set PLASMITE_CHROMIUM)`,
    ignore: !hasBrowser(),
    sanitizeOps: false,
    sanitizeResources: false,
  }, async (t) => {
    const browser = await launch();
    try {
      await steps(async (name, options, play) => {
        await t.step(name, () => scene(browser, options, play));
      });
    } finally {
      await browser.close();
    }
  });
}

/**
 * Waits until an expression is true; the page's policy forbids Playwright's own way. What it asks for
 * need not be there yet.
 */
export async function until(page: Page, expression: string): Promise<void> {
  const guarded = `(() => { try { return ${expression.trim()} } catch (error) {
    if (error instanceof TypeError) return false;
    throw error;
  } })()`;
  for (const end = Date.now() + PATIENCE; Date.now() < end;) {
    if (await page.evaluate(guarded)) return;
    await page.waitForTimeout(50);
  }
  assert.fail(`never true: ${expression}`);
}

/** The rows that exist as elements, top to bottom. */
export function rows(page: Page): Promise<string[]> {
  return page.evaluate(`[...document.querySelectorAll(".row:not([hidden])")]
    .sort((a, b) => a.ariaPosInSet - b.ariaPosInSet).map((row) => row.textContent)`);
}

/** The first row with a text. */
export const rowWith = (page: Page, text: string): Locator =>
  page.locator(".row", { hasText: text }).first();
