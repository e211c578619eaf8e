/**
 * Many tabs over HTTP/1.1, of which a browser opens six connections to a server: they share one, on
 * origins that are secure and on others.
 *
 * @module
 */

import assert from "node:assert/strict";
import type { Browser, BrowserContext, Page } from "playwright-core";
import type { Pool } from "../../lib/client/pool.ts";
import type { AppOptions, Grant } from "../../server/app.ts";
import { inBrowsers, PLAIN_HOST, TestServer, watchPage } from "../support/browser.ts";
import { PATIENCE_MS, until } from "../support/patience.ts";
import { numbers, rowWith } from "../support/scene.ts";

/** Streams go on for longer than any test, so that how many are open stays the same. */
const LONG: AppOptions = { allowHosts: [PLAIN_HOST], maxTailTimeoutMs: 3_600_000 };

interface Tab {
  readonly n: number;
  readonly pool: Pool;
  readonly page: Page;
  readonly bad: string[];
}

/** A server and a browser's window with tabs. */
class Tabs implements AsyncDisposable {
  readonly tabs: Tab[] = [];
  readonly origin: string;

  private constructor(
    readonly server: TestServer,
    readonly context: BrowserContext,
    readonly host: string,
  ) {
    this.origin = server.url.replace("127.0.0.1", host);
  }

  static async open(browser: Browser, host: string, options: AppOptions = {}): Promise<Tabs> {
    const context = await browser.newContext();
    context.setDefaultTimeout(PATIENCE_MS);
    return new Tabs(new TestServer({ ...LONG, ...options }), context, host);
  }

  /** Opens a tab on a pool of its own with one message. */
  async add(name = `pool${this.tabs.length + 1}`, script = "", size = 1 << 20): Promise<Tab> {
    const pool = this.server.client.createPool(name, size);
    pool.append({ text: `old ${name}` });
    const page = await this.context.newPage();
    const bad = watchPage(page, this.origin);
    if (script) await page.addInitScript(script);
    await page.goto(`${this.origin}/ui/pools/${name}`);
    const tab = { n: this.tabs.length + 1, pool, page, bad };
    this.tabs.push(tab);
    return tab;
  }

  /** How many streams the server has open, where a shared connection counts as one more. */
  async streams(headers: Record<string, string> = {}): Promise<number> {
    const answer = await fetch(`${this.server.url}/metrics`, { headers });
    return Number(/^plasmite_streams (\d+)$/m.exec(await answer.text())?.[1]);
  }

  /** Waits until so many streams are open, over so many shared connections. */
  async holds(streams: number, shared: number, headers: Record<string, string> = {}) {
    let seen = 0;
    await until(
      async () => (seen = await this.streams(headers)) === streams + shared,
      () => `${seen} streams, not ${streams} in ${shared}`,
    );
  }

  /** Appends to every pool, and waits for the row in its tab. */
  async pass(text: string, tabs: readonly Tab[] = this.tabs): Promise<void> {
    for (const { n, pool } of tabs) pool.append({ text: `${text} ${n}` });
    for (const { n, page } of tabs) await rowWith(page, `${text} ${n}`).waitFor();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.context.close();
    for (const { pool } of this.tabs) pool.close();
    await this.server[Symbol.asyncDispose]();
  }
}

