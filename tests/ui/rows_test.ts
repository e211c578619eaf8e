/**
 * Rows of the page: what they say, how wide their columns are, wrapping and density.
 *
 * @module
 */

import assert from "node:assert/strict";
import type { Page } from "playwright-core";
import type { Pool } from "../../lib/client/pool.ts";
import {
  holds,
  inBrowsers,
  rested,
  type Scene,
  scene,
  type SceneOptions,
  until,
} from "../support/browser.ts";
import { listed, rowWith } from "../support/scene.ts";

const LONG = "GET /api/v1/users/8841/orders?limit=20 ".repeat(6);
const HOST = "ip-10-0-1-7.eu-central-1.compute.internal";

/** Messages with up to eight long tags, long texts and hosts, some of them trouble. */
function fill(pool: Pool, count: number): void {
  for (let i = 0; i < count; i++) {
    const tags = Array.from({ length: i % 9 }, (_, k) => `env:prod-${(i * 7 + k * 31) % 180}`);
    if (i % 10 === 3) tags.push("error");
    const level = i % 10 === 6 ? "warn" : "info";
    pool.append({ n: i, msg: LONG.slice(0, 20 + i * 17 % 200), level, host: HOST }, tags);
  }
}

/** Pins fields as columns and shows the pool. */
async function open(page: Page, url: string, pins: string[]): Promise<void> {
  const fields = JSON.stringify(pins.map((pin) => [pin]));
  // Before the page there is an empty one, which has no storage.
  await page.addInitScript(`if (location.protocol === "http:") {
    localStorage.setItem("plasmite-pins:p", '${fields}');
  }`);
  await page.goto(`${url}/ui/pools/p`);
  await page.locator(".row:not([hidden]) .data").first().waitFor();
}

/** Cells of rows and head that reach into the next one, or out of their row. */
const OVERLAPS =
  `[...document.querySelectorAll(".row:not([hidden], .mark), .cells")].flatMap((row) => {
  const cells = [...row.children].filter((cell) => cell.getClientRects().length);
  const boxes = cells.map((cell) => cell.getBoundingClientRect());
  return boxes.flatMap((a, i) =>
    boxes.slice(i + 1).filter((b) =>
      a.left < b.right - .5 && b.left < a.right - .5 && a.top < b.bottom - .5 && b.top < a.bottom - .5
    ).map((b) => row.className + ": " + cells[i].className + " over " + b.left));
})`;

/** Tags of which less than three characters are seen, as [tag, characters]. */
const SQUEEZED =
  `[...document.querySelectorAll(".row .tag")].filter((tag) => tag.getClientRects().length)
  .map((tag) => {
    const cell = tag.closest(".tags").getBoundingClientRect(), box = tag.getBoundingClientRect();
    const end = Math.min(box.right - parseFloat(getComputedStyle(tag).paddingRight) + 1, cell.right);
    const text = tag.firstChild, range = document.createRange();
    let seen = 0;
    for (let i = 0; i < text.length; i++) {
      range.setStart(text, i), range.setEnd(text, i + 1);
      if (range.getBoundingClientRect().right <= end) seen++;
    }
    // An ellipsis takes the place of a character.
    if (tag.scrollWidth > tag.clientWidth) seen--;
    return [tag.textContent, seen, text.length];
  }).filter(([tag, seen, length]) => seen < Math.min(3, length))`;

const width = (page: Page, column: string): Promise<number> =>
  page.evaluate(`document.querySelector(".cells .${column}").getBoundingClientRect().width`);

