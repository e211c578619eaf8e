/**
 * Access keys in Debian's Chromium: signing in on the listener for other machines, and what a key
 * may not do there. Every step also fails on script errors, on anything the content security policy
 * refused and on requests to elsewhere.
 *
 * @module
 */

import assert from "node:assert/strict";
import type { Browser, BrowserContext, BrowserContextOptions, Page } from "playwright-core";
import { type Shared, sharing } from "../server/shared_util.ts";
import { hasBrowser, launch, serious, watchPage } from "../support/browser.ts";

interface Scene {
  readonly server: Shared;
  readonly context: BrowserContext;
  readonly page: Page;
  /** The origin of the listener for other machines. */
  readonly remote: string;
  /** Every address that the page asked for. */
  readonly urls: readonly string[];
}

/** A server with two listeners, a page, and the check that the page behaved. */
async function scene(
  browser: Browser,
  options: BrowserContextOptions,
  play: (scene: Scene) => Promise<void>,
): Promise<void> {
  await using server = await sharing();
  const context = await browser.newContext({
    viewport: { width: 1200, height: 800 },
    timezoneId: "UTC",
    ignoreHTTPSErrors: true,
    ...options,
  });
  context.setDefaultTimeout(15_000);
  const page = await context.newPage();
  const remote = `https://localhost:${server.port}`;
  const bad = watchPage(page, /^(?:https:\/\/localhost|http:\/\/127\.0\.0\.1):/);
  const urls: string[] = [];
  page.on("request", (request) => urls.push(request.url()));
  try {
    await play({ server, context, page, remote, urls });
    assert.deepEqual(bad, []);
  } finally {
    await context.close();
    server.client.close();
  }
}

const form = (page: Page) => page.getByLabel("Access key", { exact: true });
const problem = (page: Page, words: string | RegExp) =>
  page.locator("dialog .problem", { hasText: words }).waitFor();

async function enter(page: Page, key: string): Promise<void> {
  await form(page).fill(key);
  await form(page).press("Enter");
}

/** All that a page can keep or show of a key. */
function traces(page: Page): Promise<string> {
  return page.evaluate(`JSON.stringify([
    { ...localStorage }, { ...sessionStorage }, document.cookie, location.href, history.state,
    document.documentElement.outerHTML,
    [...document.querySelectorAll("input, textarea")].map(({ value }) => value),
    performance.getEntriesByType("resource").map(({ name }) => name),
  ])`);
}

const secretOf = (key: string) => key.split(".")[2] ?? "";

async function assertNoTrace(page: Page, key: string): Promise<void> {
  const secret = secretOf(key);
  assert.equal(secret.length, 64);
  assert.ok(!(await traces(page)).includes(secret), "the page keeps the key");
}

