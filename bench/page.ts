// deno-lint-ignore-file no-console
/**
 * How soon the page shows the first rows of a large pool, in Chromium: from the navigation to the
 * frame after the first rows were there, without a cache. `deno run -A bench/page.ts [--messages N]
 * [--rounds N] [--pi] [--against CHECKOUT]` prints one JSON line. With `--pi` the server has one core
 * and little memory; with `--against` pages of the server of another checkout are opened in turns.
 *
 * Server and browser are processes of their own. The yardstick of the same run is the time to the
 * first frame of a page that is one line of HTML with a script, served by a bare `Deno.serve`.
 *
 * @module
 */

import type { Browser } from "playwright-core";
import { Client } from "../lib/client/client.ts";
import { launch, story } from "../tests/support/browser.ts";
import { startServe } from "./curves/serve.ts";
import { LIMITS } from "./support/pi.ts";
import { memory } from "./support/processes.ts";

function option(name: string, fallback: number): number {
  const at = Deno.args.indexOf(name);
  return at < 0 ? fallback : Number(Deno.args[at + 1] ?? fallback);
}

const MESSAGES = option("--messages", 1_000_000);
const ROUNDS = option("--rounds", 10);

/** Notes when the first rows were painted, and what was there before. */
const NOTE_FIRST_ROWS = `new MutationObserver((_, self) => {
  if (!document.querySelector(".row:not([hidden]) .data, .bare")) return;
  self.disconnect();
  requestAnimationFrame(() => setTimeout(() => globalThis.firstRows = performance.now()));
}).observe(document, { childList: true, subtree: true })`;

/** A pool of about 200 bytes a message. */
function fill(dir: string): void {
  using client = new Client(dir);
  using pool = client.createPool("big", Math.max(1 << 20, MESSAGES * 400));
  const now = Date.now();
  for (let i = 0; i < MESSAGES; i++) {
    const { data, tags } = story(i);
    pool.append(data, { tags, timestampNs: BigInt(now - (MESSAGES - i) * 10) * 1_000_000n });
  }
}

interface Look {
  readonly first: number;
  /** Processor time of the page's main thread; other work on the machine does not count. */
  readonly cpu: number;
  readonly marks: Readonly<Record<string, number>>;
}

/** How long to wait for rows before it is certain that none come, in milliseconds. */
const PATIENCE_MS = 60_000;

/** Opens a page in a fresh context; the time to its first rows. */
async function look(browser: Browser, url: string): Promise<Look> {
  const context = await browser.newContext({ viewport: { width: 1280, height: 800 } });
  const page = await context.newPage();
  const session = await context.newCDPSession(page);
  await session.send("Performance.enable", { timeDomain: "threadTicks" });
  await page.addInitScript(NOTE_FIRST_ROWS);
  await page.goto(url);
  let first: number | undefined;
  for (const end = performance.now() + PATIENCE_MS; first === undefined;) {
    if (performance.now() > end) {
      const seen = await page.evaluate<string>("document.body.innerText");
      throw new Error(`No rows within ${PATIENCE_MS} ms. The page says:\n${seen}`);
    }
    first = await page.evaluate<number | undefined>("globalThis.firstRows");
    if (first === undefined) await new Promise((done) => setTimeout(done, 10));
  }
  const { metrics } = await session.send("Performance.getMetrics");
  const cpu = 1000 * (metrics.find(({ name }) => name === "TaskDuration")?.value ?? 0);
  const marks = await page.evaluate<Record<string, number>>(`Object.fromEntries(
    performance.getEntriesByType("resource").filter((one) => one.startTime < firstRows)
      .map((one) => [new URL(one.name).pathname, [one.startTime, one.responseStart, one.responseEnd].map(Math.round)]))`);
  await context.close();
  return { first, cpu, marks };
}

const round = (ms: number): number => Math.round(ms * 10) / 10;

/** The least, the lower quartile and the median. */
function sum(times: readonly number[]): { best: number; quartile: number; median: number } {
  const sorted = [...times].sort((a, b) => a - b);
  const at = (part: number): number => round(sorted[Math.floor(sorted.length * part)] ?? 0);
  return { best: at(0), quartile: at(0.25), median: at(0.5) };
}

interface Looks {
  readonly rows: number[];
  readonly cpu: number[];
  /** What the quickest look asked for. */
  marks: Look["marks"];
}

/** Looks once more, at a page of this server. */
async function lookAgain(browser: Browser, url: string, looks: Looks): Promise<void> {
  const one = await look(browser, `${url}/ui/pools/big`);
  if (one.first < Math.min(Infinity, ...looks.rows)) looks.marks = one.marks;
  looks.rows.push(one.first);
  looks.cpu.push(one.cpu);
}

async function main(): Promise<void> {
  const dir = await Deno.makeTempDir({ prefix: "plasmite-bench-" });
  fill(dir);
  const limits = Deno.args.includes("--pi") ? LIMITS : {};
  const other = Deno.args[Deno.args.indexOf("--against") + 1];
  const against = Deno.args.includes("--against") && other !== undefined
    ? await startServe(dir, { ...limits, root: other })
    : null;
  const { child: server, url: address } = await startServe(dir, limits);
  const bare = Deno.serve(
    { port: 0, hostname: "127.0.0.1", onListen: () => {} },
    () =>
      new Response(
        `<!doctype html><script>document.body.append(Object.assign(document.createElement("p"),
        { className: "bare" }))</script>`.replace("<script>", "<body><script>"),
        { headers: { "content-type": "text/html" } },
      ),
  );
  const browser = await launch();
  try {
    const yardstick: number[] = [];
    const mine: Looks = { rows: [], cpu: [], marks: {} };
    const theirs: Looks = { rows: [], cpu: [], marks: {} };
    for (let i = 0; i < ROUNDS; i++) {
      yardstick.push((await look(browser, `http://127.0.0.1:${bare.addr.port}/`)).first);
      if (against !== null) await lookAgain(browser, against.url, theirs);
      await lookAgain(browser, address, mine);
    }
    if (Deno.args.includes("--marks")) console.error(mine.marks);
    console.log(JSON.stringify({
      messages: MESSAGES,
      rounds: ROUNDS,
      first_rows_ms: sum(mine.rows),
      main_thread_cpu_ms: sum(mine.cpu),
      ...against === null ? {} : {
        against: { first_rows_ms: sum(theirs.rows), main_thread_cpu_ms: sum(theirs.cpu) },
      },
      bare_page_ms: sum(yardstick),
      rows_ms: mine.rows.map(round),
      bare_ms: yardstick.map(round),
      server_peak_mb: round(memory(server.pid).peakMb),
    }));
  } finally {
    await browser.close();
    await bare.shutdown();
    for (const child of [server, ...against === null ? [] : [against.child]]) {
      child.kill("SIGTERM");
      await child.status;
    }
    await Deno.remove(dir, { recursive: true });
  }
}

await main();
