/**
 * The page says what is so: of damage, of pools that are gone, of a server that does not answer.
 *
 * @module
 */

import assert from "node:assert/strict";
import type { Page } from "playwright-core";
import {
  fillPool,
  holds,
  inBrowsers,
  type Scene,
  scene,
  type SceneOptions,
  story,
  until,
} from "../support/browser.ts";
import { spoil } from "../support/damaged_pool.ts";
import { ask, listed, rowOf, rowWith } from "../support/scene.ts";

const MINUTE = 60_000;

/** The rows that exist as elements, top to bottom. */
function rows(page: Page): Promise<string[]> {
  return page.evaluate(`[...document.querySelectorAll(".row:not([hidden])")]
    .sort((a, b) => a.ariaPosInSet - b.ariaPosInSet).map((row) => row.textContent)`);
}

inBrowsers("truth", async (t, browser) => {
  const step = (
    name: string,
    options: SceneOptions,
    play: (scene: Scene) => Promise<void>,
  ): Promise<boolean> => t.step(name, () => scene(browser, options, play));

  const tall = { context: { viewport: { width: 1200, height: 1800 } } };
  await step("what cannot be read is a row, and what lies behind it goes on", tall, async (s) => {
    const { server, page } = s;
    const pool = server.client.createPool("shop", 1 << 20);
    fillPool(pool, 40, MINUTE);
    spoil(`${server.dir}/shop.plasmite`, 28, 29, 30);
    await page.goto(`${server.url}/ui/pools/shop`);
    const mark = page.locator(".row.mark.bad", { hasText: "28 to 30 unreadable" });
    await mark.waitFor();
    await holds(async () => assert.match(await mark.innerText(), /plasmite doctor shop/));
    for (const number of ["27", "31"]) {
      await holds(async () =>
        assert.ok((await rows(page)).some((text) => text.startsWith(number)), number)
      );
    }
    await holds(async () =>
      assert.equal(await page.locator(".row.mark").count(), 1, "no gap is told besides")
    );
    pool.append({ n: "behind the damage" });
    await rowWith(page, "behind the damage").waitFor();
    // A filter does not hide it.
    await page.goto(`${server.url}/ui/pools/shop?where=${encodeURIComponent(".data.ms == 1")}`);
    await mark.waitFor();
    // Nor does a range of the past.
    const range = new URLSearchParams({
      from: new Date(Date.now() - 10 * MINUTE).toISOString(),
      to: new Date(Date.now() + MINUTE).toISOString(),
    });
    await page.goto(`${server.url}/ui/pools/shop?${range}`);
    await page.locator(".pastbar", { hasText: "messages" }).waitFor();
    await mark.waitFor();
  });

  await step("a pool that cannot be opened is called damaged, not silent", {}, async (s) => {
    const { server, page } = s;
    const path = `${server.dir}/broken.plasmite`;
    server.client.createPool("good").append({ n: "repaired" });
    await Deno.writeTextFile(path, "not a pool");
    await page.goto(`${server.url}/ui/pools/broken`);
    await page.locator(".empty h2", { hasText: "The pool is damaged" }).waitFor();
    await holds(async () =>
      assert.match(await page.locator(".empty").innerText(), /plasmite doctor broken/)
    );
    await page.locator(".lamp", { hasText: "Damaged" }).waitFor();
    await holds(async () =>
      assert.doesNotMatch(await page.locator("body").innerText(), /does not answer/)
    );
    // It is there again when it has been repaired.
    await Deno.copyFile(`${server.dir}/good.plasmite`, path);
    await rowWith(page, "repaired").waitFor();
  });

  // Lost: what was listed, to a filter that turns out to be too much for one of the messages.
  await step("a filter that fails while it is evaluated leaves the former one", {}, async (s) => {
    const { server, page } = s;
    const pool = server.client.createPool("shop", 1 << 20);
    for (let n = 1; n <= 50; n++) pool.append({ n });
    server.client.createPool("mail", 1 << 20).append({ n: 1 });
    const endless = "if .data.n == 30 then last(range(1e12)) > 0 else true end";
    const where = (text: string) =>
      until(page, `new URLSearchParams(location.search).get("where") === ${JSON.stringify(text)}`);
    const failed = page.locator(".search .note.problem", { hasText: "jq may compute" });
    await page.goto(`${server.url}/ui/pools/shop?where=${encodeURIComponent(".data.n <= 40")}`);
    await listed(page, 40);
    await ask(page, endless);
    await failed.waitFor();
    await listed(page, 40);
    await where(".data.n <= 40");
    await holds(async () => assert.equal(await page.locator(".where").inputValue(), endless));
    await page.locator(".lamp", { hasText: "Live" }).waitFor();
    pool.append({ n: 40 });
    pool.append({ n: 41 });
    pool.append({ n: 39 });
    await listed(page, 42);
    // Nor is a history entry left of it.
    await ask(page, ".data.n <= 10");
    await listed(page, 10);
    await page.goBack();
    await where(".data.n <= 40");
    await listed(page, 42);
    // In a link there is none before it: what has come stays.
    await page.goto(`${server.url}/ui/pools/shop?where=${encodeURIComponent(endless)}`);
    await failed.waitFor();
    await listed(page, 29);
    // As of one pool, so of several, and of the past.
    await page.goto(`${server.url}/ui/pools/shop,mail`);
    await listed(page, 54);
    await ask(page, endless);
    await failed.waitFor();
    await listed(page, 54);
    const range = new URLSearchParams({
      from: new Date(Date.now() - 10 * MINUTE).toISOString(),
      to: new Date(Date.now() + MINUTE).toISOString(),
      where: ".data.n <= 40",
    });
    await page.goto(`${server.url}/ui/pools/shop?${range}`);
    await listed(page, 42);
    await ask(page, endless);
    await failed.waitFor();
    await where(".data.n <= 40");
    await listed(page, 42);
  });

  await step("a stopped server dims what is old", {}, async ({ server, page }) => {
    fillPool(server.client.createPool("shop", 1 << 20), 30, MINUTE);
    await page.goto(`${server.url}/ui/pools/shop`);
    await rowWith(page, "30").waitFor();
    await holds(async () => assert.equal(await page.locator(".stale").count(), 0));
    await page.locator(".inspector").waitFor({ state: "attached" });
    await server.stop();
    await page.locator("main.stale").waitFor();
    await page.locator(".lamp", { hasText: "Reconnecting" }).waitFor();
    // What is listed can still be read in full.
    await rowOf(page, 29).click();
    await page.locator(".inspector h2", { hasText: "#29" }).waitFor();
    server.start();
    await page.locator("main:not(.stale)").waitFor();
  });

  await step(
    "a missing pool can be created; a deleted one takes and gives nothing",
    {},
    async (s) => {
      const { server, page } = s;
      await page.goto(`${server.url}/ui/pools/${encodeURIComponent("not yet")}`);
      const tool = (name: string) => page.locator(".tools").getByRole("button", { name }).first();
      const create = page.getByRole("button", { name: "Create not yet" });
      await create.waitFor();
      // What is drawn again and again leaves the buttons where they are: a click on one is not lost.
      const buttons =
        `[document.querySelector(".empty button"), document.querySelector(".pause span")]`;
      await page.evaluate(`globalThis.before = ${buttons}`);
      await page.waitForTimeout(1200);
      assert.ok(
        await page.evaluate(`${buttons}.every((one, i) => one !== null && one === before[i])`),
      );
      await holds(async () => assert.ok(await tool("Append").isDisabled()));
      await create.click();
      await page.locator(".empty h2", { hasText: "No messages yet" }).waitFor();
      for (const name of ["Append", "Pause", "Export"]) {
        await holds(async () => assert.ok(await tool(name).isEnabled(), name));
      }
      using pool = server.client.pool("not yet");
      pool.append({ n: "first" });
      await rowWith(page, "first").waitFor();
      await tool("Append").click();
      await page.locator("form.append").waitFor();
      await Deno.remove(`${server.dir}/not yet.plasmite`);
      await page.locator(".lamp", { hasText: "Waiting for the pool" }).waitFor();
      for (const name of ["Append", "Pause", "Export"]) {
        await holds(async () => assert.ok(await tool(name).isDisabled(), name));
      }
      await holds(async () => assert.ok(await page.locator("form.append").isHidden()));
      await page.keyboard.press("a");
      await holds(async () => assert.ok(await page.locator("form.append").isHidden()));
    },
  );

  await step("a pool is deleted by its name; a double-click deletes nothing", {}, async (s) => {
    const { server, page } = s;
    for (const name of ["keep", "keep too"]) {
      server.client.createPool(name).close();
    }
    await page.goto(`${server.url}/ui`);
    const trash = page.getByRole("button", { name: "Delete keep", exact: true });
    await trash.dblclick();
    const go = page.locator("dialog .danger");
    await go.waitFor();
    await holds(async () => assert.ok(await go.isDisabled()));
    const typed = page.locator("dialog input[name=name]");
    await typed.fill("keep too");
    await holds(async () => assert.ok(await go.isDisabled(), "the name of another pool"));
    await page.keyboard.press("Enter");
    assert.equal(server.client.listPools().length, 2);
    await typed.fill("keep");
    await go.click();
    await page.getByRole("button", { name: "Delete keep", exact: true }).waitFor({
      state: "detached",
    });
    assert.deepEqual(server.client.listPools().map(({ name }) => name), ["keep too"]);
  });

  await step("a refused filter changes nothing but its own note", {}, async ({ server, page }) => {
    fillPool(server.client.createPool("shop", 1 << 20), 60, MINUTE);
    await page.goto(`${server.url}/ui/pools/shop`);
    const box = page.locator("input.where");
    await box.fill('.data.level == "info"');
    await page.keyboard.press("Enter");
    await page.locator(".row", { hasText: "upstream timed out" }).waitFor({ state: "detached" });
    const all = Array.from({ length: 60 }, (_, i) => story(i));
    await listed(page, all.filter(({ data }) => data["level"] === "info").length);
    const before = await rows(page);
    const address = page.url();
    await box.fill(".data.level ==");
    await page.keyboard.press("Enter");
    await page.locator(".note.problem").waitFor();
    await holds(async () => assert.equal(await box.getAttribute("aria-invalid"), "true"));
    await holds(async () => assert.deepEqual(await rows(page), before));
    await holds(() => assert.equal(page.url(), address, "the former filter stands"));
  });
});
