/**
 * What a worker is told of messages that a stream removed while it handed out others: as many as are
 * missing, and none that somebody else was given.
 *
 * @module
 */

import "../support/environment.ts";
import assert from "node:assert/strict";
import { MissingBetween } from "../../lib/backend/nats/missing.ts";

/** How many are missing before each delivery: number, how many deliveries so far, how many tries. */
function missing(...deliveries: readonly (readonly [number, number, number?])[]): number[] {
  const between = new MissingBetween();
  return deliveries.map(([seq, count, tries = 1]) =>
    Number(between.before({ seq, count, tries, time: "0", pending: 0 }))
  );
}

Deno.test("missing: what is between two messages that follow one another", () => {
  assert.deepEqual(missing([7, 1], [8, 2], [12, 3], [13, 4]), [0, 0, 3, 0]);
});

Deno.test("missing: nothing where another worker was given messages in between", () => {
  assert.deepEqual(missing([7, 1], [12, 3], [14, 4]), [0, 0, 1]);
});

Deno.test("missing: a message that comes again says nothing, and hides nothing", () => {
  assert.deepEqual(missing([7, 1], [3, 2, 2], [9, 3]), [0, 0, 1]);
  assert.deepEqual(missing([3, 1, 2], [9, 2]), [0, 0]);
  assert.deepEqual(missing([7, 1], [3, 5, 2], [9, 6]), [0, 0, 0]);
});