inBrowsers("rows of messages", async (t, browser, browserName) => {
  const step = (
    name: string,
    options: SceneOptions,
    play: (scene: Scene) => Promise<void>,
  ): Promise<boolean> => t.step(name, () => scene(browser, options, play));

  await step("the text of the message comes first, and colour is for trouble", {}, async (s) => {
    const { server, page } = s;
    const pool = server.client.createPool("p", 1 << 18);
    pool.append({ level: "info", n: 1, msg: "all quiet" }, ["web"]);
    pool.append({ level: "error", n: 2, msg: "all lost" }, ["web"]);
    pool.append({ n: 3, text: "half lost" }, ["warn"]);
    await open(page, server.url, []);
    await holds(async () =>
      assert.deepEqual(await page.locator(".row:not([hidden]) .data").allTextContents(), [
        "all quiet  level info  n 1",
        "all lost  level error  n 2",
        "half lost  n 3",
      ])
    );
    await holds(async () => {
      const colours = await page.evaluate<string[][]>(
        `[...document.querySelectorAll(".row:not([hidden])")]
      .map((row) => [".data b", ".tag"].map((what) => getComputedStyle(row.querySelector(what)).color)
        .concat(getComputedStyle(row).borderLeftColor, getComputedStyle(row).color))`,
      );
      const [quiet = [], lost = [], half = []] = colours;
      assert.equal(quiet[0], quiet[3], "a text without trouble has the colour of all text");
      assert.equal(lost[0], lost[2], "an error is marked at its edge in its own colour");
      assert.equal(half[0], half[1], "a warning tag has the colour of its text");
      assert.equal(new Set([quiet[0], lost[0], half[0]]).size, 3);
      assert.equal(quiet[1], lost[1], "other tags are grey");
    });
  });

  for (
    const [w, h] of [[390, 844], [390, 400], [640, 400], [844, 390], [1200, 800], [1920, 1080]]
  ) {
    const viewport = { width: w ?? 0, height: h ?? 0 };
    await step(
      `${w} × ${h}: no cell over another, three characters of a tag or +n`,
      { context: { viewport } },
      async ({ server, page }) => {
        fill(server.client.createPool("p", 1 << 20), 300);
        await open(page, server.url, ["level", "msg", "host"]);
        await listed(page, 300);
        await page.locator(".row .tag.others").first().waitFor();
        await holds(async () => assert.deepEqual(await page.evaluate(OVERLAPS), []));
        await holds(async () => assert.deepEqual(await page.evaluate(SQUEEZED), []));
        await holds(async () =>
          assert.equal(
            await page.evaluate(`document.documentElement.scrollWidth`),
            viewport.width,
            "the page itself is not wider than the screen",
          )
        );
        // Only Chromium tells what screen readers are told.
        if (browserName !== "chromium") return;
        // What the tags leave out is in the name of the row, with the names of its columns.
        const row = page.locator(".row:not([hidden]):has(.others)").first();
        const session = await page.context().newCDPSession(page);
        const tag = "(?:error|env:prod-\\d+)";
        const shape =
          `^\\d+ at [\\d:.]+ tags (?:${tag} ?, )*\\+\\d+ ${tag}(?:, ${tag})* .*(?:info|warn)`;
        // Its tree of names follows the page in its own time.
        await holds(async () => {
          const { nodes } = await session.send("Accessibility.getFullAXTree");
          const number = await row.locator(".seq").textContent();
          const name = nodes.map(({ name }) => String(name?.value ?? ""))
            .find((name) => name.startsWith(`${number} at `));
          assert.match(name ?? "", new RegExp(shape));
        });
      },
    );
  }

  await step("widths: dragged, by keys, made to fit, kept", {}, async ({ server, page }) => {
    const pool = server.client.createPool("p", 1 << 20);
    for (let n = 0; n < 40; n++) pool.append({ n, msg: LONG.slice(0, 100), host: HOST }, ["a"]);
    await open(page, server.url, ["msg", "host"]);
    await listed(page, 40);
    await rested(page, ".cells .cell");
    const cell = page.locator(".row .cell").first();
    const hidden = () =>
      page.evaluate(`document.querySelector(".row:not([hidden]) .cell").scrollWidth -
        document.querySelector(".row:not([hidden]) .cell").clientWidth`);
    const before = await width(page, "cell");
    assert.ok(before > 14 * 8, "a column is as wide as its texts need, where there is room");
    const handle = page.getByRole("separator", { name: "Width of the column msg" });
    const box = await handle.boundingBox();
    assert.ok(box);
    await page.mouse.move(box.x + 6, box.y + 10);
    await page.mouse.down();
    await page.mouse.move(box.x + 106, box.y + 10, { steps: 5 });
    await page.mouse.up();
    const near = (wanted: number): string =>
      `Math.abs(document.querySelector(".row:not([hidden]) .cell").clientWidth - ${wanted}) < 6`;
    await until(page, near(before + 100));
    await holds(async () =>
      assert.equal(
        await width(page, "cell"),
        await cell.evaluate((e) => e.getBoundingClientRect().width),
      )
    );
    await page.reload();
    await until(page, near(before + 100));
    // By keys alone: to the handle, narrower, to the least, to what fits.
    await handle.focus();
    await page.keyboard.press("Shift+ArrowLeft");
    await until(
      page,
      `document.querySelector(".row:not([hidden]) .cell").clientWidth < ${before + 60}`,
    );
    await page.keyboard.press("Home");
    await until(page, `document.querySelector(".row:not([hidden]) .cell").clientWidth < 60`);
    await holds(async () => assert.equal(await handle.getAttribute("aria-valuenow"), "4"));
    await holds(async () => assert.deepEqual(await page.evaluate(OVERLAPS), []));
    await page.keyboard.press("Enter");
    await until(page, `document.querySelector(".row:not([hidden]) .cell").clientWidth > 700`);
    await holds(async () => assert.equal(await hidden(), 0, "the whole text is seen"));
    await holds(async () => assert.deepEqual(await page.evaluate(OVERLAPS), []));
    // Columns beyond the edge are reached, and the head moves with them.
    await holds(async () =>
      assert.ok(
        await page.evaluate(`(list => (list.scrollLeft = 9999, list.scrollLeft > 0))(
      document.querySelector(".list"))`),
      )
    );
    await until(
      page,
      `document.querySelector(".head").scrollLeft ===
      document.querySelector(".list").scrollLeft`,
    );
    await page.reload();
    await until(page, `document.querySelector(".row:not([hidden]) .cell").clientWidth > 700`);
    await page.getByRole("button", { name: "Columns" }).click();
    await page.getByRole("button", { name: "Fit all widths" }).click();
    await page.keyboard.press("Escape");
    await until(page, near(before));
  });

  await step("wrapped rows show all of their text, from the very first to the very last", {
    context: { viewport: { width: 1000, height: 600 } },
  }, async ({ server, page }) => {
    const pool = server.client.createPool("p", 1 << 22);
    fill(pool, 3000);
    await open(page, server.url, []);
    await page.getByRole("button", { name: "Columns" }).click();
    await page.getByLabel("Wrap long lines").check();
    await page.keyboard.press("Escape");
    await page.locator(".wrapped .row").first().waitFor();
    const cut = `[...document.querySelectorAll(".row:not([hidden]) .data")]
      .filter((cell) => cell.scrollWidth > cell.clientWidth).length`;
    await until(page, `${cut} === 0`);
    const STACKED = `(() => {
      const list = document.querySelector(".list").getBoundingClientRect();
      const boxes = [...document.querySelectorAll(".row:not([hidden])")]
        .sort((a, b) => a.ariaPosInSet - b.ariaPosInSet)
        .map((row) => ({ at: Number(row.ariaPosInSet), top: row.getBoundingClientRect().top - list.top,
          bottom: row.getBoundingClientRect().bottom - list.top }));
      const seen = boxes.filter(({ top, bottom }) => bottom > 0 && top < list.height);
      const holes = boxes.filter((box, i) => i > 0 && Math.abs(box.top - boxes[i - 1].bottom) > 1);
      return { first: seen[0], last: seen.at(-1), holes: holes.length, height: list.height };
    })()`;
    interface Stacked {
      first: { at: number; top: number };
      last: { at: number; bottom: number };
      holes: number;
      height: number;
    }
    const stacked = () => page.evaluate<Stacked>(STACKED);
    await holds(async () => {
      const end = await stacked();
      assert.equal(end.last.at, 3000);
      assert.ok(Math.abs(end.last.bottom - end.height) < 2, JSON.stringify(end));
    });
    await page.locator(".list").focus();
    await page.keyboard.press("g");
    await until(page, `${STACKED}.first.at === 1`);
    await holds(async () => {
      const start = await stacked();
      assert.ok(Math.abs(start.first.top) < 2, JSON.stringify(start));
    });
    // Line by line, with every row whole on screen when it is selected, in both directions.
    const WHOLE = `(() => {
      const list = document.querySelector(".list").getBoundingClientRect();
      const row = document.querySelector('.row[aria-selected="true"]')?.getBoundingClientRect();
      return row !== undefined && row.top > list.top - 2 && row.bottom < list.bottom + 2;
    })()`;
    for (let n = 2; n <= 60; n++) {
      await page.keyboard.press("j");
      await page.locator(`.row[aria-selected="true"][aria-posinset="${n}"]`).waitFor();
      await until(page, WHOLE);
    }
    for (let n = 59; n >= 30; n--) {
      await page.keyboard.press("k");
      await page.locator(`.row[aria-selected="true"][aria-posinset="${n}"]`).waitFor();
      await until(page, WHOLE);
    }
    // Scrolled back, what is read stays where it is while messages arrive.
    await page.evaluate(`document.querySelector(".list").scrollTop = 9000`);
    await until(page, `${STACKED}.first.at > 100`);
    await rested(page, ".row:not([hidden])");
    const read = await stacked();
    for (let n = 0; n < 300; n++) pool.append({ n, msg: "further" });
    await until(
      page,
      `document.querySelector(".newest:not([hidden])")?.textContent.includes("newer") &&
      Number(document.querySelector(".row:not([hidden])").ariaSetSize) > 0`,
    );
    await page.waitForTimeout(300);
    await holds(async () => {
      const after = await stacked();
      assert.equal(after.first.at, read.first.at);
      assert.ok(Math.abs(after.first.top - read.first.top) < 2);
      assert.equal(after.holes + read.holes, 0);
    });
    await page.keyboard.press("Shift+G");
    await until(page, `${STACKED}.last.at === 3300`);
  });

  await step("density changes how many rows there are, and is kept", {}, async (s) => {
    const { server, page } = s;
    fill(server.client.createPool("p", 1 << 20), 300);
    await open(page, server.url, []);
    const height = `document.querySelector(".row:not([hidden])").getBoundingClientRect().height`;
    await until(page, `${height} === 24`);
    await page.keyboard.press("c");
    await page.getByLabel("Compact").check();
    await until(page, `${height} === 20`);
    await page.getByLabel("Roomy").check();
    await until(page, `${height} === 32`);
    await page.reload();
    await rowWith(page, "env").waitFor();
    await until(page, `${height} === 32`);
  });
});
