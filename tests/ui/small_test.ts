/**
 * The page on small screens, for screen readers, with forced colours and without motion.
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
  until,
  violations,
} from "../support/browser.ts";
import { until as eventually } from "../support/patience.ts";
import { rowWith } from "../support/scene.ts";

const MINUTE = 60_000;

/** How many rows are whole on screen. */
const WHOLE = `(() => {
  const list = document.querySelector(".list").getBoundingClientRect();
  return [...document.querySelectorAll(".row:not([hidden])")].filter((row) => {
    const { top, bottom } = row.getBoundingClientRect();
    return top > list.top - 1 && bottom < list.bottom + 1 && bottom < innerHeight + 1;
  }).length;
})()`;

/** Buttons, links and fields that are off the screen to the right, or have no size. */
const BEYOND = `[...document.querySelectorAll("button, a, input, select")]
  .filter((one) => one.checkVisibility() && !one.closest(".chips, .offscreen"))
  .filter((one) => {
    const { right, left, width } = one.getBoundingClientRect();
    // A field in which nothing can be read is none.
    const least = /^(text|search)$/.test(one.type) ? 120 : 16;
    return width < least || right > innerWidth + 1 || left < -1;
  }).map((one) => one.outerHTML.slice(0, 120))`;

async function open({ server, page }: Scene): Promise<void> {
  const pool = server.client.createPool("shop", 1 << 20);
  fillPool(pool, 600, 30 * MINUTE);
  await page.goto(`${server.url}/ui/pools/shop`);
  await rowWith(page, "600").waitFor();
  await page.locator(".chip").first().waitFor();
  await page.locator(".facts dd").first().waitFor();
}

inBrowsers("small screens", async (t, browser) => {
  const step = (
    name: string,
    options: SceneOptions,
    play: (scene: Scene) => Promise<void>,
  ): Promise<boolean> => t.step(name, () => scene(browser, options, play));

  // Lost: the messages, behind everything that is around them.
  const screens = [
    [640, 400, 8],
    [844, 390, 5],
    [390, 844, 8],
    [390, 400, 5],
    [320, 568, 3],
    [768, 1024, 20],
    [1200, 800, 15],
  ] as const;
  for (const [width, height, least] of screens) {
    const viewport = { width, height };
    await step(
      `${width} × ${height} shows ${least} rows or more`,
      { context: { viewport } },
      async (s) => {
        const { page } = s;
        await open(s);
        await until(page, `${WHOLE} >= ${least}`);
        await holds(async () => assert.deepEqual(await page.evaluate(BEYOND), []));
        // Half of the rows are there while something else is open, too.
        await page.getByRole("button", { name: "Append" }).click();
        await page.locator(".append textarea").waitFor();
        await holds(async () => assert.deepEqual(await page.evaluate(BEYOND), []));
        await page.keyboard.press("Escape");
        await page.keyboard.press("Escape");
        await page.keyboard.press("k");
        await page.keyboard.press("Enter");
        await page.locator(".inspector h2").waitFor();
        await holds(async () => assert.deepEqual(await page.evaluate(BEYOND), []));
        await page.locator(".inspector .body").scrollIntoViewIfNeeded();
        // What closes it is within reach, however far it is scrolled.
        await page.evaluate(`document.querySelector(".inspector").scrollTop = 9999`);
        await until(
          page,
          `((box) => box.top >= 0 && box.bottom <= innerHeight && box.right <= innerWidth)(
            document.querySelector('.inspector [aria-label^="Close"]').getBoundingClientRect())`,
        );
        await page.locator(".inspector").getByRole("button", { name: /^Close/ }).click();
        await until(page, `${WHOLE} >= ${least}`);
        await page.goto(`${s.server.url}/ui`);
        await page.locator("a.pool").waitFor();
        await holds(async () => assert.deepEqual(await page.evaluate(BEYOND), []));
      },
    );
  }
});

