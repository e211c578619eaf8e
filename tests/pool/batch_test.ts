/**
 * Checksums in a batch: what many messages begin with is summed once, so a sum that was kept for
 * too long would make every reader take good messages for damaged ones.
 *
 * @module
 */

import "../support/environment.ts";
import assert from "node:assert/strict";
import fc from "fast-check";
import { FrameBatch } from "../../lib/pool/batch.ts";
import { crc32c } from "../../lib/pool/crc32c.ts";
import { FIELD } from "../../lib/pool/frame.ts";
import { messageFromValue } from "../../lib/lite3/from_value.ts";
import { payload, SCALE } from "../support/rings.ts";

const utf8 = new TextEncoder();

/** What may be done to a batch. */
const step = fc.oneof(
  fc.record({ kind: fc.constant("json" as const), tags: fc.nat(70), n: fc.nat() }),
  fc.record({ kind: fc.constant("value" as const), tags: fc.nat(3), n: fc.nat() }),
  fc.record({ kind: fc.constant("payload" as const), tags: fc.nat(600), n: fc.nat() }),
  fc.record({ kind: fc.constant("over" as const), tags: fc.nat(3), n: fc.nat(600) }),
  fc.record({ kind: fc.constant("wrong" as const), tags: fc.nat(3), n: fc.nat() }),
  fc.record({ kind: fc.constant("aborted" as const), tags: fc.nat(3), n: fc.nat() }),
  fc.record({ kind: fc.constant("document" as const), tags: fc.nat(3), n: fc.nat() }),
  fc.record({ kind: fc.constant("behind" as const), tags: fc.nat(3), n: fc.nat(9) }),
  fc.record({ kind: fc.constant("clear" as const), tags: fc.nat(3), n: fc.nat() }),
);

const tagsOf = (n: number): string[] => n === 0 ? [] : n === 1 ? ["a", "b"] : [`tag ${n}`];

Deno.test("each frame has the checksum of its payload, whatever was encoded before it", () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 30 }), (steps) => {
      const batch = new FrameBatch(64);
      const { encoder, out } = batch;
      let start = 0;
      for (const { kind, tags, n } of steps) {
        const json = utf8.encode(kind === "wrong" ? '{"n":1' : `{"n":${n},"tags":{"n":[${n}]}}`);
        switch (kind) {
          case "json":
            batch.beginFrame();
            encoder.messageFromJson(json, 0, json.length, tagsOf(tags));
            batch.endFrame(1, 2);
            break;
          case "value":
            batch.beginFrame();
            messageFromValue(encoder, { n }, tagsOf(tags));
            batch.endFrame(1, 2);
            break;
          case "payload":
            batch.addPayload(payload(n, tags), 1, 2);
            break;
          case "over": // Something else in the place of a message that was encoded.
            batch.beginFrame();
            encoder.messageFromJson(json, 0, json.length, tagsOf(tags));
            batch.abortFrame();
            batch.addPayload(payload(n, n), 1, 2);
            break;
          case "wrong":
            batch.beginFrame();
            assert.throws(() => encoder.messageFromJson(json, 0, json.length, tagsOf(tags)));
            batch.endFrame(1, 2); // An empty payload.
            break;
          case "aborted":
            batch.beginFrame();
            encoder.messageFromJson(json, 0, json.length, tagsOf(tags));
            batch.abortFrame();
            break;
          case "document":
            batch.beginFrame();
            start = out.len;
            encoder.messageFromJson(json, 0, json.length, tagsOf(tags));
            out.len = start;
            encoder.documentFromJson(json, 0, json.length);
            batch.endFrame(1, 2);
            break;
          case "behind": // Something else begins the payload.
            batch.beginFrame();
            out.reserve(8 * n);
            out.u8.fill(n, out.len, out.len + 8 * n);
            out.len += 8 * n;
            encoder.messageFromJson(json, 0, json.length, tagsOf(tags));
            batch.endFrame(1, 2);
            break;
          case "clear":
            if (n % 4 === 0) batch.clear();
        }
        for (let i = 0; i < batch.count; i++) {
          const { u8, dv } = batch.out;
          const sum = crc32c(u8, dv, batch.payloadAt(i), batch.payloadOf(i));
          assert.equal(
            dv.getUint32(batch.startOf(i) + FIELD.crc, true),
            sum,
            `${kind}, frame ${i}`,
          );
        }
      }
    }),
    { numRuns: 200 * SCALE },
  );
});
