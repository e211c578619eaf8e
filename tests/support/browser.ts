/**
 * Debian's Chromium and Firefox, a real server in this process and pools with something in them, for
 * tests and screenshots of the page.
 *
 * @module
 */

import "./environment.ts";
import { AssertionError } from "node:assert";
import axe from "axe-core";
import {
  type Browser,
  type BrowserContext,
  type BrowserContextOptions,
  chromium,
  firefox,
  type Page,
} from "playwright-core";
import { Client } from "../../lib/client/client.ts";
import type { Pool } from "../../lib/client/pool.ts";
import { type App, type AppOptions, createApp } from "../../server/app.ts";
import { PATIENCE_MS, pause, until as happened } from "./patience.ts";

/** The browsers that the page is tested in. */
export type BrowserName = "chromium" | "firefox";

/** Where Debian puts Chromium; another place can be named. */
export const CHROMIUM = Deno.env.get("PLASMITE_CHROMIUM") ?? "/usr/bin/chromium";
/** Where Debian puts Firefox; another place can be named. */
const FIREFOX = Deno.env.get("PLASMITE_FIREFOX") ?? "/usr/bin/firefox-esr";

/** A name that the browsers take for this machine, over plain HTTP no secure origin. */
export const PLAIN_HOST = "pi.test";

/** Whether there is a browser to test with. */
export function hasBrowser(name: BrowserName = "chromium"): boolean {
  try {
    return Deno.statSync(name === "chromium" ? CHROMIUM : FIREFOX).isFile;
  } catch {
    return false;
  }
}

/**
 * Starts it; everything that would look for the network is off. On a busy machine a browser may end,
 * or close its connection, before it has answered the first question; then another one is started.
 */
export async function launch(name: BrowserName = "chromium"): Promise<Browser> {
  for (let attempt = 1;; attempt++) {
    try {
      return await start(name);
    } catch (error) {
      if (attempt === 3) throw error;
    }
  }
}

function start(name: BrowserName): Promise<Browser> {
  return name === "firefox" ? launchFirefox() : chromium.launch({
    executablePath: CHROMIUM,
    timeout: PATIENCE_MS,
    args: [
      "--headless",
      "--no-sandbox",
      "--disable-gpu",
      "--disable-quic",
      "--no-first-run",
      "--disable-background-networking",
      "--disable-component-update",
      "--disable-sync",
      "--disable-dev-shm-usage",
      `--host-resolver-rules=MAP ${PLAIN_HOST} 127.0.0.1`,
    ],
  });
}

/** A session of WebDriver BiDi inside of Playwright. */
interface BidiSession {
  send(method: string, parameters: unknown): Promise<unknown>;
}

/**
 * Firefox as Debian builds it, through WebDriver BiDi: it has no other protocol that Playwright
 * speaks. It knows no command to emulate media features, which Playwright sends for every context.
 */
async function launchFirefox(): Promise<Browser> {
  const browser = await firefox.launch({
    executablePath: FIREFOX,
    channel: "moz-firefox",
    headless: true,
    timeout: PATIENCE_MS,
    firefoxUserPrefs: {
      "app.normandy.enabled": false,
      // Scripts may read the clipboard, which no permission allows there.
      "dom.events.testing.asyncClipboard": true,
      "datareporting.policy.dataSubmissionEnabled": false,
      "network.captive-portal-service.enabled": false,
      "network.connectivity-service.enabled": false,
      "network.dns.localDomains": PLAIN_HOST,
    },
  });
  const { _connection } = browser as unknown as {
    _connection: { toImpl(of: unknown): { _browserSession: BidiSession } };
  };
  const session: BidiSession = Object.getPrototypeOf(
    _connection.toImpl(browser)._browserSession,
  );
  const { send } = session;
  session.send = function (this: BidiSession, method: string, parameters: unknown) {
    return method === "emulation.setMediaFeaturesOverride"
      ? Promise.resolve({})
      : send.call(this, method, parameters);
  };
  return browser;
}

/**
 * Registers a test for every browser, which starts it once; ignored, with a line in `.ci/ignored`,
 * where the browser is missing.
 */
export function inBrowsers(
  what: string,
  play: (t: Deno.TestContext, browser: Browser, name: BrowserName) => Promise<void>,
  names: readonly BrowserName[] = ["chromium", "firefox"],
): void {
  for (const name of names) {
    Deno.test({
      name: `${name}: ${what}`,
      ignore: !hasBrowser(name),
      sanitizeOps: false,
      sanitizeResources: false,
    }, async (t) => {
      const browser = await launch(name);
      try {
        await play(t, browser, name);
      } finally {
        await browser.close();
      }
    });
  }
}

