/**
 * The framed Lite3 stream, byte by byte (docs/spec/command-line.md 1.14).
 *
 * @module
 */

import "../support/environment.ts";
import assert from "node:assert/strict";
import fc from "fast-check";
import { Buf } from "../../lib/bytes.ts";
import { FrameStreamReader, FrameStreamWriter } from "../../lib/text/frames.ts";

Deno.test("frames: the bytes are as specified", () => {
  const out = new Buf(4);
  const writer = new FrameStreamWriter(out);
  assert.equal(out.len, 0);
  writer.message(2, 1, 4, 3, new Uint8Array([9, 8, 7, 6]), 1, 2);
  // deno-fmt-ignore
  const first = [
    0x50, 0x4c, 0x53, 0x31,
    0, 0, 0, 1, 0, 0, 0, 2,
    0, 0, 0, 3, 0, 0, 0, 4,
    0, 0, 0, 2,
    8, 7,
  ];
  assert.deepEqual([...out.bytes()], first);
  out.clear();
  writer.message(0xffffffff, 0xffffffff, 0, 0, new Uint8Array(0), 0, 0);
  assert.deepEqual([...out.bytes()], [...new Array(8).fill(255), ...new Array(12).fill(0)]);
});

Deno.test("frames: what is written is read, however it is cut", () => {
  const u64 = fc.bigInt(0n, 2n ** 64n - 1n);
  const message = fc.record(
    { seq: u64, time: u64, payload: fc.uint8Array({ maxLength: 60 }) },
    { noNullPrototype: true },
  );
  fc.assert(fc.property(
    fc.array(message, { maxLength: 5 }),
    fc.array(fc.nat(200)),
    fc.boolean(),
    (messages, cuts, one) => {
      const out = new Buf(4);
      const writer = new FrameStreamWriter(out);
      const low = (n: bigint) => Number(n & 0xffffffffn);
      for (const { seq, time, payload } of messages) {
        writer.message(
          low(seq),
          low(seq >> 32n),
          low(time),
          low(time >> 32n),
          payload,
          0,
          payload.length,
        );
      }
      const got: typeof messages = [];
      const reader = new FrameStreamReader((bytes, start, end, seq, time) =>
        got.push({ seq, time, payload: bytes.slice(start, end) })
      );
      let from = 0;
      for (const to of [...cuts.sort((a, b) => a - b), Infinity]) {
        const chunk = out.bytes().slice(from, to);
        for (let at = 0; at < chunk.length;) {
          const before = got.length;
          at = reader.push(chunk, at, one);
          if (one) assert.ok(got.length <= before + 1);
        }
        from = Math.min(to, out.len);
      }
      reader.end();
      assert.deepEqual(got, messages);
    },
  ));
});

Deno.test("frames: a payload over 256 MiB is not written", () => {
  const writer = new FrameStreamWriter(new Buf(4));
  assert.throws(
    () => writer.message(1, 0, 0, 0, new Uint8Array(0), 0, 268_435_457),
    /Lite3 payload exceeds 256 MiB/,
  );
});
