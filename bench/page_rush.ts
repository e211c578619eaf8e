/**
 * Measures the page while messages pour in: frames a second, the longest frame, memory over time,
 * whether everything arrived, and how many bytes its first paint takes. `deno run -A
 * bench/page_rush.ts [RATE] [SECONDS]` (5000, 60) prints one JSON line.
 *
 * The writer is a process of its own, so that it does not compete with the server for one thread.
 *
 * @module
 */

import type { Page } from "playwright-core";
import { Client } from "../lib/client/client.ts";
import { launch, story, TestServer } from "../tests/support/browser.ts";

const write = (text: string): number => Deno.stdout.writeSync(new TextEncoder().encode(text));

async function writer(dir: string, rate: number, seconds: number): Promise<void> {
  using client = new Client(dir);
  using pool = client.openPool("rush");
  const start = performance.now();
  const total = rate * seconds;
  for (let n = 0; n < total;) {
    const due = Math.min(total, Math.floor((performance.now() - start) / 1000 * rate));
    for (; n < due; n++) {
      const { data, tags } = story(n);
      pool.append(data, tags);
    }
    await new Promise((done) => setTimeout(done, 5));
  }
}

interface Measured {
  readonly frames: number;
  readonly ms: number;
  readonly longest: number;
  readonly p95: number;
}

/** Bytes over the wire of a page and of the files that it names. */
async function firstPaint(page: Page, url: string): Promise<number> {
  const html = await (await fetch(url)).text();
  const named = new Set([...html.matchAll(/(?:href|src)="([^"]+)"/g)].map(([, path]) => path));
  const sizes = await page.evaluate<[string, number][]>(
    `["navigation", "resource"].flatMap((kind) => performance.getEntriesByType(kind))
      .map(({ name, encodedBodySize }) => [new URL(name).pathname, encodedBodySize])`,
  );
  named.add(new URL(url).pathname);
  return sizes.filter(([path]) => named.has(path)).reduce((sum, [, bytes]) => sum + bytes, 0);
}

/** Counts animation frames in the page from now on. */
const COUNT = `(() => {
  const times = globalThis.frameTimes = [];
  let last = performance.now();
  const tick = (now) => (times.push(now - last), last = now, requestAnimationFrame(tick));
  requestAnimationFrame(tick);
})()`;
const REPORT = `(() => {
  const times = frameTimes.splice(0).sort((a, b) => a - b);
  return {
    frames: times.length,
    ms: times.reduce((a, b) => a + b, 0),
    longest: times.at(-1),
    p95: times[Math.floor(times.length * 0.95)],
  };
})()`;

async function measure(rate: number, seconds: number): Promise<void> {
  await using server = new TestServer();
  server.client.createPool("rush", 1 << 26);
  const browser = await launch();
  const page = await browser.newPage({ viewport: { width: 1280, height: 800 } });
  const session = await page.context().newCDPSession(page);
  const memory = async (): Promise<number> => {
    await session.send("HeapProfiler.collectGarbage");
    const { usedSize } = await session.send("Runtime.getHeapUsage");
    return Math.round(usedSize / 1e5) / 10;
  };
  const whole = await browser.newBrowserCDPSession();
  // Strings of messages lie outside of the script heap, so the process counts.
  const resident = async (): Promise<number> => {
    const { processInfo } = await whole.send("SystemInfo.getProcessInfo");
    let most = 0;
    for (const { type, id } of processInfo) {
      if (type !== "renderer") continue;
      const status = await Deno.readTextFile(`/proc/${id}/status`).catch(() => "");
      most = Math.max(most, Number(/VmRSS:\s+(\d+)/.exec(status)?.[1] ?? 0) / 1024);
    }
    return Math.round(most);
  };
  await page.goto(`${server.url}/ui/pools/rush`);
  await page.locator(".lamp.live").waitFor();
  const first_paint_bytes = await firstPaint(page, `${server.url}/ui/pools/rush`);
  await page.evaluate(COUNT);
  await page.waitForTimeout(1000);
  const idle = await page.evaluate<Measured>(REPORT);
  const before = await memory();
  const residentBefore = await resident();
  const child = new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", import.meta.url, "--writer", server.dir, `${rate}`, `${seconds}`],
  }).spawn();
  await page.waitForTimeout(1500);
  await page.evaluate(REPORT);
  const begun = performance.now();
  // Memory in four parts of the time, to see whether it grows once the list is full.
  const held_mb: number[] = [];
  for (let part = 0; part < 4; part++) {
    await page.waitForTimeout(Math.max(1, seconds - 3) * 250);
    held_mb.push(await resident());
  }
  const busy = await page.evaluate<Measured>(REPORT);
  const watched = performance.now() - begun;
  await child.status;
  const total = rate * seconds;
  await page.locator(".row", { hasText: new RegExp(`^\\s*${total}`) }).first().waitFor();
  const behind = performance.now() - begun - watched;
  const after = await memory();
  const residentAfter = await resident();
  const held = await page.locator(".row").first().getAttribute("aria-setsize");
  const gaps = await page.locator(".row.mark").count();
  await browser.close();
  const fps = ({ frames, ms }: Measured): number => Math.round(frames / ms * 10_000) / 10;
  const round = (n: number): number => Math.round(n * 10) / 10;
  write(`${
    JSON.stringify({
      rate,
      seconds,
      first_paint_bytes,
      idle_fps: fps(idle),
      fps: fps(busy),
      p95_frame_ms: round(busy.p95),
      longest_frame_ms: round(busy.longest),
      heap_before_mb: before,
      heap_after_mb: after,
      process_before_mb: residentBefore,
      process_in_between_mb: held_mb,
      process_after_mb: residentAfter,
      rows_held: Number(held),
      gaps_drawn: gaps,
      settled_after_ms: Math.round(behind),
    })
  }\n`);
}

const [first = "5000", second = "60", ...rest] = Deno.args;
if (first === "--writer") await writer(second, Number(rest[0]), Number(rest[1]));
else await measure(Number(first), Number(second));