/** A server and a page on it. */
export interface Scene {
  readonly server: TestServer;
  readonly page: Page;
}

/** How a scene is set up. */
export interface SceneOptions {
  readonly app?: AppOptions;
  readonly context?: BrowserContextOptions;
}

/**
 * A context with these options, as far as the browser knows them: Firefox has no permissions and no
 * mobile screens, and takes its dark theme from the setting of the page.
 */
export async function contextOf(
  browser: Browser,
  options: BrowserContextOptions = {},
): Promise<BrowserContext> {
  if (browser.browserType().name() !== "firefox") return await browser.newContext(options);
  const { permissions: _, isMobile: __, hasTouch: ___, colorScheme, ...known } = options;
  const context = await browser.newContext(known);
  if (colorScheme === "dark") {
    await context.addInitScript(
      `if (location.protocol.startsWith("http")) localStorage.setItem("plasmite-theme", "dark")`,
    );
  }
  return context;
}

/** Plays a scene, then checks that the page behaved. */
export async function scene(
  browser: Browser,
  options: SceneOptions,
  play: (scene: Scene) => Promise<void>,
): Promise<void> {
  await using server = new TestServer(options.app);
  const context = await contextOf(browser, {
    viewport: { width: 1200, height: 800 },
    timezoneId: "UTC",
    ...options.context,
  });
  context.setDefaultTimeout(PATIENCE_MS);
  const page = await context.newPage();
  const bad = watchPage(page, server.url);
  try {
    await play({ server, page });
    if (bad.length > 0) throw new Error(bad.join("\n"));
  } finally {
    await context.close();
  }
}

/**
 * Waits until an expression is true; the page's policy forbids Playwright's own way. What it asks
 * about need not be there yet.
 */
export async function until(page: Page, expression: string): Promise<void> {
  const guarded = `(() => { try { return ${expression.trim()} } catch (error) {
    if (error instanceof TypeError) return false;
    throw error;
  } })()`;
  await happened(() => page.evaluate<boolean>(guarded), `never true: ${expression}`, 50);
}

/**
 * Asks again until an assertion holds, and fails as it does if it never does: what a browser shows
 * follows what was done to it, and one look may come too early.
 */
export async function holds(assertion: () => unknown): Promise<void> {
  for (const end = performance.now() + PATIENCE_MS;;) {
    try {
      await assertion();
      return;
    } catch (error) {
      if (!(error instanceof AssertionError) || performance.now() > end) throw error;
    }
    await pause(50);
  }
}

/** Waits until an element stays where it is, as large as it is, for two frames. */
export async function rested(page: Page, selector: string): Promise<void> {
  await until(
    page,
    `(() => {
      const box = () => JSON.stringify(document.querySelector(${JSON.stringify(selector)})
        .getBoundingClientRect());
      const before = box();
      const frame = () => new Promise((done) => requestAnimationFrame(done));
      return frame().then(frame).then(() => box() === before);
    })()`,
  );
}

/** A server on a port of its own. */
export class TestServer implements AsyncDisposable {
  readonly client: Client;
  readonly #options: AppOptions;
  #app: App;
  #server: Deno.HttpServer<Deno.NetAddr>;
  readonly #owned: boolean;
  readonly dir: string;
  /** What stands between the browser and the server; a test can put something else there. */
  front: (request: Request, app: App) => Promise<Response> = (request, app) => app.fetch(request);

  constructor(options: AppOptions = {}, dir?: string) {
    this.#owned = dir === undefined;
    this.dir = dir ?? Deno.makeTempDirSync({ prefix: "plasmite-ui" });
    this.client = new Client(this.dir);
    this.#options = options;
    this.#app = createApp(this.client, options);
    this.#server = this.#listen(0);
  }

  #listen(port: number): Deno.HttpServer<Deno.NetAddr> {
    const app = this.#app;
    return Deno.serve(
      { port, hostname: "127.0.0.1", onListen: () => {} },
      (request) => this.front(request, app),
    );
  }

  /** `http://127.0.0.1:PORT`. */
  get url(): string {
    return `http://127.0.0.1:${this.#server.addr.port}`;
  }

  /** Stops answering. */
  async stop(): Promise<void> {
    await this.#app.shutdown();
    await this.#server.shutdown();
  }

  /** Answers again on the same port. */
  start(): void {
    const { port } = this.#server.addr;
    this.#app = createApp(this.client, this.#options);
    this.#server = this.#listen(port);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
    this.client.close();
    if (this.#owned) await Deno.remove(this.dir, { recursive: true });
  }
}

