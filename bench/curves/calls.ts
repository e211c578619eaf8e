// deno-lint-ignore-file no-console
/**
 * Prints how many microseconds calls of the library take on the pool whose path is given: the
 * median of many, in a process that has done each before.
 *
 * @module
 */

import { median } from "../support/comparison.ts";
import { Client } from "../../mod.ts";

const [path = ""] = Deno.args;
const client = new Client();

/** The median of `runs` calls, or of as many as one second allows. */
function time(runs: number, call: () => unknown): number {
  const spans: number[] = [];
  const until = performance.now() + 1000;
  for (let i = 0; i < runs && (i < 5 || performance.now() < until); i++) {
    const start = performance.now();
    call();
    spans.push((performance.now() - start) * 1000);
  }
  return median(spans);
}

using pool = client.openPool(path);
const { oldestSeq, newestSeq } = pool.bounds();
const last = newestSeq ?? 0n;
const middle = ((oldestSeq ?? 0n) + last) / 2n;
const calls: Readonly<Record<string, () => unknown>> = {
  "open a pool": () => client.openPool(path).close(),
  "append": () => pool.append({ i: 1 }),
  "get the newest": () => pool.get(last),
  "get the middle one": () => pool.get(middle),
};
const found: Record<string, number> = {};
for (const [name, call] of Object.entries(calls)) {
  time(200, call); // The first calls compile.
  found[name] = time(2000, call);
}
console.log(JSON.stringify(found));
