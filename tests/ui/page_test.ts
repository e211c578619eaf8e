/**
 * The page in real browsers, against a real server and real writers. Every step also fails on
 * script errors, on anything the content security policy refused and on requests to elsewhere.
 *
 * @module
 */

import assert from "node:assert/strict";
import type { BrowserContextOptions, Page } from "playwright-core";
import {
  fillPool,
  holds,
  inBrowsers,
  type Scene,
  scene,
  type SceneOptions,
  serious,
  story,
  TestServer,
  watchPage,
} from "../support/browser.ts";
import { CLI } from "../support/paths.ts";
import { rowOf, rowWith } from "../support/scene.ts";
import { PATIENCE_MS, until as eventually } from "../support/patience.ts";

const MINUTE = 60_000;

/** Waits until an expression is true; the page's policy forbids Playwright's own way. */
async function until(page: Page, expression: string): Promise<void> {
  await eventually(() => page.evaluate<boolean>(expression), `never true: ${expression}`);
}

/** How many rows the list says it has. */
const TOTAL = `Math.max(...[...document.querySelectorAll(".row:not([hidden])")]
  .map((row) => row.ariaSetSize))`;

/** The rows that exist as elements, top to bottom. */
function rows(page: Page): Promise<string[]> {
  return page.evaluate(`[...document.querySelectorAll(".row:not([hidden])")]
    .sort((a, b) => a.ariaPosInSet - b.ariaPosInSet).map((row) => row.textContent)`);
}

const lamp = (page: Page, text: string) => page.locator(".lamp", { hasText: text }).waitFor();
const clipboard = (page: Page): Promise<string> => page.evaluate("navigator.clipboard.readText()");