inBrowsers("looks that readers choose", async (t, browser) => {
  const step = (
    name: string,
    options: SceneOptions,
    play: (scene: Scene) => Promise<void>,
  ): Promise<boolean> => t.step(name, () => scene(browser, options, play));

  // Lost with colours of one's own: which messages are trouble, and which one is selected.
  await step("forced colours: trouble and selection are told by lines", {
    context: { forcedColors: "active" },
  }, async ({ server, page }) => {
    const pool = server.client.createPool("shop", 1 << 18);
    pool.append({ msg: "fine" });
    pool.append({ msg: "bad", level: "error" });
    pool.append({ msg: "odd", level: "warn" });
    await page.goto(`${server.url}/ui/pools/shop`);
    await rowWith(page, "odd").waitFor();
    const styles = (property: string): Promise<string[]> =>
      page.evaluate(`[...document.querySelectorAll(".row:not([hidden])")]
        .sort((a, b) => a.ariaPosInSet - b.ariaPosInSet)
        .map((row) => getComputedStyle(row)["${property}"])`);
    await holds(async () =>
      assert.deepEqual(await styles("borderLeftStyle"), ["none", "solid", "dashed"])
    );
    await page.keyboard.press("g");
    await page.locator('.row[aria-selected="true"]', { hasText: "fine" }).waitFor();
    await holds(async () => {
      const [fine, bad] = await styles("backgroundColor");
      assert.notEqual(fine, bad);
    });
    // The columns are as wide as their texts need, whatever the font is told to be.
    await holds(async () =>
      assert.deepEqual(
        await page.evaluate(`[...document.querySelectorAll(".row:not([hidden]) > :is(.seq, .time)")]
        .filter((cell) => cell.scrollWidth > cell.clientWidth).map((cell) => cell.textContent)`),
        [],
      )
    );
    // As in the list, so around a message.
    await page.keyboard.press("Enter");
    await page.locator(".inspector h2").waitFor();
    await page.keyboard.press("o");
    await page.locator("dialog .around .here").waitFor();
    await holds(async () =>
      assert.deepEqual(
        await page.evaluate(`[...document.querySelectorAll("dialog .around a")]
        .map((one) => getComputedStyle(one).borderLeftStyle)`),
        ["none", "solid", "dashed"],
      )
    );
  });

  await step(
    "without motion nothing moves",
    { context: { reducedMotion: "reduce" } },
    async (s) => {
      await open(s);
      const { page } = s;
      await page.locator(".row:not([hidden])").last().click();
      await page.locator(".inspector .toggle").first().click();
      const moving = `[...document.querySelectorAll("*")].flatMap((one) =>
      [undefined, "::before", "::after"].map((part) => getComputedStyle(one, part)))
      .filter((style) => parseFloat(style.transitionDuration) > 0 && style.transitionProperty !== "none" ||
        style.animationName !== "none" || style.scrollBehavior === "smooth").length`;
      await holds(async () => assert.equal(await page.evaluate(moving), 0));
      await holds(async () =>
        assert.equal(await page.evaluate("document.getAnimations().length"), 0)
      );
    },
  );
}, ["chromium"]);

/** Notes when live regions change, by the page's own clock. */
const NOTE_SPEECH = `globalThis.spoken = [];
new MutationObserver((changes) => {
  for (const { target } of changes) {
    const element = target.nodeType === 1 ? target : target.parentElement;
    const live = element?.closest("[aria-live], [role=status], [role=log], [role=alert]");
    if (live) spoken.push([Math.round(performance.now()), live.textContent]);
  }
}).observe(document, { childList: true, characterData: true, subtree: true })`;

