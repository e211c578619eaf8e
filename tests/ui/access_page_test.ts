/**
 * Access keys in Debian's Chromium: signing in on the listener for other machines, what a key may not
 * do there, and the page that makes and revokes them. Every step also fails on script errors, on anything the content security policy
 * refused and on requests to elsewhere.
 *
 * @module
 */

import assert from "node:assert/strict";
import type { Browser, BrowserContext, BrowserContextOptions, Page } from "playwright-core";
import { Client } from "../../mod.ts";
import { Administration, filedState } from "../../server/access/administration.ts";
import { Server } from "../../server/server.ts";
import { type Shared, sharing } from "../server/shared_util.ts";
import { contextOf, holds, inBrowsers, serious, watchPage } from "../support/browser.ts";
import { readCode } from "../support/qr_reader.ts";
import { PATIENCE_MS, until } from "../support/patience.ts";

interface Scene {
  readonly server: Shared;
  readonly context: BrowserContext;
  readonly page: Page;
  /** The origin of the listener for other machines. */
  readonly remote: string;
  /** The origin of the listener for this machine. */
  readonly local: string;
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
  const context = await contextOf(browser, {
    viewport: { width: 1200, height: 800 },
    timezoneId: "UTC",
    ignoreHTTPSErrors: true,
    ...options,
  });
  context.setDefaultTimeout(PATIENCE_MS);
  const page = await context.newPage();
  const remote = `https://localhost:${server.port}`;
  const bad = watchPage(page, /^(?:https:\/\/localhost|http:\/\/127\.0\.0\.1):/);
  const urls: string[] = [];
  page.on("request", (request) => urls.push(request.url()));
  try {
    const local = `http://${server.running.local}`;
    await play({ server, context, page, remote, local, urls });
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
  await holds(async () =>
    assert.ok(!(await traces(page)).includes(secret), "the page keeps the key")
  );
}

/** The text of the QR code on a page. */
async function readPicture(page: Page): Promise<string> {
  const [box = "", path = ""] = await page.evaluate<string[]>(`[
    document.querySelector(".qr").getAttribute("viewBox"),
    document.querySelector(".qr path").getAttribute("d"),
  ]`);
  const size = Number(box.split(" ")[2]) - 8;
  const dark = new Uint8Array(size * size);
  for (const [, x, y, length] of path.matchAll(/M(\d+) (\d+)h(\d+)v1h-\d+z/g)) {
    const from = (Number(y) - 4) * size + Number(x) - 4;
    dark.fill(1, from, from + Number(length));
  }
  return readCode({ size, dark }).text;
}

inBrowsers("access keys", async (t, browser) => {
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
    await holds(async () => assert.equal(await form(page).getAttribute("type"), "password"));
    await holds(async () => assert.equal(await page.getByLabel("Token").count(), 0));
    await holds(async () => assert.deepEqual(await serious(page), []));
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
    // A token that a server without keys has left at this address does not hide the cookie.
    await other.evaluate('sessionStorage.setItem("plasmite-token", "of-another-server")');
    await other.reload();
    await other.locator('[data-pool="shop"]').waitFor();
    await holds(async () => assert.doesNotMatch(await traces(other), /of-another-server/));
    await page.getByRole("button", { name: "Append" }).first().click();
    await page.getByLabel("Message, a JSON object").fill('{"n":2}');
    await page.keyboard.press("Control+Enter");
    await page.locator(".row", { hasText: "2" }).first().waitFor();
    await page.evaluate(`localStorage.setItem("plasmite-asked", '["words of the owner"]')`);
    await page.getByRole("button", { name: "Sign out" }).click();
    await form(page).waitFor();
    await until(async () => await page.evaluate(`localStorage.getItem("plasmite-asked")`) === null);
    await form(other).waitFor();
    await holds(async () =>
      assert.equal(await page.locator(".row").count(), 0, "what was read is still shown")
    );
    await holds(async () => assert.deepEqual(await context.cookies(`${remote}/v0`), []));
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
    await holds(async () => assert.deepEqual(await serious(page), []));
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
    await holds(() => assert.equal(page.url(), `${remote}/ui/pools/shop?n=5`));
    const entries = await page.evaluate<number>("history.length");
    assert.ok(entries <= 2, `${entries}: about:blank, which Firefox does not count, and this`);
    await assertNoTrace(page, key);
    assert.deepEqual(urls.filter((url) => url.split("#")[0]?.includes(secretOf(key))), []);
    // In a tab that is open already, only the fragment changes.
    await page.getByRole("button", { name: "Sign out" }).click();
    await form(page).waitFor();
    await page.evaluate(`location.hash = "#key=${"x".repeat(64)}"`);
    await problem(page, "Invalid access key");
    await holds(() => assert.doesNotMatch(page.url(), /#/));
    await page.evaluate(`location.hash = "#key=${key}"`);
    await page.locator(".row", { hasText: "1" }).first().waitFor();
    await holds(() => assert.doesNotMatch(page.url(), /#/));
    await assertNoTrace(page, key);
    // A bad link does not end a good session.
    await page.goto(`${remote}/ui#key=${key}x`);
    await page.locator("#toast.show", { hasText: "Invalid access key" }).waitFor();
    await page.locator('[data-pool="shop"]').waitFor();
    await holds(() => assert.doesNotMatch(page.url(), /#/));
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
      await holds(async () =>
        assert.doesNotMatch(await open.evaluate("document.body.innerHTML"), /of the shop|data-pool/)
      );
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
      const signed = page.waitForResponse((answer) => answer.request().method() === "POST");
      await page.goto(`${remote}/ui#key=${key}`);
      await signed;
    };
    const append = page.getByRole("button", { name: "Append" }).first();
    for (const rights of ["read", "read-append", "admin"]) {
      await as(rights);
      await page.locator('[data-pool="logs-a"]').waitFor();
      await holds(async () => assert.equal(await page.locator("[data-pool]").count(), 2, rights));
      await holds(async () =>
        assert.deepEqual(await offers(), { create: rights === "admin", remove: rights === "admin" })
      );
      await page.keyboard.press("n");
      await holds(async () =>
        assert.equal(await page.locator("dialog").count(), rights === "admin" ? 1 : 0, rights)
      );
      await page.goto(`${remote}/ui/pools/ci`);
      await page.locator(".row", { hasText: "ci" }).first().waitFor();
      await holds(async () => assert.equal(await append.isVisible(), rights !== "read", rights));
    }
    await as("append");
    await page.locator(".empty", { hasText: "appends but does not read" }).waitFor();
    await holds(async () => assert.deepEqual(await offers(), { create: false, remove: false }));
    await page.keyboard.press("n");
    await holds(async () => assert.equal(await page.locator("dialog").count(), 0));
    await page.goto(`${remote}/ui/pools/ci`);
    await page.locator(".empty", { hasText: "Messages can only be added" }).waitFor();
    await append.click();
    await page.getByLabel("Message, a JSON object").fill('{"late":true}');
    await page.keyboard.press("Control+Enter");
    await page.locator("#toast.show", { hasText: "Appended as #2" }).waitFor();
    await holds(async () => assert.deepEqual(await serious(page), []));
  });

  // Lost: a key that is shown again, or stands in a command that others can see.
  await step("a key is made and shown once, with what to do with it", {
    permissions: ["clipboard-read", "clipboard-write"],
  }, async (s) => {
    const { server, page, context, local, urls } = s;
    server.client.createPool("ci", 1 << 18).append({ n: 1 });
    await page.goto(`${local}/ui`);
    await page.getByRole("link", { name: "Access" }).click();
    await holds(() => assert.equal(page.url(), `${local}/access`));
    await page.getByText("No key is valid").waitFor();
    // By the keyboard alone.
    await page.keyboard.press("n");
    await page.keyboard.type("phone <b>");
    await page.keyboard.press("Tab");
    await page.keyboard.press("r"); // "read and append"
    await page.keyboard.press("Tab");
    await page.keyboard.type("ci, logs-*");
    await page.keyboard.press("Tab");
    await page.keyboard.type("soon");
    await page.keyboard.press("Enter");
    await page.locator(".invite .problem", { hasText: /Invalid expiry "soon"\. Use a number/ })
      .waitFor();
    await page.getByLabel("Valid for").fill("30d");
    await page.keyboard.press("Enter");
    const made = page.locator(".handout");
    await made.getByRole("heading", { name: "Key for phone <b>" }).waitFor();
    await holds(async () =>
      assert.equal(await page.evaluate("document.activeElement?.tagName"), "H2")
    );
    const [key = "", ...commands] = await made.locator(".line code").allTextContents();
    assert.match(key, /^pk1\.[0-9a-f]{64}\.[0-9a-f]{64}$/);
    assert.equal((await server.remote(key).send("/v0/access/check")).status, 200);
    const address = "https://localhost:9743";
    assert.deepEqual(commands, [
      `plasmite access connect ${address}`,
      `claude mcp add plasmite -- plasmite mcp --remote ${address}`,
      `codex mcp add plasmite -- plasmite mcp --remote ${address}`,
      `plasmite mcp --remote ${address}`,
    ]);
    await made.getByRole("button", { name: "Copy the key" }).click();
    await holds(async () =>
      assert.equal(await page.evaluate("navigator.clipboard.readText()"), key)
    );
    await made.getByRole("button", { name: "Copy the link" }).click();
    const link = `${address}/ui#key=${key}`;
    await holds(async () =>
      assert.equal(await page.evaluate("navigator.clipboard.readText()"), link)
    );
    await holds(async () => assert.equal(await readPicture(page), link));
    await holds(async () => assert.deepEqual(await serious(page), []));

    const row = page.locator("[data-key]", { hasText: "phone <b>" });
    await row.waitFor();
    const text = await row.innerText();
    for (const words of ["read and append", "ci, logs-*", "expires"]) {
      assert.ok(text.includes(words), text);
    }
    assert.ok(!text.includes(secretOf(key)));
    // The link works where it leads.
    const phone = await context.newPage();
    await phone.goto(link.replace(address, s.remote));
    await phone.locator('[data-pool="ci"]').waitFor();
    await made.getByRole("button", { name: "Done" }).click();
    await holds(async () => assert.equal(await made.isVisible(), false));
    await assertNoTrace(page, key);
    // A second key, which goes with the page.
    await page.getByLabel("Name").fill("laptop");
    await page.keyboard.press("Enter");
    const second = await made.locator(".line code").first().textContent() ?? "";
    assert.notEqual(second, key);
    await page.goto(`${local}/ui`);
    await page.goBack();
    await page.locator("[data-key]", { hasText: "laptop" }).waitFor();
    await assertNoTrace(page, second);
    assert.deepEqual(urls.filter((url) => url.includes(secretOf(second))), []);
    // A browser that keeps the page for its Back button says so; the one of these tests keeps none.
    await page.getByLabel("Name").fill("tablet");
    await page.keyboard.press("Enter");
    const third = await made.locator(".line code").first().textContent() ?? "";
    await page.evaluate('dispatchEvent(new PageTransitionEvent("pagehide", { persisted: true }))');
    await holds(async () => assert.equal(await made.isVisible(), false));
    await assertNoTrace(page, third);
  });

  // Lost: access of somebody by one wrong click, or somebody who keeps it.
  await step("keys are listed, and revoked in two steps", {}, async (s) => {
    const { server, page, local, remote, context } = s;
    server.client.createPool("ci", 1 << 18);
    const key = await server.invite("tablet");
    await server.invite("robot", { rights: "append", pools: ["logs-*"], expires: "12h" });
    await page.goto(`${local}/access`);
    const row = (name: string) => page.locator("[data-key]", { hasText: name });
    await row("tablet").getByText("not since the server started").waitFor();
    const robot = await row("robot").innerText();
    assert.match(robot, /append[^]*logs-\*[^]*expires/);
    await holds(async () =>
      assert.match(await row("tablet").innerText(), /everything[^]*all[^]*never expires/)
    );
    const tablet = await context.newPage();
    await tablet.goto(`${remote}/ui#key=${key}`);
    await tablet.locator('[data-pool="ci"]').waitFor();
    await page.bringToFront(); // In Firefox a tab behind another one does not ask.
    await row("tablet").getByText("ago").waitFor();
    const revoke = page.getByRole("button", { name: "Revoke tablet" });
    await revoke.click();
    await page.locator("dialog").getByRole("button", { name: "Revoke", exact: true }).click();
    assert.equal((await server.remote(key).send("/v0/access/check")).status, 200);
    await page.getByRole("button", { name: "Keep it" }).click();
    assert.equal((await server.remote(key).send("/v0/access/check")).status, 200);
    await revoke.focus();
    await page.keyboard.press("Enter");
    await page.keyboard.press("Tab");
    await page.keyboard.press("Enter");
    await page.getByRole("button", { name: "Yes, revoke tablet" }).waitFor();
    await page.keyboard.press("Enter");
    await page.locator("summary", { hasText: "1 revoked or expired" }).waitFor();
    assert.equal((await server.remote(key).send("/v0/access/check")).status, 401);
    await form(tablet).waitFor();
    await holds(async () => assert.equal(await revoke.count(), 0));
  });

  // Lost: where the keyboard was, to what was drawn after one had thought better of a click.
  await step("what was pressed while keys came keeps the focus", {}, async (s) => {
    const { server, page, local } = s;
    await server.invite("tablet");
    await page.goto(`${local}/access`);
    const revoke = page.getByRole("button", { name: "Revoke tablet" });
    await revoke.evaluate((element) => element.dataset["old"] = "1");
    await revoke.hover();
    await page.mouse.down();
    await server.invite("robot");
    // Whoever comes back to the page asks at once; what came before the last answer has been drawn.
    for (let n = 0; n < 2; n++) {
      const answered = page.waitForResponse(/\/access\/keys/);
      await page.evaluate(`document.dispatchEvent(new Event("visibilitychange"))`);
      await answered;
    }
    assert.equal(await page.locator("[data-key]", { hasText: "robot" }).count(), 0);
    await page.mouse.move(0, 0);
    await page.mouse.up();
    await page.locator("[data-key]", { hasText: "robot" }).waitFor();
    await page.locator("[data-old]").waitFor({ state: "detached" });
    await until(async () =>
      await page.evaluate("document.activeElement.title") === "Revoke tablet"
    );
  });

  // Lost: which keys still open the pools, in a browser whose clock is wrong.
  await step("keys end by the clock of the server", {}, async (s) => {
    const { server, page, local } = s;
    await page.addInitScript(`{
      const now = Date.now;
      Date.now = () => now() + 86_400_000;
    }`);
    await server.invite("robot", { expires: "12h" });
    await page.goto(`${local}/access`);
    await page.locator("[data-key]", { hasText: "robot" }).getByText(/^expires /).waitFor();
    await page.locator(".summary", { hasText: "1 key opens" }).waitFor();
  });

  // Lost: the owner's machine, a little, to a tab that nobody looks at.
  await step("keys are asked for while the page is seen", {}, async (s) => {
    const { server, page, local, urls } = s;
    const asked = () => urls.filter((url) => url.endsWith("/v0/access/keys")).length;
    const show = (hidden: boolean) =>
      page.evaluate(`Object.defineProperty(document, "hidden", {
        value: ${hidden}, configurable: true,
      }); document.dispatchEvent(new Event("visibilitychange"))`);
    await page.clock.install();
    await page.goto(`${local}/access`);
    await page.getByText("No key is valid").waitFor();
    const before = asked();
    await page.clock.runFor(6000);
    await until(() => asked() > before);
    await show(true);
    const hidden = asked();
    for (let i = 0; i < 10; i++) {
      await page.clock.runFor(6000);
      await new Promise((after) => setTimeout(after, 100));
    }
    assert.ok(asked() <= hidden + 1, "not even once more than was due");
    await server.invite("phone");
    await show(false);
    await page.locator("[data-key]", { hasText: "phone" }).waitFor();
  });

  // Lost: keys in the hands of whoever has one.
  await step("keys are administered on this machine alone", {}, async (s) => {
    const { server, page, local, remote } = s;
    const key = await server.invite("phone");
    await page.goto(`${remote}/ui#key=${key}`);
    await page.locator(".empty").waitFor();
    await holds(async () =>
      assert.equal(await page.getByRole("link", { name: "Access" }).isVisible(), false)
    );
    assert.equal((await page.goto(`${remote}/access`))?.status(), 404);
    // The other way round, a link with a key is nothing to a page that needs none.
    await page.goto(`${local}/ui#key=${key}`);
    await page.getByRole("link", { name: "Access" }).waitFor();
    await holds(() => assert.equal(page.url(), `${local}/ui`));
    await holds(async () =>
      assert.equal(await page.getByRole("button", { name: "Sign out" }).isVisible(), false)
    );
  });

  await t.step("a directory that is not shared says how to start", async () => {
    const client = new Client(await Deno.makeTempDir());
    const app = new Server(client, {
      administration: () =>
        Promise.resolve(new Administration(client.poolDir, filedState(client.poolDir))),
      browser: "local",
    });
    const listening = { port: 0, hostname: "127.0.0.1", onListen: () => {} };
    const server = Deno.serve(listening, app.fetch);
    const page = await browser.newPage();
    page.setDefaultTimeout(PATIENCE_MS);
    await page.goto(`http://127.0.0.1:${server.addr.port}/access`);
    await page.getByRole("heading", { name: "not shared yet" }).waitFor();
    await page.locator("code", { hasText: "plasmite serve https://HOST:9743" }).waitFor();
    await holds(async () =>
      assert.equal(await page.getByRole("button", { name: "Make a key" }).isVisible(), false)
    );
    await holds(async () => assert.deepEqual(await serious(page), []));
    await page.close();
    await app.shutdown();
    await server.shutdown();
    await Deno.remove(client.poolDir, { recursive: true });
  });

  const LOOKS: [string, BrowserContextOptions][] = [
    ["390 px, dark", { viewport: { width: 390, height: 844 }, colorScheme: "dark" }],
    ["768 px", { viewport: { width: 768, height: 1024 } }],
    ["1280 px, dark", { viewport: { width: 1280, height: 800 }, colorScheme: "dark" }],
  ];
  for (const [look, options] of LOOKS) {
    // Lost: what is cut off on a telephone, or too pale to read.
    await step(`forms and keys fit, and axe finds nothing serious: ${look}`, options, async (s) => {
      const { server, page, local, remote } = s;
      const width = options.viewport?.width ?? 0;
      const fits = async (what: string): Promise<void> => {
        await holds(async () => {
          const wide = await page.evaluate<number>("document.documentElement.scrollWidth");
          const inner = await page.evaluate<number>(
            "Math.max(...[...document.querySelectorAll('main, dialog')].map((e) => e.scrollWidth - e.clientWidth), 0)",
          );
          assert.ok(wide <= width && inner <= 0, `${what}: ${wide}, ${inner}`);
        });
        await holds(async () => assert.deepEqual(await serious(page), [], what));
      };
      await server.invite("x".repeat(128), { pools: [`${"y".repeat(200)}*`], expires: "1h" });
      await server.invite("gone");
      await server.revoke("gone");
      await page.goto(`${local}/access`);
      await page.locator("[data-key]").first().waitFor();
      await page.getByLabel("Name").fill("phone");
      await page.keyboard.press("Enter");
      await page.locator(".handout .qr").waitFor();
      await page.locator("summary").click();
      await page.waitForTimeout(300);
      await fits("keys");
      await page.locator("[data-key] button").first().click();
      await fits("revoking");
      await page.goto(`${remote}/ui`);
      await form(page).waitFor();
      await fits("signing in");
    });
  }
});