/** What a page did that it must not: errors, console errors, policy violations, foreign requests. */
export function watchPage(page: Page, own: string | RegExp): string[] {
  const isOwn = (url: string): boolean =>
    typeof own === "string" ? url.startsWith(own) : own.test(url);
  const bad: string[] = [];
  page.addInitScript(
    `document.addEventListener("securitypolicyviolation", (event) =>
      console.error("policy: " + event.violatedDirective + " " + event.blockedURI))`,
  );
  page.on("pageerror", (error) => bad.push(`error: ${error.message}`));
  page.on("console", (message) => {
    const text = message.text();
    // The browser reports every refused request here; the tests look at what the page makes of it.
    if (message.type() === "error" && !text.startsWith("Failed to load resource")) bad.push(text);
  });
  page.on("request", (request) => {
    if (!isOwn(request.url()) && !request.url().startsWith("blob:")) {
      bad.push(`foreign request: ${request.url()}`);
    }
  });
  return bad;
}

interface Finding {
  readonly id: string;
  readonly impact: string;
  readonly nodes: readonly { readonly html: string }[];
}

/** Findings of axe-core that are serious or worse. */
export function serious(page: Page): Promise<string[]> {
  return violations(page, ["serious", "critical"]);
}

/** Findings of axe-core of any impact, or of some. */
export async function violations(page: Page, impacts?: readonly string[]): Promise<string[]> {
  // What is half faded has no contrast.
  await until(page, "document.getAnimations().every((one) => one.playState !== 'running')");
  await page.evaluate(axe.source);
  const found = await page.evaluate<{ violations: Finding[] }>(
    "axe.run(document, { resultTypes: ['violations'] })",
  );
  return found.violations.filter(({ impact }) => impacts?.includes(impact) ?? true)
    .map(({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html.slice(0, 160)).join(" | ")}`);
}

/** One message of a shop's backend at work, for pictures: deterministic in `i`. */
export function story(i: number): { data: Record<string, unknown>; tags: string[] } {
  const r = (n: number, salt = 0): number => ((i * 2654435761 + salt * 40503) >>> 7) % n;
  const services = ["checkout", "search", "auth", "mailer", "inventory"];
  const routes = ["/cart", "/search?q=lamp", "/login", "/orders/8841", "/items/132"];
  const service = services[r(5)] ?? "";
  const ms = 4 + r(90, 1) + (r(17, 2) === 0 ? 700 : 0);
  if (r(29, 3) === 0) {
    return {
      tags: ["error", service],
      data: { level: "error", service, msg: "upstream timed out", attempt: 1 + r(3), ms: 5000 },
    };
  }
  if (r(13, 4) === 0) {
    return {
      tags: ["warn", service],
      data: { level: "warn", service, msg: "slow query", table: "orders", ms: ms + 600 },
    };
  }
  if (r(11, 5) === 0) {
    return {
      tags: ["deploy"],
      data: { level: "info", service, version: `2.${r(9)}.${r(20)}`, status: "rolled out" },
    };
  }
  return {
    tags: [service],
    data: {
      level: "info",
      service,
      method: r(4, 6) === 0 ? "POST" : "GET",
      path: routes[r(5, 7)],
      status: r(40, 8) === 0 ? 404 : 200,
      ms,
      user: { id: 9007199254740993n + BigInt(r(1000, 9)), plan: r(3) ? "free" : "pro" },
    },
  };
}

/** Fills a pool with a past: `count` messages over `spanMs` up to now, in waves. */
export function fillPool(pool: Pool, count: number, spanMs: number, now = Date.now()): void {
  for (let i = 0; i < count; i++) {
    const x = i / count;
    const wave = x + 0.022 * Math.sin(x * 25) + 0.004 * Math.sin(x * 75) +
      0.000002 * (i * 7919 % 97);
    const { data, tags } = story(i);
    const t = now - spanMs + Math.min(1, Math.max(0, wave)) * spanMs;
    pool.append(data, { tags, timestampNs: BigInt(Math.round(t * 1000)) * 1000n });
  }
}