inBrowsers("screen readers", async (t, browser) => {
  const step = (
    name: string,
    options: SceneOptions,
    play: (scene: Scene) => Promise<void>,
  ): Promise<boolean> => t.step(name, () => scene(browser, options, play));

  // Lost: the reader's patience, and everything else that is to be heard.
  await step("live regions speak at most every ten seconds, and lose nothing", {}, async (s) => {
    const { server, page } = s;
    const pool = server.client.createPool("shop", 1 << 20);
    fillPool(pool, 50, MINUTE);
    await page.addInitScript(NOTE_SPEECH);
    await page.clock.install();
    await page.goto(`${server.url}/ui/pools/shop`);
    const spoken = () => page.evaluate<[number, string][]>("spoken");
    const pass = async (ms: number): Promise<void> => {
      for (let left = ms; left > 0; left -= 500) await page.clock.runFor(500);
    };
    await eventually(async () => {
      await pass(500);
      return (await spoken()).some(([, text]) => /Live/.test(text));
    });
    for (let round = 0; round < 12; round++) {
      pool.append({ round });
      await page.keyboard.press("Space");
      await pass(2000);
      await page.keyboard.press("Space");
      await pass(1000);
    }
    await page.keyboard.press("/");
    for (const letter of ".data.n >") {
      await page.keyboard.type(letter);
      await pass(500);
    }
    await page.keyboard.press("Escape");
    await eventually(async () => {
      await pass(1000);
      const texts = (await spoken()).map(([, text]) => text).join(" ");
      return /messages? arrived/.test(texts) && /Resumed|Paused/.test(texts);
    });
    const heard = await spoken();
    assert.match(heard.map(([, text]) => text).join(" "), /messages? arrived/);
    for (const [i, [at]] of heard.entries()) {
      const before = heard[i - 1]?.[0] ?? -Infinity;
      // One change of a text can be noticed twice.
      assert.ok(at === before || at - before >= 9_999, JSON.stringify(heard));
    }
  });
}, ["chromium"]);

/** What can have the focus now: a number for the element, and its words. */
const FOCUSABLE = `(() => {
  globalThis.numbered ??= new Map();
  globalThis.named = (one) => {
    if (!numbered.has(one)) numbered.set(one, numbered.size);
    const words = one.ariaLabel || one.textContent.trim().slice(0, 40) || one.className;
    return numbered.get(one) + " " + words;
  };
  const inside = document.querySelector("dialog:modal") ?? document;
  return [...inside.querySelectorAll("button, a[href], input, select, textarea, summary, [tabindex]")]
    .filter((one) => one.checkVisibility({ visibilityProperty: true }) && !one.disabled &&
      one.tabIndex >= 0 && !one.closest("[inert]"))
    // A group of radio buttons has one stop.
    .filter((one) => one.type !== "radio" || one.checked)
    .map(named);
})()`;

/** The element with the focus, and whether it is seen that it has it. */
const FOCUSED = `(() => {
  const one = document.activeElement;
  const seen = (element) => element !== null && getComputedStyle(element).outlineStyle !== "none";
  return [one === document.body ? "" : named(one), seen(one) || seen(one.closest("tr, .card, label"))];
})()`;

/** Goes through the page with the Tab key alone: everything is reached, and it is seen where one is. */
async function tabThrough(page: Page): Promise<void> {
  const wanted = new Set(await page.evaluate<string[]>(FOCUSABLE));
  assert.ok(wanted.size > 0);
  const unseen: string[] = [];
  for (let left = 3 * wanted.size + 10; left > 0 && wanted.size > 0; left--) {
    await page.keyboard.press("Tab");
    const [name, isSeen] = await page.evaluate<[string, boolean]>(FOCUSED);
    if (name && !isSeen) unseen.push(name);
    wanted.delete(name);
  }
  assert.deepEqual([...wanted], [], "not reached");
  assert.deepEqual(unseen, [], "it is not seen where the focus is");
}

