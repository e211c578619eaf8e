/**
 * Lines to feed.
 *
 * @module
 */

const LEVELS = ["info", "warn", "error", "debug"];

/** Pseudo-random numbers below `n`, the same in each run. */
function generator(): (n: number) => number {
  let state = 1;
  return (n) => {
    state = (Math.imul(state, 1103515245) + 12345) >>> 0;
    return (state >>> 8) % n;
  };
}

/** Writes as much as fits into memory at a time. */
export function writeInPieces(
  path: string,
  count: number,
  line: (i: number) => string,
): void {
  using file = Deno.openSync(path, { write: true, create: true, truncate: true });
  const encoder = new TextEncoder();
  for (let i = 0; i < count;) {
    const parts: string[] = [];
    for (const end = Math.min(i + 10_000, count); i < end; i++) parts.push(line(i));
    const bytes = encoder.encode(parts.join(""));
    for (let at = 0; at < bytes.length;) at += file.writeSync(bytes.subarray(at));
  }
}

/** Writes log-like lines of `size` bytes each, newline included. */
export function makeLines(path: string, count: number, size: number): void {
  const random = generator();
  writeInPieces(path, count, (i) => {
    const line = JSON.stringify({
      ts: `2026-02-02T23:45:${String(i % 60).padStart(2, "0")}.${
        String(i % 1000).padStart(3, "0")
      }Z`,
      level: LEVELS[random(4)],
      service: "api",
      host: `web-${i % 40}`,
      msg: "request took too long, retrying with backoff",
      value: random(100000),
      ok: i % 2 === 0,
      n: i,
    });
    const pad = size - 1 - line.length - 7;
    return `${line.slice(0, -1)},"p":"${"x".repeat(Math.max(0, pad))}"}\n`;
  });
}

/** Writes the shortest lines that are still objects with a number, for very many messages. */
export function makeSmallLines(path: string, count: number): void {
  writeInPieces(path, count, (i) => `{"i":${i}}\n`);
}