inBrowsers("the page", async (t, browser, browserName) => {
  const step = (name: string, options: SceneOptions, play: (scene: Scene) => Promise<void>) =>
    t.step(name, () => scene(browser, options, play));

  await step("overview: pools, rates, search, create, delete by name", {}, async (s) => {
    const { server, page } = s;
    const { client } = server;
    const shop = client.createPool("shop", 1 << 20);
    fillPool(shop, 500, 5 * MINUTE);
    client.createPool("quiet", 1 << 18);
    await Deno.writeTextFile(`${server.dir}/broken.plasmite`, "not a pool");
    await page.goto(`${server.url}/ui`);
    await page.locator('[data-pool="shop"]').waitFor();
    const card = page.locator('[data-pool="shop"]');
    await holds(async () => assert.match(await card.innerText(), /500/));
    await holds(async () => assert.match(await card.innerText(), /4 min 5\d s|5 min/));
    // The minute before the page was opened is there too.
    await page.locator('[data-pool="shop"] .spark:not(.idle)').waitFor();
    await holds(async () =>
      assert.match(await page.locator('[data-pool="quiet"]').innerText(), /never/)
    );
    await holds(async () =>
      assert.match(await page.locator('[data-pool="broken"]').innerText(), /Corrupt/)
    );
    await page.keyboard.press("/");
    await page.keyboard.type("qui");
    await page.locator('[data-pool="shop"]').waitFor({ state: "detached" });
    await page.locator("input[type=search]").fill("nothing like it");
    await page.locator(".empty", { hasText: "nothing like it" }).waitFor();
    await page.locator("input[type=search]").fill("");
    await page.keyboard.press("Escape");

    await page.keyboard.press("n");
    await page.locator("dialog input").fill("made here");
    await page.locator("dialog select").selectOption({ label: "256 KiB" });
    await page.keyboard.press("Enter");
    await page.locator('[data-pool="made here"]').waitFor();
    assert.equal(client.poolInfo("made here").fileSize, 1 << 18);
    await page.keyboard.press("n");
    await page.locator("dialog input").fill("shop");
    await page.keyboard.press("Enter");
    await page.locator("dialog .problem", { hasText: "already exists" }).waitFor();
    await page.keyboard.press("Escape");

    await page.locator('[aria-label="Delete made here"]').click();
    await page.locator("dialog input[name=name]").fill("made here");
    assert.equal(client.poolInfo("made here").fileSize, 1 << 18);
    await page.keyboard.press("Enter");
    await page.locator('[data-pool="made here"]').waitFor({ state: "detached" });
    assert.throws(() => client.poolInfo("made here"), /not found/);
  });

  await step("stream: backlog, live messages, exact integers, inspector, copies", {
    context: { permissions: ["clipboard-read", "clipboard-write"] },
  }, async ({ server, page }) => {
    const pool = server.client.createPool("shop & co", 1 << 20);
    fillPool(pool, 300, 10 * MINUTE);
    await page.goto(`${server.url}/ui/pools/${encodeURIComponent("shop & co")}`);
    await rowWith(page, "300").waitFor();
    await holds(async () => assert.ok((await rows(page)).length < 80, "only visible rows exist"));
    const odd = '{"id":9223372036854775807,"half":0.5,"10":1,"2":2}';
    pool.appendJson(new TextEncoder().encode(odd), ["late"]);
    await rowWith(page, "9223372036854775807").waitFor();
    const text = await rowWith(page, "9223372036854775807").innerText();
    assert.ok(text.indexOf("10") < text.lastIndexOf("2"), "members in their order");
    await rowWith(page, "9223372036854775807").click();
    const inspector = page.locator(".inspector");
    await inspector.locator("h2", { hasText: "#301" }).waitFor();
    await holds(async () => assert.match(await inspector.innerText(), /9223372036854775807/));
    await holds(() => assert.match(page.url(), /\?seq=301$/));
    await inspector.getByRole("tab", { name: "Raw" }).click();
    await inspector.locator("pre", { hasText: '"id": 9223372036854775807,' }).waitFor();
    await inspector.getByText("JSON", { exact: true }).click();
    await holds(async () => {
      const json = await clipboard(page);
      assert.ok(json.startsWith(`{"data":${odd},"meta"`), json);
    });
    await inspector.getByText("curl", { exact: true }).click();
    await holds(async () =>
      assert.equal(
        await clipboard(page),
        `curl -sS ${server.url}/v0/pools/shop%20%26%20co/messages/301`,
      )
    );
    await inspector.getByText("fetch", { exact: true }).click();
    await holds(async () =>
      assert.equal(await clipboard(page), `plasmite fetch ${server.url}/shop%20%26%20co 301`)
    );
    await inspector.getByText("link", { exact: true }).click();
    await holds(async () =>
      assert.equal(await clipboard(page), `${server.url}/ui/pools/shop%20%26%20co?seq=301`)
    );
    await page.keyboard.press("k");
    await inspector.locator("h2", { hasText: "#300" }).waitFor();
    await page.keyboard.press("Escape");
    await inspector.waitFor({ state: "hidden" });
    await holds(() => assert.doesNotMatch(page.url(), /seq=/));
  });

  await step(
    "coordination: cursors, work groups and claims are shown, and go away",
    {},
    async (s) => {
      const { server, page } = s;
      const cli = async (...args: string[]): Promise<void> => {
        const { code, stderr } = await new Deno.Command(Deno.execPath(), {
          args: ["run", "-A", "--quiet", CLI, "--dir", server.dir, ...args],
          stdin: "null",
        }).output();
        assert.equal(code, 0, new TextDecoder().decode(stderr));
      };
      await cli("feed", "mail", "--create", '{"n":1}');
      await page.goto(`${server.url}/ui/pools/mail`);
      await page.locator(".row .data").first().waitFor();
      await holds(async () =>
        assert.ok(await page.locator(".coordination").isHidden(), "nobody coordinates yet")
      );
      await cli("fetch", "mail", "--cursor", "bob");
      await cli("feed", "mail", '{"n":2}');
      await cli("work", "mail", "--group", "render", "--from", "end", "--drain", "--", "true");
      await cli("claim", "mail", "deploy<b>", "--as", "alice");
      const words = page.locator(".coordination summary");
      await page.getByText("1 cursor, 2 behind · 1 work group, 0 pending · 1 claimed key")
        .waitFor();
      await words.click();
      await page.locator(".coordination td", { hasText: "deploy<b>" }).waitFor();
      await holds(async () =>
        assert.deepEqual(await page.locator(".coordination caption").allTextContents(), [
          "Cursors",
          "Work groups",
          "Claimed keys",
        ])
      );
      await holds(async () =>
        assert.deepEqual(
          (await page.locator(".coordination table").first().locator("td").allTextContents()).slice(
            0,
            4,
          ),
          ["bob", "#1", "2", "0"],
        )
      );
      await cli("release", "mail", "deploy<b>", "--as", "alice", "--force");
      await cli("cursor", "delete", "mail", "bob");
      await page.getByText("1 work group, 0 pending", { exact: true }).waitFor();
    },
  );

  // Lost: time of the server, which looks for claims in the pool, to tabs that nobody looks at.
  await step("a pool is asked about while its page is seen", {}, async ({ server, page }) => {
    server.client.createPool("shop", 1 << 18).append({ n: 1 });
    const asked = { info: 0, cursors: 0, latest: 0 };
    page.on("request", (request) => {
      const what = /\/(info|cursors|latest)(?:\?|$)/.exec(request.url())?.[1];
      if (what !== undefined) asked[what as keyof typeof asked]++;
    });
    const pass = async (times: number): Promise<void> => {
      for (let i = 0; i < times; i++) {
        await page.clock.runFor(5000);
        await new Promise((after) => setTimeout(after, 100));
      }
    };
    await page.clock.install();
    await page.goto(`${server.url}/ui/pools/shop`);
    await page.locator(".facts dd").first().waitFor();
    for (let i = 0; i < 600 && asked.latest < 2; i++) await pass(1);
    assert.ok(asked.info >= 2 && asked.cursors >= 2 && asked.latest >= 2, JSON.stringify(asked));
    await page.evaluate(`Object.defineProperty(document, "hidden", { value: true })`);
    const before = { ...asked };
    await pass(10);
    for (const what of ["info", "cursors", "latest"] as const) {
      // One may have been on its way.
      assert.ok(asked[what] <= before[what] + 1, `${what}: ${before[what]}, ${asked[what]}`);
    }
  });

  await step("filters: tags, jq with errors as typed, columns, export", {
    context: { acceptDownloads: true },
  }, async ({ server, page }) => {
    const pool = server.client.createPool("shop", 1 << 20);
    for (let n = 1; n <= 60; n++) {
      pool.append({ n, level: n % 5 ? "info" : "error", deep: { x: n * 2 } }, [
        n % 2 ? "odd" : "even",
      ]);
    }
    await page.goto(`${server.url}/ui/pools/shop`);
    await page.getByRole("button", { name: /^odd/ }).click();
    await until(page, `${TOTAL} === 30`);
    await holds(() => assert.match(page.url(), /\?tag=odd$/));
    const where = page.locator(".where");
    await page.keyboard.press("/");
    await where.fill(".data.n >");
    await page.locator(".note.problem", { hasText: "expression" }).waitFor();
    await holds(async () => assert.equal(await where.getAttribute("aria-invalid"), "true"));
    await where.fill('.data.level == "error" and .data.n > 20');
    await page.locator(".note", { hasText: "Press Enter" }).waitFor();
    await where.press("Enter");
    await until(page, `${TOTAL} === 4`);
    pool.append({ n: 61, level: "error" }, ["odd"]);
    pool.append({ n: 62, level: "error" }, ["even"]);
    pool.append({ n: 63, level: "info" }, ["odd"]);
    pool.append({ n: 65, level: "error" }, ["odd"]);
    await until(page, `${TOTAL} === 6`);
    // A filter that gives no boolean is explained, too.
    await where.fill(".data.n");
    await where.press("Enter");
    await page.locator(".note.problem").waitFor();
    await page.getByRole("button", { name: "Clear the filter" }).click();
    await rowWith(page, "65").waitFor();
    await until(page, `${TOTAL} > 20`);

    await page.locator(".list").focus();
    await page.keyboard.press("c");
    await page.locator("dialog label", { hasText: "deep.x" }).click();
    await page.keyboard.press("Escape");
    await page.locator(".head .cell", { hasText: "deep.x" }).waitFor();
    await page.reload();
    await page.locator(".row .cell", { hasText: "120" }).waitFor();

    await page.goto(`${server.url}/ui/pools/shop?where=${encodeURIComponent(".data.n < 4")}`);
    await rowWith(page, "level").waitFor();
    // The driver of Firefox tells of no downloads.
    if (browserName === "firefox") return;
    const downloading = page.waitForEvent("download");
    await page.getByRole("button", { name: "Export" }).click();
    await page.getByRole("button", { name: "JSON lines" }).click();
    const download = await downloading;
    assert.equal(download.suggestedFilename(), "shop-1-3.jsonl");
    const lines = (await Deno.readTextFile(await download.path())).trimEnd().split("\n");
    assert.deepEqual(lines.map((line) => JSON.parse(line).data.n), [1, 2, 3]);
  });

  await step("a filtered stream resumes where it has looked, not where it has found", {
    app: { heartbeatMs: 50, maxTailTimeoutMs: 400 },
  }, async ({ server, page }) => {
    const pool = server.client.createPool("shop", 1 << 20);
    for (let n = 1; n <= 60; n++) pool.append({ n });
    const path = `${server.url}/ui/pools/shop?where=${encodeURIComponent(".data.n > 60")}`;
    // Of what a shared worker asks for, the driver of the browser does not tell.
    await page.addInitScript("delete globalThis.SharedWorker");
    const resumed = page.waitForRequest((request) => request.url().includes("since_seq=61"));
    await page.goto(path);
    await page.locator(".empty", { hasText: "No message matches" }).waitFor();
    await resumed;
    pool.append({ n: 61 });
    await rowWith(page, "61").waitFor();
    await holds(async () => assert.equal(await page.locator(".row.mark").count(), 0));
  });

  await step("pause counts what waits; scrolling back stops following", {}, async (s) => {
    const { server, page } = s;
    const pool = server.client.createPool("shop", 1 << 20);
    fillPool(pool, 200, MINUTE);
    await page.goto(`${server.url}/ui/pools/shop`);
    await rowWith(page, "200").waitFor();
    await page.keyboard.press("Space");
    await lamp(page, "Paused");
    for (let n = 0; n < 25; n++) pool.append({ while: "paused" });
    await page.locator(".pause", { hasText: "25 waiting" }).waitFor();
    await holds(async () =>
      assert.equal((await rows(page)).filter((row) => row.includes("paused")).length, 0)
    );
    await page.keyboard.press("Space");
    await rowWith(page, "225").waitFor();
    await lamp(page, "Live");

    await page.keyboard.press("g");
    await page.locator('.row[aria-posinset="1"]').waitFor();
    await holds(async () => assert.match((await rows(page))[0] ?? "", /^1\d\d:/));
    for (let n = 0; n < 5; n++) pool.append({ further: n });
    await page.locator(".newest", { hasText: "newer" }).waitFor();
    await holds(async () =>
      assert.equal(await page.evaluate(`document.querySelector(".list")?.scrollTop`), 0)
    );
    await page.locator(".newest").click();
    await rowWith(page, "230").waitFor();

    // The same while there is no stream: when it comes, the page still says that it is paused.
    await server.stop();
    await lamp(page, "Reconnecting");
    await page.keyboard.press("Space");
    server.start();
    await lamp(page, "Paused");
    await page.keyboard.press("Space");
    await lamp(page, "Live");
  });

  await step("a restart of the server and overwritten messages are drawn", {}, async (s) => {
    const { server, page } = s;
    const pool = server.client.createPool("shop", 1 << 16);
    for (let n = 1; n <= 20; n++) pool.append({ n });
    await page.goto(`${server.url}/ui/pools/shop`);
    await rowWith(page, "20").waitFor();
    await server.stop();
    await lamp(page, "Reconnecting");
    for (let n = 21; n <= 2000; n++) pool.append({ n });
    server.start();
    await lamp(page, "Live");
    await rowWith(page, "2000").waitFor();
    const { oldestSeq } = pool.info().bounds;
    await page.keyboard.press("g");
    for (let i = 0; i < 21; i++) await page.keyboard.press("j");
    await page.locator(".row.mark", { hasText: "Disconnected for" }).waitFor();
    await page.locator(".row.mark", {
      hasText: `Messages 21–${(oldestSeq ?? 0n) - 1n} are no longer retained`,
    }).waitFor();

    // With a filter the numbers have holes anyway: the server tells.
    await page.goto(`${server.url}/ui/pools/shop?where=${encodeURIComponent(".data.n % 2 == 0")}`);
    await rowWith(page, "2000").waitFor();
    await server.stop();
    await lamp(page, "Reconnecting");
    for (let n = 2001; n <= 4000; n++) pool.append({ n });
    server.start();
    await rowWith(page, "4000").waitFor();
    await page.keyboard.press("g");
    await until(
      page,
      `(document.querySelector(".list").scrollTop += 200) &&
      [...document.querySelectorAll(".row.mark")]
        .some((row) => row.textContent.includes("Messages 2001–"))`,
    );

    await page.keyboard.press("Shift+G");
    server.client.deletePool("shop");
    await lamp(page, "Waiting for the pool");
    const again = server.client.createPool("shop", 1 << 16);
    again.append({ n: 2, fresh: true });
    await rowWith(page, "fresh").waitFor();
  });

  await step("links by number; what is gone is said", {}, async ({ server, page }) => {
    const pool = server.client.createPool("shop", 1 << 24);
    fillPool(pool, 12_000, 60 * MINUTE);
    const path = `${server.url}/ui/pools/shop`;
    await page.goto(`${path}?seq=40&n=500`);
    await page.locator(".inspector h2", { hasText: "#40" }).waitFor();
    await page.locator(".pastbar", { hasText: "Around message 40" }).waitFor();
    await page.locator('.row[aria-selected="true"]', { hasText: "40" }).waitFor();
    await page.keyboard.press("Escape");
    await page.keyboard.press("Escape");
    await rowWith(page, "12000").waitFor();
    await page.goto(`${path}?seq=11990`);
    await page.locator(".inspector h2", { hasText: "#11990" }).waitFor();
    await lamp(page, "Live");
    await page.goto(`${path}?seq=99999`);
    await page.locator("#toast", { hasText: "99999 is not retained" }).waitFor();
    await rowWith(page, "12000").waitFor();
    // Older ones are loaded in pieces.
    await page.goto(`${path}?n=100`);
    await rowWith(page, "12000").waitFor();
    await page.keyboard.press("Home");
    await page.locator(".older", { hasText: "11,900 older" }).click();
    await page.locator(".older", { hasText: "10,900 older" }).waitFor({ state: "attached" });
  });

  await step("timeline: drag a range, replay it, go back to live", {}, async (s) => {
    const { server, page } = s;
    const pool = server.client.createPool("shop", 1 << 21);
    const now = Date.now();
    for (let n = 1; n <= 1000; n++) {
      const t = BigInt(now - 100 * MINUTE + n * 6000) * 1_000_000n;
      pool.append({ n }, { tags: [n % 2 ? "a" : "b"], timestampNs: t });
    }
    await page.goto(`${server.url}/ui/pools/shop`);
    await rowWith(page, "1000").waitFor();
    await until(page, `document.querySelector(".labels span") !== null`);
    const box = await page.locator(".plot").boundingBox();
    assert.ok(box);
    await page.mouse.move(box.x + box.width * 0.2, box.y + 20);
    await page.locator(".tip", { hasText: "message" }).waitFor();
    await page.mouse.down();
    await page.mouse.move(box.x + box.width * 0.4, box.y + 20, { steps: 4 });
    await page.mouse.up();
    await page.locator(".pastbar small", { hasText: /^ 20\d messages$/ }).waitFor();
    await holds(() => assert.match(page.url(), /from=.*&to=/));
    await holds(async () => assert.match((await rows(page))[0] ?? "", /^(19\d|20\d)/));
    // Six seconds lie between two messages: the first is alone for a while, however slow this is.
    await page.keyboard.press("Space");
    await page.locator(".replay", { hasText: / [1-9] of 20\d$/ }).waitFor();
    await until(
      page,
      `((n) => n > 0 && n < 10)(document.querySelectorAll(".row:not([hidden])").length)`,
    );
    await page.locator(".replay select").selectOption("1000");
    await page.locator(".replay", { hasText: "Replay" }).waitFor();
    await until(page, `${TOTAL} > 190`);
    await page.reload();
    await page.locator(".pastbar small", { hasText: "20" }).waitFor();
    await page.getByRole("button", { name: "Back to live" }).click();
    await rowWith(page, "1000").waitFor();
    await lamp(page, "Live");
    // The same without a mouse.
    await page.keyboard.press("t");
    for (let i = 0; i < 10; i++) await page.keyboard.press("ArrowLeft");
    for (let i = 0; i < 5; i++) await page.keyboard.press("Shift+ArrowLeft");
    await holds(async () =>
      assert.match(
        await page.locator(".plot").getAttribute("aria-valuetext") ?? "",
        /\d+ messages?$/,
      )
    );
    await page.keyboard.press("Enter");
    await lamp(page, "Looking back");
    await page.keyboard.press("Escape");
    await lamp(page, "Live");
    await rowWith(page, "1000").waitFor();
    // Lost: the newest messages, which no longer came into sight when the page went to the past and
    // back before the browser had drawn: it took its own scrolling for the reader's.
    await page.evaluate(`for (const key of ["ArrowLeft", "Enter", "Escape"]) {
      const event = new KeyboardEvent("keydown", { key, bubbles: true, cancelable: true });
      document.activeElement.dispatchEvent(event);
    }`);
    await lamp(page, "Live");
    await rowWith(page, "1000").waitFor();
    pool.append({ n: 1001 });
    await rowWith(page, "1001").waitFor();
    // By hand it leaves the end, and at the end it follows again.
    await page.locator(".list").hover();
    await page.mouse.wheel(0, -500);
    await page.locator(".newest", { hasText: "newer" }).waitFor();
    pool.append({ n: 1002 });
    await page.mouse.wheel(0, 5000);
    await rowWith(page, "1002").waitFor();
    pool.append({ n: 1003 });
    await rowWith(page, "1003").waitFor();
  });

  await step("append: checked as typed, integers unharmed", {}, async ({ server, page }) => {
    const pool = server.client.createPool("shop", 1 << 18);
    await page.goto(`${server.url}/ui/pools/shop`);
    await page.locator(".empty code", { hasText: "plasmite feed shop" }).waitFor();
    await page.keyboard.press("a");
    const data = page.getByLabel("Message, a JSON object");
    await data.fill('{"a": 1,\n "b" 2}');
    await page.locator("#append-note", { hasText: "line 2, column 6" }).waitFor();
    await data.fill("[1]");
    await page.locator("#append-note", { hasText: "JSON object" }).waitFor();
    await data.fill('{"id": -9223372036854775808}');
    await page.getByLabel("Tags, with commas between").fill("one, two words,");
    await data.press("Control+Enter");
    await page.locator("#toast", { hasText: "Appended as #1" }).waitFor();
    const message = pool.get(1);
    assert.deepEqual(message.data, { id: -9223372036854775808n });
    assert.deepEqual(message.tags, ["one", "two words"]);
    await rowWith(page, "-9223372036854775808").waitFor();
  });

  await step("sign-in keeps the token out of addresses and storage", {
    app: { token: "correct-horse" },
  }, async ({ server, page }) => {
    fillPool(server.client.createPool("shop", 1 << 18), 50, MINUTE);
    const urls: string[] = [];
    page.on("request", (request) => urls.push(request.url()));
    const kept = () =>
      page.evaluate(() => JSON.stringify([{ ...localStorage }, { ...sessionStorage }]));
    await page.goto(`${server.url}/ui/pools/shop`);
    const token = page.locator("dialog input[type=password]");
    await token.fill("wrong");
    await token.press("Enter");
    await page.locator("dialog .problem", { hasText: "not accepted" }).waitFor();
    await holds(async () => assert.deepEqual(await serious(page), []));
    await token.fill("correct-horse");
    await token.press("Enter");
    await rowWith(page, "50").waitFor();
    await holds(async () => assert.doesNotMatch(await kept(), /horse/));
    await page.reload();
    await token.waitFor();
    await token.fill("correct-horse");
    await page.getByLabel("Stay signed in").check();
    await token.press("Enter");
    await rowWith(page, "50").waitFor();
    await page.reload();
    await rowWith(page, "50").waitFor();
    await rowOf(page, 50).click();
    await holds(async () =>
      assert.doesNotMatch(await page.locator(".inspector").innerHTML(), /horse/)
    );
    await page.getByRole("button", { name: "Sign out" }).click();
    await token.waitFor();
    await holds(async () => assert.doesNotMatch(await kept(), /horse/));
    assert.deepEqual(urls.filter((url) => /horse|wrong/.test(url)), []);
  });

  await step("read-only shows nothing that writes; write-only says so", {
    app: { access: "read-only" },
  }, async ({ server, page }) => {
    fillPool(server.client.createPool("shop", 1 << 18), 50, MINUTE);
    await page.goto(`${server.url}/ui`);
    await page.locator('[data-pool="shop"]').waitFor();
    await page.keyboard.press("n");
    await holds(async () => assert.equal(await page.locator("dialog").count(), 0));
    await holds(async () => assert.equal(await page.locator('[aria-label^="Delete"]').count(), 0));
    await holds(async () =>
      assert.equal(await page.getByRole("button", { name: "New pool" }).isVisible(), false)
    );
    await page.locator("a.pool").click();
    await rowWith(page, "50").waitFor();
    await page.keyboard.press("a");
    await holds(async () =>
      assert.equal(await page.getByRole("button", { name: "Append" }).count(), 0)
    );
  });

  await step("write-only says what it is", { app: { access: "write-only" } }, async (s) => {
    await s.page.goto(`${s.server.url}/ui`);
    await s.page.locator(".empty", { hasText: "shows none" }).waitFor();
  });

  await step("hostile messages stay text", {}, async ({ server, page }) => {
    const pool = server.client.createPool("shop", 1 << 23);
    let deep: Record<string, unknown> = { end: "bottom" };
    for (let i = 0; i < 26; i++) deep = { deep };
    const long = "x".repeat(1 << 20);
    pool.append({ html: "<img src=x onerror=alert(1)><script>alert(2)</script>" }, [
      "<svg onload=alert(3)>",
      '"},"seq":7,"time":"',
    ]);
    pool.append({ "<b>key</b>": "javascript:alert(4)", __proto__x: 1 });
    pool.append({ long, after: "the long one" }, ["long"]);
    pool.append(deep, ["deep"]);
    pool.append({ bidi: "abc\u202Edcba\u2066x\u2069", zero: "a\u200Bb", nul: "a\u0000b" });
    pool.append({ list: Array.from({ length: 5000 }, (_, i) => i) }, ["wide"]);
    pool.append({ quote: '"},"meta":{"tags":["fake"]},"seq":1,"time":"2020-01-01T00:00:00Z"}' });
    pool.append(JSON.parse('{"__proto__":{"polluted":true},"constructor":1}'), ["proto"]);
    page.on("dialog", () => assert.fail("a script of a message ran"));
    await page.goto(`${server.url}/ui/pools/shop`);
    await rowWith(page, "constructor").waitFor();
    await holds(async () => assert.equal((await rows(page)).length, 8));
    const all = await rows(page);
    assert.ok(all[0]?.includes("<img src=x onerror=alert(1)><script>"));
    assert.ok(all[4]?.includes("abc\\u202edcba\\u2066x\\u2069"), all[4]);
    assert.match(all[6] ?? "", /^7\d\d:/);
    await holds(async () =>
      assert.equal(await page.locator(".row img, .row script, .row svg, .row b").count(), 0)
    );
    const tag = page.locator(".row .tag", { hasText: "<svg onload" });
    await holds(async () => assert.equal(await tag.count(), 1));
    for (let n = 0; n < 8; n++) {
      await page.keyboard.press(n ? "j" : "g");
      if (!n) await page.keyboard.press("Enter");
      const inspector = page.locator(".inspector");
      await inspector.locator("h2", { hasText: `#${n + 1}` }).waitFor();
      for (const name of ["Raw", "Tree"]) await inspector.getByRole("tab", { name }).click();
      if (n === 2) {
        await holds(async () => assert.ok((await inspector.innerText()).length < 10_000));
        await inspector.getByRole("button", { name: "Show 1,046,576 more" }).click();
        await holds(async () =>
          assert.ok((await inspector.locator(".body").textContent() ?? "").length > 1 << 20)
        );
      }
      if (n === 3) {
        await page.evaluate(`for (let shut, i = 0; i < 99; i++) {
          document.querySelector('.inspector .toggle[aria-expanded="false"]')?.click();
        }`);
        await inspector.getByText("bottom").waitFor();
      }
      if (n === 5) await inspector.locator(".toggle", { hasText: "list" }).click();
    }
    await holds(async () =>
      assert.equal(await page.evaluate(() => ({} as { polluted?: boolean }).polluted), undefined)
    );
  });

  await step("keys", {}, async ({ server, page }) => {
    fillPool(server.client.createPool("shop", 1 << 20), 300, MINUTE);
    await page.goto(`${server.url}/ui`);
    await page.locator("a.pool").waitFor();
    await page.keyboard.press("j");
    await page.keyboard.press("Enter");
    await rowWith(page, "300").waitFor();
    await page.keyboard.press("?");
    await page.locator("dialog kbd", { hasText: "space" }).waitFor();
    await page.keyboard.press("Escape");
    await page.keyboard.press("/");
    await holds(async () =>
      assert.equal(await page.evaluate(`document.activeElement?.className`), "where")
    );
    await page.keyboard.type("j k");
    await holds(async () => assert.equal(await page.locator(".where").inputValue(), "j k"));
    await page.locator(".where").fill("");
    await page.keyboard.press("Escape");
    await page.keyboard.press("g");
    await page.keyboard.press("j");
    await page.locator('.row[aria-selected="true"][aria-posinset="2"]').waitFor();
    await page.keyboard.press("k");
    await page.locator('.row[aria-selected="true"][aria-posinset="1"]').waitFor();
    await page.keyboard.press("Shift+G");
    await rowWith(page, "300").waitFor();
    await page.keyboard.press("u");
    await page.locator("a.pool").waitFor();
    await page.goBack();
    await rowWith(page, "300").waitFor();
  });

  for (const [look, context] of looks()) {
    await step(`axe finds nothing serious: ${look}`, { context }, async ({ server, page }) => {
      const pool = server.client.createPool("shop", 1 << 20);
      fillPool(pool, 600, 30 * MINUTE);
      server.client.createPool("empty", 1 << 18);
      await page.goto(`${server.url}/ui`);
      await page.locator('[data-pool="shop"]').waitFor();
      const sound = () => holds(async () => assert.deepEqual(await serious(page), []));
      await sound();
      const wide = () => page.evaluate<number>(`document.documentElement.scrollWidth`);
      const width = page.viewportSize()?.width ?? 0;
      await holds(async () => assert.ok(await wide() <= width, "the overview fits"));
      await page.goto(`${server.url}/ui/pools/shop`);
      await rowWith(page, "600").waitFor();
      await page.waitForTimeout(700);
      await sound();
      await holds(async () => assert.ok(await wide() <= width, "the stream fits"));
      await page.keyboard.press("k");
      await page.keyboard.press("Enter");
      await page.locator(".inspector h2").waitFor();
      await sound();
      await holds(async () => assert.ok(await wide() <= width, "the inspector fits"));
      await page.keyboard.press("Escape");
      await page.keyboard.press("a");
      await page.keyboard.type("{");
      await sound();
      await page.keyboard.press("Escape");
      await page.keyboard.press("?");
      await sound();
      await page.keyboard.press("Escape");
      await page.goto(`${server.url}/ui/pools/empty`);
      await page.locator(".empty h2").waitFor();
      await sound();
    });
  }

  await step("a rush of messages arrives whole, and few elements show it", {}, async (s) => {
    const { server, page } = s;
    const pool = server.client.createPool("shop", 1 << 24);
    await page.goto(`${server.url}/ui/pools/shop`);
    await lamp(page, "Live");
    for (let n = 0; n < 20; n++) {
      for (let i = 0; i < 250; i++) {
        const { data, tags } = story(n * 250 + i);
        pool.append(data, tags);
      }
      await new Promise((done) => setTimeout(done, 40));
    }
    await rowWith(page, "5000").waitFor();
    await holds(async () => {
      const size = await page.locator(".row").first().getAttribute("aria-setsize");
      assert.ok(Number(size) >= 4900);
    });
    await holds(async () => assert.ok(await page.locator(".row").count() < 80));
    await holds(async () => assert.equal(await page.locator(".row.mark").count(), 0));
    await page.keyboard.press("g");
    await until(
      page,
      `document.querySelector('.row[aria-posinset="1"]')?.textContent?.startsWith("1")`,
    );
  });

  await t.step("plasmite serve and plasmite feed as processes, through a restart", async () => {
    const dir = await Deno.makeTempDir({ prefix: "plasmite-ui" });
    const run = (args: string[], env: Record<string, string> = {}) =>
      new Deno.Command(Deno.execPath(), {
        args: ["run", "-A", CLI, "--dir", dir, ...args],
        env,
        stdin: "null",
        stdout: "null",
        stderr: "inherit",
      }).spawn();
    const serve = async (bind: string): Promise<[Deno.ChildProcess, string]> => {
      const ready = `${dir}/ready`;
      await Deno.remove(ready).catch(() => {});
      const child = run(["serve", "--bind", bind], { PLASMITE_SERVE_READY_FILE: ready });
      for (let i = 0; i < 2400; i++) {
        const address = await Deno.readTextFile(ready).catch(() => "");
        if (address) return [child, address];
        await new Promise((done) => setTimeout(done, 25));
      }
      throw new Error("the server did not start");
    };
    const feed = async (n: number): Promise<void> => {
      const { success } = await run(["feed", "jobs", "--create", `{"job":"n${n}"}`]).status;
      assert.ok(success);
    };
    await feed(1);
    let [server, address] = await serve("127.0.0.1:0");
    const context = await browser.newContext();
    context.setDefaultTimeout(PATIENCE_MS);
    const page = await context.newPage();
    const bad = watchPage(page, `http://${address}`);
    try {
      await page.goto(`http://${address}/ui`);
      await page.locator("a.pool", { hasText: "jobs" }).click();
      await rowWith(page, "n1").waitFor();
      await feed(2);
      await rowWith(page, "n2").waitFor();
      server.kill("SIGTERM");
      await server.status;
      await lamp(page, "Reconnecting");
      await feed(3);
      [server, address] = await serve(address);
      await rowWith(page, "n3").waitFor();
      await page.locator(".row.mark", { hasText: "Disconnected for" }).waitFor();
      await holds(async () => assert.equal((await rows(page)).length, 4));
      assert.deepEqual(bad, []);
    } finally {
      server.kill("SIGTERM");
      await server.status;
      await context.close();
      await Deno.remove(dir, { recursive: true });
    }
  });

  await t.step("these tests would notice a violated policy", async () => {
    await using server = new TestServer();
    const page = await browser.newPage();
    page.setDefaultTimeout(PATIENCE_MS);
    const bad = watchPage(page, server.url);
    await page.goto(`${server.url}/ui`);
    await page.evaluate(`document.body.append(Object.assign(document.createElement("script"), {
      textContent: "document.title = 'pwned'",
    }))`);
    await page.evaluate(`document.body.setAttribute("style", "color: red")`);
    await page.evaluate(`fetch("http://127.0.0.1:1/").catch(() => {})`);
    for (const what of ["script-src", "style-src", "connect-src"]) {
      await eventually(() => bad.some((line) => line.includes(what)), () => `${what}: ${bad}`);
    }
    await holds(async () => assert.notEqual(await page.title(), "pwned"));
    await page.close();
  });
});

function looks(): [string, BrowserContextOptions][] {
  const phone = { viewport: { width: 360, height: 740 }, isMobile: true, hasTouch: true };
  return [
    ["desktop", {}],
    ["dark", { colorScheme: "dark" }],
    ["phone", phone],
    ["phone, dark", { ...phone, colorScheme: "dark" }],
  ];
}
