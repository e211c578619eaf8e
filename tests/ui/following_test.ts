/**
 * Following and pressing, in real browsers against a real server: what the reader does counts, not
 * what the page does by itself meanwhile.
 *
 * @module
 */

import assert from "node:assert/strict";
import type { Locator, Page } from "playwright-core";
import type { MessageList, Row } from "../../server/ui/list.js";
import { Rows } from "../../server/ui/rows.js";
import {
  fillPool,
  holds,
  inBrowsers,
  type Scene,
  scene,
  type TestServer,
  until,
} from "../support/browser.ts";
import { ask, hold, listed, numbers, rowOf } from "../support/scene.ts";

const MINUTE = 60_000;

// Lost: a replay, which ended as soon as the next messages of its range had been read.
Deno.test("rows that are still read wait for their turn in a replay", () => {
  const list = { rows: [] as Row[], length: 0, draw: () => {} };
  const rows = new Rows(list as unknown as MessageList);
  const note = (t: number): Row => ({ kind: "note", text: "", t });
  rows.add([note(1), note(2)]);
  assert.equal(list.length, 2);
  list.length = 1;
  rows.add([note(3)]);
  assert.deepEqual([list.length, list.rows.length], [1, 3]);
});

/** A pool with so many messages. */
function shop({ client }: TestServer, count: number, name = "shop") {
  const pool = client.createPool(name, 1 << 22);
  fillPool(pool, count, MINUTE);
  return pool;
}

/** Waits until the numbers of the pool, and with them all controls, were drawn with so many messages. */
const counted = (page: Page, count: number) =>
  page.locator(".facts", { hasText: new RegExp(`Messages${count.toLocaleString("en-US")} `) })
    .waitFor();

/** Presses an element, and lets go after something has happened. */
async function press(page: Page, target: Locator, happen: () => Promise<void>): Promise<void> {
  await target.hover();
  await page.mouse.down();
  await happen();
  await page.mouse.up();
}

/** Follows, as the next message shows. */
async function follows(page: Page, append: () => number): Promise<void> {
  await page.locator(".newest").waitFor({ state: "hidden" });
  await rowOf(page, append()).waitFor();
}

/** Wants to go somewhere, and gives up once it has been asked for. */
async function goTo(page: Page, where: string, asked: Promise<unknown>): Promise<void> {
  await page.keyboard.press(":");
  await page.locator("dialog input").fill(where);
  await page.keyboard.press("Enter");
  await asked;
  await page.keyboard.press("Escape");
  await page.locator("dialog").waitFor({ state: "detached" });
}

const scrollTo = (page: Page, top: number) =>
  page.evaluate(`document.querySelector(".list").scrollTop = ${top}`);
const scrolledTo = (page: Page, top: number) =>
  until(page, `Math.abs(document.querySelector(".list").scrollTop - ${top}) < 1`);