Deno.test({
  name: hasBrowser()
    ? "access keys in Chromium"
    : "access keys in Chromium (NOT RUN: apt-get install chromium, or set PLASMITE_CHROMIUM)",
  ignore: !hasBrowser(),
  sanitizeOps: false,
  sanitizeResources: false,
}, async (t) => {
  const browser = await launch();
  const step = (
    name: string,
    options: BrowserContextOptions,
    play: (scene: Scene) => Promise<void>,
  ) => t.step(name, () => scene(browser, options, play));

  // Lost: a key that stays behind in the browser, or nobody gets in.
  await step("a key is exchanged for a cookie, and signing out ends it", {}, async (s) => {
    const { server, page, remote, context, urls } = s;
    server.client.createPool("shop", 1 << 18).append({ n: 1 });
    const key = await server.invite("phone");
    await page.goto(`${remote}/ui/pools/shop`);
    assert.equal(await form(page).getAttribute("type"), "password");
    assert.equal(await page.getByLabel("Token").count(), 0);
    assert.deepEqual(await serious(page), []);
    // By the keyboard alone.
    await page.waitForFunction("document.activeElement?.name === 'access-key'");
    await page.keyboard.type(` ${key} `);
    await page.keyboard.press("Enter");
    await page.locator(".row", { hasText: "1" }).first().waitFor();
    await assertNoTrace(page, key);
    const [cookie] = await context.cookies(`${remote}/v0`);
    assert.ok(cookie?.httpOnly && cookie.secure && cookie.sameSite === "Strict");
    assert.equal(cookie.name, "plasmite_session");
    const other = await context.newPage();
    await other.goto(`${remote}/ui`);
    await other.locator('[data-pool="shop"]').waitFor();
    await page.getByRole("button", { name: "Append" }).first().click();
    await page.getByLabel("Message, a JSON object").fill('{"n":2}');
    await page.keyboard.press("Control+Enter");
    await page.locator(".row", { hasText: "2" }).first().waitFor();
    await page.getByRole("button", { name: "Sign out" }).click();
    await form(page).waitFor();
    await form(other).waitFor();
    assert.equal(await page.locator(".row").count(), 0, "what was read is still shown");
    assert.deepEqual(await context.cookies(`${remote}/v0`), []);
    // The cookie itself is worth nothing any more.
    const answer = await server.remote("").send("/v0/pools", {
      headers: { cookie: `plasmite_session=${cookie.value}` },
    });
    assert.equal(answer.status, 401);
    await page.reload();
    await form(page).waitFor();
    assert.deepEqual(urls.filter((url) => url.includes(secretOf(key))), []);
  });

  // Lost: an owner of a dead key who sees an empty page, and does not know why.
  await step("a wrong, revoked or expired key is explained; so are too many", {}, async (s) => {
    const { server, page, remote } = s;
    const [good, revoked, short] = [
      await server.invite("good"),
      await server.invite("revoked"),
      await server.invite("short", { expires: "1s" }),
    ];
    await server.revoke("revoked");
    for (;;) {
      if ((await server.remote(short).send("/v0/access/check")).status === 401) break;
    }
    await page.goto(`${remote}/ui`);
    const other = good.replace(/^pk1\.[0-9a-f]{64}/, `pk1.${"0".repeat(64)}`);
    for (const bad of ["nonsense", good.slice(0, -1), other, revoked, short]) {
      await page.locator("dialog .problem").evaluate((element) => element.textContent = "");
      await enter(page, bad);
      await problem(page, "Invalid access key. It is mistyped, revoked or expired");
    }
    for (let i = 0; i < 5; i++) {
      await page.locator("dialog .problem").evaluate((element) => element.textContent = "");
      await enter(page, "nonsense");
      await problem(page, "Invalid");
    }
    await enter(page, good);
    await problem(page, /Too many wrong keys\. Try again in \d+ seconds/);
    assert.deepEqual(await serious(page), []);
    await page.keyboard.press("Escape");
    await page.keyboard.press("Escape");
    await page.keyboard.press("Escape");
    await form(page).waitFor();
  });

  // Lost: a key in the address bar, in the history or in a bookmark.
  await step("a link with a key signs in at once, and its fragment is gone", {}, async (s) => {
    const { server, page, remote, urls } = s;
    server.client.createPool("shop", 1 << 18).append({ n: 1 });
    const key = await server.invite("phone");
    await page.goto(`${remote}/ui/pools/shop?n=5#key=${key}`);
    await page.locator(".row", { hasText: "1" }).first().waitFor();
    assert.equal(page.url(), `${remote}/ui/pools/shop?n=5`);
    assert.equal(await page.evaluate("history.length"), 2); // about:blank and this
    await assertNoTrace(page, key);
    assert.deepEqual(urls.filter((url) => url.split("#")[0]?.includes(secretOf(key))), []);
    // In a tab that is open already, only the fragment changes.
    await page.getByRole("button", { name: "Sign out" }).click();
    await form(page).waitFor();
    await page.evaluate(`location.hash = "#key=${"x".repeat(64)}"`);
    await problem(page, "Invalid access key");
    assert.doesNotMatch(page.url(), /#/);
    await page.evaluate(`location.hash = "#key=${key}"`);
    await page.locator(".row", { hasText: "1" }).first().waitFor();
    assert.doesNotMatch(page.url(), /#/);
    await assertNoTrace(page, key);
    // A bad link does not end a good session.
    await page.goto(`${remote}/ui#key=${key}x`);
    await page.locator("#toast.show", { hasText: "Invalid access key" }).waitFor();
    await page.locator('[data-pool="shop"]').waitFor();
    assert.doesNotMatch(page.url(), /#/);
  });

  // Lost: pools of others on the screen of somebody whose key was taken back.
  await step("revoking a key ends what its pages have open", {}, async (s) => {
    const { server, page, remote, context } = s;
    const pool = server.client.createPool("shop", 1 << 18);
    pool.append({ secret: "of the shop" });
    const key = await server.invite("phone");
    await page.goto(`${remote}/ui#key=${key}`);
    await page.locator('[data-pool="shop"]').waitFor();
    const stream = await context.newPage();
    await stream.goto(`${remote}/ui/pools/shop`);
    await stream.locator(".row", { hasText: "of the shop" }).waitFor();
    await server.revoke("phone");
    for (const open of [page, stream]) {
      await problem(open, "The session is over");
      assert.doesNotMatch(await open.evaluate("document.body.innerHTML"), /of the shop|data-pool/);
    }
    await enter(stream, await server.invite("again"));
    await stream.locator(".row", { hasText: "of the shop" }).waitFor();
  });

  // Lost: buttons that answer 403, or pools that one should not know of.
  await step("what a key may not do is not offered", {}, async (s) => {
    const { server, page, remote } = s;
    for (const name of ["ci", "logs-a", "shop"]) {
      server.client.createPool(name, 1 << 18).append({ of: name });
    }
    const offers = async () => ({
      create: await page.getByRole("button", { name: "New pool" }).isVisible(),
      remove: await page.locator('[aria-label^="Delete"]').count() > 0,
    });
    const as = async (rights: string): Promise<void> => {
      const key = await server.invite(rights, { rights, pools: ["ci", "logs-*"] });
      await page.goto(`${remote}/ui#key=${key}`);
      await page.reload();
    };
    const append = page.getByRole("button", { name: "Append" }).first();
    for (const rights of ["read", "read-append", "admin"]) {
      await as(rights);
      await page.locator('[data-pool="logs-a"]').waitFor();
      assert.equal(await page.locator("[data-pool]").count(), 2, rights);
      assert.deepEqual(await offers(), { create: rights === "admin", remove: rights === "admin" });
      await page.keyboard.press("n");
      assert.equal(await page.locator("dialog").count(), rights === "admin" ? 1 : 0, rights);
      await page.goto(`${remote}/ui/pools/ci`);
      await page.locator(".row", { hasText: "ci" }).first().waitFor();
      assert.equal(await append.isVisible(), rights !== "read", rights);
    }
    await as("append");
    await page.locator(".empty", { hasText: "appends but does not read" }).waitFor();
    assert.deepEqual(await offers(), { create: false, remove: false });
    await page.keyboard.press("n");
    assert.equal(await page.locator("dialog").count(), 0);
    await page.goto(`${remote}/ui/pools/ci`);
    await page.locator(".empty", { hasText: "Messages can only be added" }).waitFor();
    await append.click();
    await page.getByLabel("Message, a JSON object").fill('{"late":true}');
    await page.keyboard.press("Control+Enter");
    await page.locator("#toast.show", { hasText: "Appended as #2" }).waitFor();
    assert.deepEqual(await serious(page), []);
  });

  await browser.close();
});
