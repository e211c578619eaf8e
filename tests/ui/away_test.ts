/**
 * Files of the page that do not come, because the server has gone away in between, in real browsers:
 * none of them is asked for again by the browser, and Firefox keeps a module that failed.
 *
 * @module
 */

import assert from "node:assert/strict";
import type { Page } from "playwright-core";
import {
  inBrowsers,
  type Scene,
  scene,
  type SceneOptions,
  type TestServer,
  until,
} from "../support/browser.ts";
import type { App } from "../../server/app.ts";
import { until as eventually } from "../support/patience.ts";
import { numbers, rowWith } from "../support/scene.ts";
import { uiAssets } from "../../server/ui/mod.ts";

/** The start of an answer, behind which the connection is closed: less comes than was promised. */
async function cut(request: Request, app: App): Promise<Response> {
  const answer = await app.fetch(new Request(request.url));
  const bytes = new Uint8Array(await answer.arrayBuffer());
  const start = new Blob([bytes.subarray(0, bytes.length >> 1)]).stream();
  const headers = new Headers(answer.headers);
  headers.set("content-length", `${bytes.length}`);
  return new Response(start, { headers });
}

/** Lets files fail as long as they are in the set; returns how often each was asked for. */
function failing(server: TestServer, files: ReadonlySet<string>): Map<string, number> {
  const asked = new Map<string, number>();
  server.front = async (request, app) => {
    const [, file = ""] = /\/ui\/assets\/([\w.]+)/.exec(request.url) ?? [];
    asked.set(file, (asked.get(file) ?? 0) + 1);
    return await (files.has(file) ? cut(request, app) : app.fetch(request));
  };
  return asked;
}

function append({ server }: Scene, from: number, to: number): void {
  using pool = server.client.openPool("shop");
  for (let n = from; n <= to; n++) pool.append({ n });
}

/** Waits until the files were asked for. */
const tried = (asked: ReadonlyMap<string, number>, files: Iterable<string>): Promise<void> =>
  eventually(() => [...files].every((file) => (asked.get(file) ?? 0) > 0));

/** What a page names, by its address. */
async function namedBy(key: string): Promise<string[]> {
  const html = (await uiAssets()).get(key)?.body ?? "";
  const files = html.matchAll(/(?:src|href)="\/ui\/assets\/([^"]+)"/g);
  return [...new Set([...files].map(([, file = ""]) => file))].filter((file) =>
    file !== "icon.svg"
  );
}

/** Rows of a pool without a hole, up to the newest. */
async function rowsTo(page: Page, newest: number): Promise<void> {
  await rowWith(page, `${newest}`).waitFor();
  const shown = await numbers(page);
  assert.deepEqual(shown, shown.map((_, i) => newest + 1 - shown.length + i));
}

const styled = (file: string) =>
  `[...document.styleSheets].some((one) => one.href?.endsWith("/${file}") && one.cssRules.length > 0)`;