inBrowsers("following", async (t, browser) => {
  const step = (name: string, play: (scene: Scene) => Promise<void>): Promise<boolean> =>
    t.step(name, () => scene(browser, {}, play));

  // Lost: the click of everybody who presses while messages arrive. A browser gives it to nobody
  // where what was pressed is drawn anew, or moves, before it is let go.
  await step("what is pressed while messages arrive is clicked", async ({ server, page }) => {
    const pool = shop(server, 225);
    const append = () => Number(pool.append({ further: true }, ["checkout"]).seq);
    await page.goto(`${server.url}/ui/pools/shop`);
    await rowOf(page, 225).waitFor();
    await page.keyboard.press("g");
    await page.locator(".newest", { hasText: "newer" }).waitFor();
    await press(page, page.locator(".newest"), async () => {
      for (let n = 0; n < 5; n++) append();
      await counted(page, 230);
    });
    await rowOf(page, 230).waitFor();
    await follows(page, append);

    await page.keyboard.press("Space");
    await counted(page, append());
    await page.locator(".pause", { hasText: "1 waiting" }).waitFor();
    await press(page, page.locator(".pause span").last(), async () => {
      append();
      await counted(page, append());
    });
    await page.locator(".lamp", { hasText: "Live" }).waitFor();
    await follows(page, append);

    const last = append();
    await press(page, rowOf(page, last - 3).locator(".data"), async () => {
      for (let n = 0; n < 30; n++) append();
      await counted(page, last + 30);
    });
    await page.locator(".inspector h2", { hasText: `#${last - 3}` }).waitFor();
    // It stays in sight, and what was drawn late is there.
    await listed(page, last + 30);
    await holds(async () => assert.ok((await numbers(page)).includes(last - 3)));
    await page.keyboard.press("Escape");

    await press(page, page.locator(".chip", { hasText: "checkout" }), async () => {
      // The chips are drawn more often than the numbers.
      for (let n = 0; n < 2; n++) await counted(page, append());
    });
    await until(page, `location.search === "?tag=checkout"`);
  });

  // Lost: where the keyboard was, to what was drawn after one had thought better of a click.
  await step("what was pressed while it was to be drawn keeps the focus", async (s) => {
    const { server, page } = s;
    const pool = shop(server, 60);
    await page.goto(`${server.url}/ui/pools/shop?chart=.data.ms`);
    const line = page.locator(".chart-table button").first();
    await line.evaluate((element) => element.dataset["old"] = "1");
    await press(page, line, async () => {
      // The chart is drawn more often than the numbers.
      for (let n = 0; n < 2; n++) await counted(page, Number(pool.append({ ms: 1 }).seq));
      await page.mouse.move(0, 0);
    });
    await page.locator("[data-old]").waitFor({ state: "detached" });
    await until(page, `document.activeElement.matches(".chart-table button")`);
  });

  // Lost: a pool one wanted to see, to another one that became busier.
  await step("a pool that is pressed while the list is sorted is opened", async (s) => {
    const { server, page } = s;
    const few = shop(server, 10, "few");
    shop(server, 20, "many");
    await page.goto(`${server.url}/ui?sort=-messages`);
    await page.locator('[data-pool="few"][aria-rowindex="3"]').waitFor();
    const asked = () => page.waitForResponse(/\/v0\/ui\/pools/);
    await press(page, page.locator('[data-pool="few"] a'), async () => {
      for (let n = 0; n < 50; n++) few.append({ n });
      // What came before the last answer has been drawn.
      for (let n = 0; n < 3; n++) await asked();
    });
    await until(page, `location.pathname === "/ui/pools/few"`);
    await rowOf(page, 60).waitFor();
  });

  // Lost: what one reads, when the page scrolls on because one has not scrolled back far enough.
  await step("a little back is back, and at the end it follows", async ({ server, page }) => {
    const pool = shop(server, 300);
    const append = () => Number(pool.append({ further: true }).seq);
    await page.goto(`${server.url}/ui/pools/shop`);
    await rowOf(page, 300).waitFor();
    await page.locator(".list").hover();
    await page.mouse.wheel(0, -6);
    await page.locator(".newest").waitFor();
    // It is said before the list has scrolled, which takes some frames.
    await until(
      page,
      `(async () => {
        const list = document.querySelector(".list");
        const at = list.scrollTop;
        await new Promise((done) => setTimeout(done, 400));
        return list.scrollTop === at && list.scrollHeight - list.clientHeight - at > 1;
      })()`,
    );
    const before = await page.evaluate<number>(`document.querySelector(".list").scrollTop`);
    for (let n = 0; n < 5; n++) append();
    await page.locator(".newest", { hasText: "newer" }).waitFor();
    await scrolledTo(page, before);
    await page.mouse.wheel(0, 5000);
    await follows(page, append);
    // Less room, or more, is no wish.
    for (const height of [500, 900, 800]) {
      await page.setViewportSize({ width: 1200, height });
      await follows(page, append);
    }
    // Nor is what was turned before the reader went to the end, and comes late. The driver of Firefox
    // does not wait for the event of a wheel; one that comes after the key is a new wish.
    await page.evaluate(
      `addEventListener("wheel", () => globalThis.turned = true, {capture: true})`,
    );
    for (let n = 0; n < 6; n++) {
      for (let turns = 0; turns < 2; turns++) {
        await page.evaluate("globalThis.turned = false");
        await page.mouse.wheel(0, -2000);
        await until(page, "globalThis.turned");
      }
      await page.keyboard.press("Shift+G");
      await follows(page, append);
    }
    // Line by line down to the last one.
    await page.keyboard.press("Home");
    await page.locator(".newest").waitFor();
    await page.keyboard.press("Shift+G");
    await page.keyboard.press("k");
    await page.keyboard.press("k");
    await page.locator(".newest").waitFor();
    await page.keyboard.press("PageDown");
    await follows(page, append);
  });

  // Lost: the message of a link, when others arrive.
  await step("a message near the end that was asked for stays in sight", async (s) => {
    const { server, page } = s;
    const pool = shop(server, 300);
    await page.goto(`${server.url}/ui/pools/shop?seq=290`);
    await page.locator(".inspector h2", { hasText: "#290" }).waitFor();
    await holds(async () => assert.ok((await numbers(page)).includes(300)));
    for (let n = 0; n < 100; n++) pool.append({ n });
    await listed(page, 400);
    await counted(page, 400);
    await holds(async () => assert.ok((await numbers(page)).includes(290)));
    await page.locator(".newest", { hasText: "newer" }).waitFor();
  });

  // Lost: the newest messages, to older ones that come late.
  await step("older rows that come late leave who went to the end there", async (s) => {
    const { server, page } = s;
    const pool = shop(server, 3000);
    await page.goto(`${server.url}/ui/pools/shop?n=100`);
    await rowOf(page, 3000).waitFor();
    const { asked, release } = await hold(page, /\/events\?.*since_seq=1901/);
    await page.keyboard.press("Home");
    await page.locator(".older").click();
    await asked;
    await page.locator(".newest").click();
    release();
    await listed(page, 1100);
    await follows(page, () => Number(pool.append({ further: true }).seq));

    // They are no news for whoever has gone to the oldest of all meanwhile.
    const more = await hold(page, /\/events\?.*since_seq=901/);
    await page.keyboard.press("Home");
    await page.locator(".older").click();
    await more.asked;
    await page.keyboard.press("g");
    await page.locator(".pastbar small", { hasText: /^ 3,001 messages$/ }).waitFor();
    await listed(page, 3001);
    assert.equal(await page.locator("#toast.show").count(), 0);
    more.release();
  });

  // Lost: what arrives after one has looked at the oldest message.
  await step("newest is newest also after the oldest", async ({ server, page }) => {
    const pool = shop(server, 3000);
    await page.goto(`${server.url}/ui/pools/shop?n=100`);
    await rowOf(page, 3000).waitFor();
    await page.keyboard.press("g");
    await page.locator(".pastbar small", { hasText: "3,000 messages" }).waitFor();
    await page.locator(".newest", { hasText: "newer" }).click();
    await page.locator(".pastbar").waitFor({ state: "hidden" });
    await follows(page, () => Number(pool.append({ further: true }).seq));
  });

  // Lost: the end, to a message that one had asked for before, whose answer comes late.
  await step("what was asked for last is what is shown", async ({ server, page }) => {
    const pool = shop(server, 300);
    const append = () => Number(pool.append({ further: true }).seq);
    for (let n = 0; n < 100; n++) append();
    await page.goto(`${server.url}/ui/pools/shop?where=.data.further`);
    await listed(page, 100);
    const { asked, release } = await hold(page, /since_seq=5&until=5/);
    await page.evaluate(`document.querySelector(".list").focus()`);
    await goTo(page, "5", asked);
    await page.keyboard.press("Shift+G");
    const answered = page.waitForResponse(/since_seq=5&until=5/);
    release();
    await answered;
    await follows(page, append);
    await counted(page, append());
    await holds(async () => assert.ok((await numbers(page)).includes(402)));
    assert.equal(await page.locator(".inspector:not([hidden])").count(), 0);

    // Nor to one that does not match, and is shown all the same: it is asked for once more.
    const besides = await hold(page, /since_seq=6&until=6$/);
    await goTo(page, "6", besides.asked);
    await page.keyboard.press("Shift+G");
    const shown = page.waitForResponse(/since_seq=6&until=6$/);
    besides.release();
    await shown;
    await counted(page, append());
    await holds(async () => assert.ok((await numbers(page)).includes(403)));
    assert.equal(await page.locator(".inspector:not([hidden])").count(), 0);

    // Whoever asks for something else has left, too.
    const former = await hold(page, /since_seq=7&until=7/);
    await goTo(page, "7", former.asked);
    await ask(page, ".data.further != null");
    await listed(page, 103);
    former.release();
    await counted(page, append());
    await listed(page, 104);
    assert.equal(await page.locator(".inspector:not([hidden])").count(), 0);

    // So has whoever chooses a row.
    const before = await hold(page, /since_seq=8&until=8/);
    await goTo(page, "8", before.asked);
    await page.keyboard.press("k");
    before.release();
    await counted(page, append());
    await listed(page, 105);
    assert.equal(await page.locator('.row[aria-selected="true"]').count(), 1);
    assert.equal(await page.locator(".inspector:not([hidden])").count(), 0);
  });

  // Lost: the end, to the oldest message or to the first one at a time, when the answer comes late.
  await step("who has gone to the end stays there", async ({ server, page }) => {
    const pool = shop(server, 3000);
    await page.goto(`${server.url}/ui/pools/shop?n=100`);
    await rowOf(page, 3000).waitFor();
    const around = await hold(page, /since_seq=6&max=300/);
    await goTo(page, "5", around.asked);
    await page.keyboard.press("End");
    around.release();
    await page.locator(".pastbar small", { hasText: /^ 305 messages$/ }).waitFor();
    await rowOf(page, 305).waitFor();
    assert.equal(await page.locator('.row[aria-selected="true"]').count(), 0);
    await page.keyboard.press("Shift+G");
    await rowOf(page, 3000).waitFor();

    const first = await hold(page, /[?&]since=.*max=1/);
    await goTo(page, "30s", first.asked);
    await page.keyboard.press("Shift+G");
    const answered = page.waitForResponse(/[?&]since=.*max=1/);
    first.release();
    await answered;
    const append = () => Number(pool.append({ further: true }).seq);
    await counted(page, append());
    await follows(page, append);

    const whole = await hold(page, /\/events\?no_follow=1$/);
    await page.keyboard.press("g");
    await whole.asked;
    await page.keyboard.press("End");
    whole.release();
    await page.locator(".pastbar small", { hasText: /^ 3,002 messages$/ }).waitFor();
    await rowOf(page, 3002).waitFor();
    assert.equal(await page.locator('.row[aria-selected="true"]').count(), 0);
  });

  // Lost: the place one was at, for a mistake in a filter.
  await step("a filter that is refused leaves the reader where they were", async (s) => {
    const { server, page } = s;
    shop(server, 300);
    await page.goto(`${server.url}/ui/pools/shop`);
    await rowOf(page, 300).waitFor();
    await scrollTo(page, 1200);
    await page.locator(".newest", { hasText: "newer" }).waitFor();
    await ask(page, ".data.service");
    await page.locator(".note.problem").waitFor();
    await listed(page, 300);
    await scrolledTo(page, 1200);
    await page.locator(".newest", { hasText: "newer" }).waitFor();
  });

  // Lost: the place in one list, and the newest rows in the others.
  await step("several pools: side by side and back", async ({ server, page }) => {
    const pool = shop(server, 300, "a");
    shop(server, 300, "b");
    await page.goto(`${server.url}/ui/pools/a,b`);
    await until(page, `Number(document.querySelector(".row").ariaSetSize) === 600`);
    await scrollTo(page, 1200);
    await page.locator('.row[aria-posinset="51"]').waitFor();
    await page.keyboard.press("s");
    await page.locator(".split.side .list").nth(1).waitFor();
    await page.keyboard.press("s");
    await page.locator(".split:not(.side) .list").waitFor();
    await scrolledTo(page, 1200);
    await page.keyboard.press("s");
    await page.locator(".side .list").first().hover();
    await page.mouse.wheel(0, -2000);
    await until(
      page,
      `((list) => list.scrollTop < list.scrollHeight - list.clientHeight - 500)(
        document.querySelector(".list"))`,
    );
    await ask(page, ".data.level != 1");
    const { seq } = pool.append({ level: "new" });
    await page.locator(".side section:first-child .seq", { hasText: new RegExp(`^${seq}$`) })
      .waitFor();
  });
});