// Lost: whatever only a mouse reaches.
inBrowsers("keyboard alone", async (t, browser) => {
  for (const [width, height] of [[390, 844], [640, 400], [1920, 1080]]) {
    const context = { viewport: { width: width ?? 0, height: height ?? 0 } };
    await t.step(`${width} × ${height}`, () =>
      scene(browser, { context }, async (s) => {
        const { server, page } = s;
        // Nothing appears or goes while the keys are pressed.
        await open(s);
        await holds(() => tabThrough(page));
        await page.locator(".list").focus();
        await page.keyboard.press("g");
        await page.keyboard.press("Enter");
        await page.locator(".inspector h2", { hasText: "#1" }).waitFor();
        await holds(() => tabThrough(page));
        for (const key of ["o", "c", "e"]) {
          await page.locator(".inspector .body").focus();
          await page.keyboard.press(key);
          await page.locator("dialog[open] :is(.here, input, .command)").first().waitFor();
          await holds(() => tabThrough(page));
          await page.keyboard.press("Escape");
          await page.locator("dialog[open]").waitFor({ state: "detached" });
        }
        // Where the focus was, it stays when another message is shown, or in another way.
        await page.getByRole("button", { name: "Next message" }).focus();
        await page.keyboard.press("Enter");
        await page.locator(".inspector h2", { hasText: "#2" }).waitFor();
        await until(page, `document.activeElement.ariaLabel === "Next message"`);
        await page.getByRole("tab", { name: "Tree" }).focus();
        await page.keyboard.press("ArrowRight");
        await until(page, `document.activeElement.textContent === "Raw"`);
        await page.keyboard.press("Escape");
        await until(page, `document.activeElement.className.startsWith("list")`);
        await page.goto(`${server.url}/ui`);
        await page.locator("a.pool").first().waitFor();
        await holds(() => tabThrough(page));
      }));
  }
}, ["chromium"]);

// Lost: the page, for those who use it with other means than eyes and a mouse.
inBrowsers("axe finds nothing", async (t, browser) => {
  const looks: [string, SceneOptions["context"]][] = [
    ["light", { viewport: { width: 1920, height: 1080 } }],
    ["390 px, dark", {
      viewport: { width: 390, height: 844 },
      isMobile: true,
      hasTouch: true,
      colorScheme: "dark",
    }],
    ["640 × 400", { viewport: { width: 640, height: 400 } }],
  ];
  for (const [look, context] of looks) {
    await t.step(look, () =>
      scene(browser, { context: context ?? {} }, async (s) => {
        const { server, page } = s;
        const check = (what: string): Promise<void> =>
          holds(async () => assert.deepEqual(await violations(page), [], what));
        server.client.createPool("empty", 1 << 18);
        await open(s);
        await check("pool");
        await page.keyboard.press("g");
        await page.keyboard.press("Enter");
        await page.locator(".inspector h2", { hasText: "#1" }).waitFor();
        await check("inspector");
        await page.keyboard.press("x");
        await page.keyboard.press("j");
        await page.locator(".inspector h2", { hasText: "#2" }).waitFor();
        await page.keyboard.press("x");
        await page.locator("dialog .diff").waitFor();
        await check("differences");
        await page.keyboard.press("Escape");
        await page.keyboard.press("o");
        await page.locator("dialog .around .here").waitFor();
        await check("around");
        await page.keyboard.press("Escape");
        for (const [key, what] of [["c", "columns"], ["e", "export"], ["?", "keys"]] as const) {
          await page.keyboard.press(key);
          await page.locator("dialog[open]").waitFor();
          await check(what);
          await page.keyboard.press("Escape");
          await page.locator("dialog[open]").waitFor({ state: "detached" });
        }
        await page.goto(`${server.url}/ui/pools/empty`);
        await page.locator(".empty h2").waitFor();
        await check("empty pool");
        await page.keyboard.press("a");
        await page.locator(".append textarea").waitFor();
        await check("append");
        await page.goto(`${server.url}/ui`);
        await page.locator("a.pool").first().waitFor();
        await check("list");
        await page.keyboard.press("n");
        await page.locator("dialog[open]").waitFor();
        await check("new pool");
      }));
  }
}, ["chromium"]);
