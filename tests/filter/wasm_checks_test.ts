/**
 * A worker that computes cannot be ended from outside, so jq is rewritten to look whether it should
 * stop. Lost otherwise: a processor of the server, for ever, to one filter that loops.
 *
 * @module
 */

import "../support/environment.ts";
import assert from "node:assert/strict";
import { withChecks } from "../../lib/filter/wasm_checks.ts";

/** (module (import "m" "c" (func (result f64))) (global (mut i32) …) (func (export "f") (loop br 0))) */
const ENDLESS = [
  ...[0, 97, 115, 109, 1, 0, 0, 0],
  ...[1, 8, 2, 0x60, 0, 1, 0x7c, 0x60, 0, 0],
  ...[2, 7, 1, 1, 109, 1, 99, 0, 0],
  ...[3, 2, 1, 1],
  ...[6, 6, 1, 0x7f, 1, 0x41, 5, 0x0b],
  ...[7, 5, 1, 1, 102, 0, 1],
  ...[10, 9, 1, 7, 0, 3, 0x40, 0x0c, 0, 0x0b, 0x0b],
];

Deno.test("a loop that never ends calls its import, again and again, and stops when that throws", () => {
  for (const every of [1, 63, 64, 100_000]) {
    const module = new WebAssembly.Module(withChecks(Uint8Array.from(ENDLESS), "c", every));
    let calls = 0;
    const instance = new WebAssembly.Instance(module, {
      m: {
        c: () => {
          if (++calls === 3) throw new Error("stop");
          return 0;
        },
      },
    });
    assert.throws(instance.exports["f"] as () => void, /stop/);
    assert.equal(calls, 3);
  }
});

Deno.test("what is no module, has an unknown instruction or lacks the import is refused", () => {
  const unknown = Uint8Array.from(ENDLESS);
  unknown[unknown.length - 4] = 0xfd;
  assert.throws(() => withChecks(unknown, "c", 10), /unknown instruction 0xfd/);
  assert.throws(() => withChecks(Uint8Array.from(ENDLESS), "other", 10), /cannot be checked/);
});
