/**
 * CRC-32C: known sums, and all ways through the tables against a bit-by-bit model.
 *
 * @module
 */

import "../support/environment.ts";
import assert from "node:assert/strict";
import fc from "fast-check";
import { crc32c } from "../../lib/pool/crc32c.ts";

function sum(u8: Uint8Array<ArrayBuffer>, start = 0, len = u8.length): number {
  return crc32c(u8, new DataView(u8.buffer), start, len);
}

function model(bytes: Uint8Array): number {
  let crc = 0xffffffff;
  for (const b of bytes) {
    crc ^= b;
    for (let i = 0; i < 8; i++) crc = (crc >>> 1) ^ (crc & 1 ? 0x82f63b78 : 0);
  }
  return ~crc >>> 0;
}

/** RFC 3720 B.4 and docs/spec/format.md 2. */
const known: [Uint8Array<ArrayBuffer>, number][] = [
  [new TextEncoder().encode("123456789"), 0xe3069283],
  [new Uint8Array(0), 0],
  [new Uint8Array(32), 0x8a9136aa],
  [new Uint8Array(32).fill(0xff), 0x62a8ab43],
  [Uint8Array.from({ length: 32 }, (_, i) => i), 0x46dd794e],
  [Uint8Array.from({ length: 32 }, (_, i) => 31 - i), 0x113fdb5c],
];

// The small table is used for the first bytes of a process, the large ones later: check both.
for (const round of ["small table", "large tables"]) {
  Deno.test(`known sums, ${round}`, () => {
    for (const [bytes, expected] of known) assert.equal(sum(bytes), expected);
    if (round === "small table") {
      // The large tables are made in the middle of a sum that goes on.
      const big = new Uint8Array(100_000).fill(7);
      const view = new DataView(big.buffer);
      const start = crc32c(big, view, 0, 9);
      assert.equal(crc32c(big, view, 9, big.length - 9, start), model(big));
    }
  });
}

Deno.test("any stretch of any bytes, aligned or not", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 300 }), fc.nat(), fc.nat(), (data, a, b) => {
      const bytes = Uint8Array.from(data);
      const start = a % (bytes.length + 1);
      const len = b % (bytes.length - start + 1);
      assert.equal(sum(bytes, start, len), model(bytes.subarray(start, start + len)));
    }),
    { numRuns: 1000 },
  );
});

Deno.test("a sum that goes on from the sum of the bytes before", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 300 }), fc.nat(), (data, at) => {
      const bytes = Uint8Array.from(data);
      const view = new DataView(bytes.buffer);
      const half = at % (bytes.length + 1);
      const before = crc32c(bytes, view, 0, half);
      assert.equal(crc32c(bytes, view, half, bytes.length - half, before), model(bytes));
    }),
    { numRuns: 500 },
  );
});
