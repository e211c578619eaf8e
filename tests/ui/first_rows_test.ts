/**
 * What the page of a pool asks for before its scripts are there, and what it makes of the answers, in
 * real browsers.
 *
 * @module
 */

import assert from "node:assert/strict";
import type { Page } from "playwright-core";
import { inBrowsers, type Scene, scene, type SceneOptions, until } from "../support/browser.ts";
import { hold, listed, numbers, rowWith } from "../support/scene.ts";

/** What a page asked for. */
interface Asked {
  readonly path: string;
  readonly query: URLSearchParams;
}

/** A page whose scripts are held back. */
interface Held extends Scene {
  /** The requests to the interface of the server. */
  readonly asked: readonly Asked[];
  /** Waits until the first rows have been answered. */
  readonly answered: () => Promise<unknown>;
  /** Lets the scripts come. */
  readonly release: () => void;
}

/** On a machine that is busy, nothing becomes too old. */
const PATIENT = `{
  const wait = setTimeout;
  globalThis.setTimeout = (act, ms, ...more) => ms === 10_000 ? 0 : wait(act, ms, ...more);
}`;

/** Opens the page of a pool, without the scripts that draw it. */
async function held(
  { server, page }: Scene,
  play: (held: Held) => Promise<void>,
  query = "",
): Promise<void> {
  const { release } = await hold(page, /\/ui\/assets\/(?:with_\w+|pool)\.js$/);
  const asked: Asked[] = [];
  page.on("request", (request) => {
    const { pathname: path, searchParams: query } = new URL(request.url());
    if (path.startsWith("/v0/")) asked.push({ path, query });
  });
  const rows = page.waitForResponse(/\/events\?/).then((response) => response.finished());
  // It is waited for only by some.
  rows.catch(() => {});
  const info = page.waitForResponse(/\/info$/);
  await page.goto(`${server.url}/ui/pools/shop${query}`, { waitUntil: "commit" });
  try {
    await info;
    await play({ server, page, asked, answered: () => rows, release });
  } finally {
    release();
  }
}

const paths = (asked: readonly Asked[]): string[] => asked.map(({ path }) => path);
const INFO = "/v0/ui/pools/shop/info";
const EVENTS = "/v0/ui/pools/shop/events";

function append({ server }: Scene, from: number, to: number): void {
  using pool = server.client.openPool("shop");
  for (let n = from; n <= to; n++) pool.append({ n });
}

const mark = (page: Page, hasText: string) => page.locator(".row.mark", { hasText });

inBrowsers("the first rows", async (t, browser) => {
  const step = (
    what: string,
    play: (scene: Scene) => Promise<void>,
    { app, script = "" }: SceneOptions & { readonly script?: string } = {},
  ) =>
    t.step(what, () =>
      scene(browser, app ? { app } : {}, async (all) => {
        await all.page.addInitScript(`${PATIENT}\n${script}`);
        all.server.client.createPool("shop", 1 << 16).close();
        await play(all);
      }));

  for (
    const [how, script] of [["a shared worker", ""], [
      "streams of its own",
      "delete globalThis.SharedWorker",
    ]] as const
  ) {
    // Lost: the time in which scripts come, on every visit. Then: rows that were appended while the
    // first ones were on their way, or the same rows twice.
    await step(`are asked for before the scripts are there, and go on with ${how}`, async (all) => {
      append(all, 1, 60);
      await held(all, async ({ page, asked, answered, release }) => {
        await answered();
        assert.deepEqual(paths(asked), [INFO, EVENTS], "nothing else comes before them");
        append(all, 61, 90);
        release();
        await rowWith(page, "90").waitFor();
        await listed(page, 90);
        const shown = await numbers(page);
        assert.deepEqual(shown, shown.map((_, i) => 91 - shown.length + i));
        const later = asked.filter(({ path }) => path === EVENTS).slice(1);
        assert.deepEqual(
          later.slice(0, 1).map(({ query }) => query.get("since_seq")),
          script === "" ? [] : ["61"],
        );
        append(all, 91, 95);
        await listed(page, 95);
        assert.equal(await page.locator(".row.mark").count(), 0);
      });
    }, { script });
  }

  // Lost: the knowledge that messages are missing between the first rows and those of the stream.
  await step("tell of what was overwritten behind them", async (all) => {
    append(all, 1, 20);
    await held(all, async ({ page, answered, release }) => {
      await answered();
      append(all, 21, 2000);
      release();
      await rowWith(page, "2000").waitFor();
      using pool = all.server.client.openPool("shop");
      const { oldestSeq } = pool.info().bounds;
      await page.keyboard.press("g");
      await mark(page, `Messages 21–${(oldestSeq ?? 0n) - 1n} are no longer retained`).waitFor();
    });
  });

  // Lost: the pool there is, behind rows of one that is gone.
  await step("of a pool that is made anew are told from those of the new one", async (all) => {
    append(all, 1, 20);
    await held(all, async ({ page, answered, release }) => {
      await answered();
      all.server.client.deletePool("shop");
      using pool = all.server.client.createPool("shop", 1 << 16);
      pool.append({ text: "of the new one" });
      release();
      await mark(page, "The pool was recreated").waitFor();
      await rowWith(page, "of the new one").waitFor();
    });
  });

  // Lost: a page that says nothing, where the server ended in between.
  await step("come again from a server that was away", async (all) => {
    append(all, 1, 20);
    await held(all, async ({ server, page, answered, release }) => {
      await answered();
      const taken = page.waitForResponse(/pool\.js$/).then((response) => response.finished());
      release();
      await taken;
      await server.stop();
      append(all, 21, 40);
      server.start();
      await rowWith(page, "40").waitFor();
      const shown = await numbers(page);
      assert.deepEqual(shown, shown.map((_, i) => 41 - shown.length + i));
    });
  });

  // Lost: the whole page, for ever: it had its first rows, and nothing that shows them.
  await step(
    "come again from a server that was away while scripts were on their way",
    async (all) => {
      append(all, 1, 20);
      await held(all, async ({ server, page, answered, release }) => {
        await answered();
        await server.stop();
        release();
        await page.locator("body", { hasText: "The server does not answer" }).waitFor();
        append(all, 21, 40);
        server.start();
        await rowWith(page, "40").waitFor();
        const shown = await numbers(page);
        assert.deepEqual(shown, shown.map((_, i) => 41 - shown.length + i));
        append(all, 41, 45);
        await rowWith(page, "45").waitFor();
      });
    },
  );

  // Lost: rows for everybody who has to show a token.
  await step("are asked for with the token of the tab", async (all) => {
    append(all, 1, 60);
    await held(all, async ({ page, asked, answered, release }) => {
      await answered();
      release();
      await rowWith(page, "60").waitFor();
      assert.equal(asked.filter(({ path }) => path === EVENTS).length, 1);
    });
  }, {
    app: { token: "secret" },
    script: `try { sessionStorage.setItem("plasmite-token", "secret") } catch { /* no page */ }`,
  });

  // Lost: rows that do not match, among those that do.
  await step("are not asked for where others are wanted", async (all) => {
    append(all, 1, 60);
    await held(all, async ({ page, asked, release }) => {
      assert.deepEqual(paths(asked), [INFO]);
      release();
      await rowWith(page, "60").waitFor();
      await until(page, `document.querySelectorAll(".row:not([hidden])").length === 6`);
      assert.deepEqual(await numbers(page), [10, 20, 30, 40, 50, 60]);
      assert.ok(!paths(asked).includes(EVENTS));
    }, `?where=${encodeURIComponent(".data.n % 10 == 0")}`);
  });
});
