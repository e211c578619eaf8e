/**
 * What is taken for a message behind damage, and what is not (docs/spec/format.md 5.5).
 *
 * @module
 */

import "../support/environment.ts";
import assert from "node:assert/strict";
import { FIELD, putFrameHeader, putMarker } from "../../lib/pool/frame.ts";
import { FRAME_HEADER } from "../../lib/pool/layout.ts";
import { Resync } from "../../lib/pool/resync.ts";
import { Ring } from "../../lib/pool/ring.ts";
import type { Storage } from "../../lib/storage/storage.ts";
import { MemoryStorage } from "../support/memory.ts";
import { append, hooked, newRing, payload, POOL } from "../support/rings.ts";
import { specCheck } from "../support/spec_checker.ts";

const ringAt = (bytes: Uint8Array): number =>
  Number(new DataView(bytes.buffer, bytes.byteOffset).getBigUint64(40, true));

/**
 * A pool of messages 1 to 40, of which one is long, with what a test puts into it; and what is found
 * behind that message.
 */
function behindLong(
  long: number,
  put: (view: DataView, place: number, head: number) => void,
  cut = Infinity,
): { readonly seq: bigint; readonly isReal: boolean } | null {
  const storage = new MemoryStorage();
  const { ring: writer } = newRing(65_536, 0, storage);
  for (let i = 1; i <= 40; i++) append(writer, payload(i, i === long ? 2000 : 160));
  writer.close();
  const bytes = storage.bytes(POOL);
  const places = new Map(specCheck(bytes, false).messages.map(({ seq, at }) => [seq, at]));
  const place = places.get(BigInt(long)) ?? -1;
  const head = Number(new DataView(bytes.buffer, 64).getBigUint64(0, true));
  put(new DataView(bytes.buffer, ringAt(bytes)), place, head);
  storage.put(POOL, bytes);
  let isCut = false;
  const short: Storage = {
    open: (path, options) => {
      const file = hooked(storage, {}).open(path, options);
      const readAt = (into: Uint8Array, at: number): number =>
        Math.max(0, Math.min(file.readAt(into, at), isCut ? cut - at : Infinity));
      return { ...file, readAt };
    },
    remove: (path) => storage.remove(path),
  };
  const ring = Ring.open(short, POOL);
  const state = ring.state();
  const resync = new Resync();
  resync.begin(ring, state, BigInt(long), place, false);
  isCut = true;
  for (let steps = 0; steps < 1000; steps++) {
    const found = resync.step(ring, state);
    if (found === "more") continue;
    ring.close();
    return found === null ? null : {
      seq: found.seq,
      isReal: found.place === places.get(found.seq),
    };
  }
  assert.fail("the search ends");
}

/** Puts a committed frame with a commit marker into a ring. */
function putFrame(view: DataView, at: number, seq: bigint, length: number): void {
  putFrameHeader(view, at, length, 1, 0, 0);
  view.setBigUint64(at + FIELD.seq, seq, true);
  putMarker(view, at + FRAME_HEADER + length);
}

// Lost: messages, to bytes that somebody wrote into another one, or that an older one left.
Deno.test("behind damage only that is taken for a message which can be one", () => {
  const real = (seq: bigint) => ({ seq, isReal: true });
  const inside = 2 * FRAME_HEADER;
  /** Spoils the header of message 10 and puts a frame into its payload. */
  const forged = (seq: bigint, length: number, then?: (view: DataView, at: number) => void) =>
    behindLong(10, (view, place) => {
      view.setUint32(place, 0, true);
      putFrame(view, place + inside, seq, length);
      then?.(view, place + inside);
    });
  assert.deepEqual(forged(10n, 40), { seq: 10n, isReal: false }, "it may be the damaged one");
  assert.deepEqual(forged(11n, 40), { seq: 11n, isReal: false }, "or the next");
  assert.deepEqual(forged(9n, 40), real(11n), "a number from before");
  assert.deepEqual(forged(13n, 40), real(11n), "no room before it for the others");
  const noMarker = (view: DataView, at: number) => view.setUint32(at + FRAME_HEADER + 40, 0, true);
  assert.deepEqual(forged(10n, 40, noMarker), real(11n), "no marker");
  const largest = behindLong(10, (view, place, head) => {
    view.setUint32(place, 0, true);
    const at = place + inside;
    putFrame(view, at, 10n, head - 80 - at - FRAME_HEADER);
  });
  assert.deepEqual(largest, real(11n), "no room behind it for the others");
  const later = behindLong(40, (view, place) => {
    view.setUint32(place, 0, true);
    putFrame(view, place + inside, 41n, 40);
  });
  assert.equal(later, null, "a number that was not given yet");
});

// Lost: as above, or messages behind a damaged length.
Deno.test("behind damage, what a header says of its own length counts if it can be true", () => {
  const lengthAt = (view: DataView, at: number, length: number): void => {
    view.setUint32(at + FIELD.payloadLength, length, true);
    view.setUint32(at + FIELD.payloadXor, ~length, true);
  };
  const real = { seq: 11n, isReal: true };
  const inPayload = behindLong(10, (view, place) => {
    putFrame(view, place + 2 * FRAME_HEADER, 11n, 40);
  });
  assert.deepEqual(inPayload, real, "nothing inside a payload");
  const tooLong = behindLong(10, (view, place) => lengthAt(view, place, 50_000));
  assert.deepEqual(tooLong, real, "a length beyond the head");
  const other = behindLong(10, (view, place) => {
    view.setBigUint64(place + FIELD.seq, 12n, true);
    lengthAt(view, place, 3000);
  });
  assert.deepEqual(other, real, "the length of another message");
});

// Lost: the processor, for ever, to a file that is cut short while it is read.
Deno.test("behind damage, a file that ends is searched to its end", () => {
  // Inside message 10: behind nine frames of 232 bytes, and 8 bytes behind its header.
  const cut = 4096 + 9 * 232 + FRAME_HEADER + 8;
  assert.equal(behindLong(10, (view, place) => view.setUint32(place, 0, true), cut), null);
});