inBrowsers("files of the page that do not come", async (t, browser) => {
  const step = (
    what: string,
    play: (scene: Scene) => Promise<void>,
    options: SceneOptions = {},
  ) =>
    t.step(what, () =>
      scene(browser, options, async (all) => {
        all.server.client.createPool("shop", 1 << 16).close();
        append(all, 1, 20);
        await play(all);
      }));

  // Lost: the whole page, which stayed empty for ever.
  const named = await namedBy("/ui/pools/:name");
  const sheets = named.filter((file) => file.endsWith(".css"));
  for (
    const files of [named, ...named.filter((file) => file.endsWith(".js")).map((file) => [file])]
  ) {
    const what = files.length > 1 ? "all that it names" : files.join();
    await step(`${what}: the page comes as soon as the server gives it`, async (all) => {
      const { server, page } = all;
      const missing = new Set(files);
      const asked = failing(server, missing);
      await page.goto(`${server.url}/ui/pools/shop`, { waitUntil: "commit" });
      await tried(asked, files);
      if (files.length > 1) {
        // It is said, and asked for more than once.
        await page.locator("body", { hasText: "does not answer" }).waitFor();
        await eventually(() => (asked.get("early.js") ?? 0) > 2);
      }
      append(all, 21, 40);
      missing.clear();
      await rowsTo(page, 40);
      append(all, 41, 45);
      await rowsTo(page, 45);
      for (const sheet of sheets) await until(page, styled(sheet));
    });
  }

  // Lost: the whole page, to the words of a proxy, which nobody loads again.
  await step("a proxy that answers for the server: the page comes after that", async (all) => {
    const { server, page } = all;
    const asked = failing(server, new Set(named));
    await page.goto(`${server.url}/ui/pools/shop`, { waitUntil: "commit" });
    await tried(asked, named);
    let refused = 0;
    server.front = ({ url }) => {
      // The page itself, which is asked for before it is loaded again.
      if (url.endsWith("/ui/pools/shop")) refused++;
      return Promise.resolve(new Response("Bad gateway", { status: 502 }));
    };
    await eventually(() => refused > 1);
    server.front = (request, app) => app.fetch(request);
    await rowsTo(page, 20);
  });

  // Lost: how the page looks, for as long as it was shown.
  await step("style sheets: they come later, and nothing is loaded again for them", async (all) => {
    const { server, page } = all;
    const missing = new Set(sheets);
    const asked = failing(server, missing);
    await page.goto(`${server.url}/ui/pools/shop`, { waitUntil: "commit" });
    await rowsTo(page, 20);
    await page.evaluate("globalThis.same = true");
    await eventually(() => sheets.every((sheet) => (asked.get(sheet) ?? 0) > 1));
    missing.clear();
    for (const sheet of sheets) await until(page, styled(sheet));
    assert.equal(await page.evaluate("globalThis.same"), true);
  });

  // Lost: the live rows, or all tabs' share of them.
  await step("the worker of all tabs: this tab reads its streams itself", async (all) => {
    const { server, page } = all;
    const missing = new Set(["shared_worker.js"]);
    const asked = failing(server, missing);
    await page.goto(`${server.url}/ui/pools/shop`);
    await tried(asked, missing);
    await rowsTo(page, 20);
    append(all, 21, 40);
    await rowsTo(page, 40);
  });

  // Lost: the list of all pools, until somebody loads the page again and signs in once more.
  for (const [held, keeps] of [["token", false], ["token of the tab", true]] as const) {
    await step(`another view: it is shown as soon as it comes, with the ${held}`, async (all) => {
      const { server, page } = all;
      await page.goto(`${server.url}/ui/pools/shop`);
      await page.locator("dialog.sign-in input:not([type=checkbox])").first().fill("secret");
      if (keeps) await page.locator("dialog.sign-in input[type=checkbox]").check();
      await page.keyboard.press("Enter");
      await rowsTo(page, 20);
      const missing = new Set(["pools.js", "with_pools.js"]);
      const asked = failing(server, missing);
      await page.keyboard.press("u");
      await page.locator(".lamp", { hasText: "does not answer" }).waitFor();
      await eventually(() => (asked.get("with_pools.js") ?? 0) > 1);
      // It is said as long as it lasts, and nothing else is shown at this address.
      await page.locator(".lamp", { hasText: "does not answer" }).waitFor();
      assert.equal(await page.locator(".row").count(), 0);
      assert.doesNotMatch(await page.locator(".crumbs").innerText(), /shop/);
      missing.clear();
      await page.locator("a.pool", { hasText: "shop" }).waitFor();
      assert.equal(await page.locator("dialog.sign-in").count(), 0);
      // It is still kept by this document alone, or also for the next one.
      assert.equal(await page.evaluate("sessionStorage.length"), keeps ? 1 : 0);
    }, { app: { token: "secret" } });
  }

  // Lost: every part that was first used while the server was away, until the page was loaded again.
  for (
    const [files, use, seen] of [
      [["inspect.js"], ".row .data", ".inspector h2"],
      // What a part needs is asked for again as well.
      [["dom.js"], ".row .data", ".inspector h2"],
      [["help.js"], "header button[title^=Help], header button:has-text('Help')", "dialog[open]"],
      [["save.js"], "button[title^=Export], button:has-text('Export')", "dialog[open]"],
    ] as const
  ) {
    await step(`${files.join(" and ")}: said, and loaded with the next use`, async (all) => {
      const { server, page } = all;
      const missing = new Set<string>(files);
      const asked = failing(server, missing);
      await page.goto(`${server.url}/ui/pools/shop`);
      await rowsTo(page, 20);
      await page.locator(use).first().click();
      // The text stays when it has been shown for some seconds.
      const said = page.locator("#toast", { hasText: "could not be loaded" });
      await said.waitFor({ state: "attached" });
      await tried(asked, files);
      missing.clear();
      await page.evaluate("globalThis.same = true");
      await page.locator(use).first().click();
      await page.locator(seen).first().waitFor();
      assert.equal(await page.evaluate("globalThis.same"), true);
    });
  }

  // Lost: the timeline, where the server went away in the first second.
  await step("what counts: the timeline comes by itself", async (all) => {
    const { server, page } = all;
    const missing = new Set(["counting.js"]);
    const asked = failing(server, missing);
    await page.goto(`${server.url}/ui/pools/shop`);
    await tried(asked, missing);
    missing.clear();
    await page.locator(".timeline .labels span").first().waitFor();
  });
});