inBrowsers("tabs", async (t, browser, name) => {
  for (const host of ["127.0.0.1", PLAIN_HOST]) {
    // Lost: the seventh tab, which said "Loading" for ever.
    await t.step(`eight tabs on eight pools of ${host} share a connection`, async () => {
      await using scene = await Tabs.open(browser, host);
      const { server, tabs } = scene;
      for (let i = 1; i <= 8; i++) await scene.add();
      for (const { page, pool } of tabs) await rowWith(page, `old ${pool.name}`).waitFor();
      assert.equal(await tabs[0]?.page.evaluate("isSecureContext"), host !== PLAIN_HOST);
      await scene.pass("new");
      await scene.holds(8, 1);
      // What a tab had open ends with it, however it ends: also the one that started the worker.
      const [first, second, ...rest] = tabs;
      await second?.page.close();
      await scene.holds(7, 1);
      if (name === "chromium") {
        const session = await scene.context.newCDPSession(first?.page ?? assert.fail());
        void session.send("Page.crash").catch(() => {});
      } else await first?.page.close();
      await scene.holds(6, 1);
      await scene.pass("then", rest);
      // Lost: what was appended while the server was down, or a second row for it.
      await server.stop();
      for (const { page } of rest) {
        await page.locator(".lamp", { hasText: "Reconnecting" }).waitFor();
      }
      for (const { pool } of rest) pool.append({ text: "meanwhile" });
      server.start();
      await scene.pass("again", rest);
      for (const { page } of rest) assert.deepEqual(await numbers(page), [1, 2, 3, 4, 5]);
      await scene.holds(6, 1);
      for (const { bad } of rest) assert.deepEqual(bad, []);
    });
  }

  // Lost: one person's messages to another who uses the same browser.
  await t.step(
    "tabs with different tokens share nothing, and one that is revoked is alone",
    async () => {
      const ends = { ann: new AbortController(), bob: new AbortController() };
      const grants = new Map(
        Object.entries(ends).map(([subject, { signal }]): [string, Grant] => [
          `Bearer ${subject}`,
          {
            subject,
            can: (_, pool) => (pool ?? subject).startsWith(subject),
            ended: signal,
          },
        ]),
      );
      /** Who has opened shared connections, and who follows a pool alone. */
      const asked = { shared: new Set<string>(), alone: new Set<string>() };
      await using scene = await Tabs.open(browser, PLAIN_HOST, {
        authenticator: {
          authenticate: ({ url, method, headers }) => {
            const who = headers.get("authorization") ?? "";
            const grant = grants.get(who);
            if (grant === undefined || grant.ended?.aborted) return "invalid";
            const { pathname, searchParams } = new URL(url);
            if (pathname === "/v0/ui/streams" && method === "POST") asked.shared.add(who);
            const follows = !searchParams.has("no_follow");
            if (pathname.endsWith("/events") && follows) asked.alone.add(who);
            return grant;
          },
        },
      });
      const bearer = (who: string) =>
        `try { sessionStorage.setItem("plasmite-token", "${who}") } catch { /* the empty page */ }`;
      const ann1 = await scene.add("ann1", bearer("ann"));
      const ann2 = await scene.add("ann2", bearer("ann"));
      const bob1 = await scene.add("bob1", bearer("bob"));
      // Whatever the tab asks for, it has the rights of its own token.
      const thief = await scene.add("ann3", bearer("bob"));
      await thief.page.locator(".lamp", { hasText: "Stopped" }).waitFor();
      await scene.pass("new", [ann1, ann2, bob1]);
      const headers = { authorization: "Bearer bob" };
      await scene.holds(3, 2, headers);
      assert.deepEqual([...asked.shared].sort(), ["Bearer ann", "Bearer bob"]);
      assert.deepEqual([...asked.alone], []);
      assert.deepEqual(await numbers(thief.page), []);
      ends.ann.abort();
      for (const { page } of [ann1, ann2]) await page.locator("dialog.sign-in").waitFor();
      await scene.holds(1, 1, headers);
      ann1.pool.append({ text: "secret" });
      await scene.pass("then", [bob1]);
      assert.equal(await rowWith(ann1.page, "secret").count(), 0);
      // Lost: a connection with the token of somebody who has signed out.
      await bob1.page.getByRole("button", { name: "Sign out" }).click();
      await thief.page.close();
      await bob1.page.locator("dialog.sign-in").waitFor();
      await scene.holds(0, 0, headers);
    },
  );

  // Lost: the rows of a quiet pool, while another one is busy.
  await t.step("a quiet pool beside a busy one, both in full", async () => {
    await using scene = await Tabs.open(browser, "127.0.0.1");
    const busy = await scene.add("busy");
    const quiet = await scene.add("quiet");
    await scene.pass("new");
    let n = 2;
    const writer = setInterval(() => {
      for (let i = 0; i < 50; i++) busy.pool.append({ n: ++n, text: "x".repeat(100) });
    }, 10);
    try {
      for (const text of ["one", "two", "three"]) await scene.pass(text, [quiet]);
    } finally {
      clearInterval(writer);
    }
    await scene.pass("last", [busy]);
    const shown = await numbers(busy.page);
    assert.deepEqual(shown, shown.map((_, i) => (shown[0] ?? 0) + i));
    assert.equal(await busy.page.locator(".row.mark").count(), 0);
    await scene.holds(2, 1);
    for (const { bad } of scene.tabs) assert.deepEqual(bad, []);
  });

  // Lost: a browser's memory to a tab that does nothing, as one that it has put to sleep, and what
  // came meanwhile.
  await t.step(
    "a tab that reads nothing is not waited for, and shows everything when it does",
    async () => {
      await using scene = await Tabs.open(browser, PLAIN_HOST);
      using gate = scene.server.client.createPool("gate");
      const awake = await scene.add("awake");
      const asleep = await scene.add("asleep", "", 1 << 26);
      await scene.pass("new");
      await scene.holds(2, 1);
      // Until a message comes: the one way to stop a tab for as long as it takes.
      void asleep.page.evaluate(`(() => {
      const request = new XMLHttpRequest();
      request.open("GET", "/v0/pools/gate/tail?max=1", false);
      request.send();
    })()`).catch(() => {});
      await scene.holds(3, 1);
      // More than is kept for it in the browser.
      const text = "x".repeat(10_000);
      for (let i = 0; i < 1500; i++) asleep.pool.append({ i, text });
      await scene.holds(2, 1);
      await scene.pass("then", [awake]);
      gate.append({ open: true });
      await scene.pass("last");
      const shown = await numbers(asleep.page);
      assert.deepEqual(shown, shown.map((_, i) => (shown[0] ?? 0) + i));
      assert.equal(await asleep.page.locator(".row.mark").count(), 0);
      await scene.holds(2, 1);
    },
  );

  for (const host of ["127.0.0.1", PLAIN_HOST]) {
    // Lost: the whole page, in browsers without such workers: those of telephones.
    await t.step(`without a shared worker, eight tabs of ${host} show what arrives`, async () => {
      await using scene = await Tabs.open(browser, host);
      const script = `delete globalThis.SharedWorker;
        globalThis.away = true;
        Object.defineProperty(document, "hidden", { get: () => globalThis.away });
        globalThis.turn = (away) => {
          globalThis.away = away;
          document.dispatchEvent(new Event("visibilitychange"));
        }`;
      let before: Tab | null = null;
      for (let i = 1; i <= 8; i++) {
        await before?.page.evaluate("turn(true)");
        before = await scene.add(`pool${i}`, script);
        await before.page.evaluate("turn(false)");
        await rowWith(before.page, `old pool${i}`).waitFor();
      }
      await scene.pass("new");
      const [first] = scene.tabs;
      await before?.page.evaluate("turn(true)");
      await first?.page.evaluate("turn(false)");
      await scene.pass("then");
      for (const { bad } of scene.tabs) assert.deepEqual(bad, []);
    });
  }
});
