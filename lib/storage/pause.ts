/**
 * Two ways to wait a moment: in place, and without blocking anyone.
 *
 * @module
 */

let cell: Int32Array | undefined;

/** Sleeps in place; only for callers that have nothing else to do. */
export function sleepSync(ms: number): void {
  cell ??= new Int32Array(new SharedArrayBuffer(4));
  Atomics.wait(cell, 0, 0, ms);
}

/** Sleeps without blocking anyone. */
export function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
