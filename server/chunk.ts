/**
 * What a stream sends next. If that is one message that others get as well, it is printed once for
 * all of them, and they send the same bytes.
 *
 * @module
 */

import type { Walk } from "../lib/backend/types.ts";
import { Buf } from "../lib/bytes.ts";
import type { Encoding } from "./encodings.ts";

/** Where messages are printed that others get as well. */
let scratch = new Buf(4096);
/** How large it may stay, in bytes. */
const LARGEST = 1 << 20;

/** Messages until they are sent. */
export class Chunk {
  #buf: Buf | null = null;
  /** The first message, while it is the only one. */
  #single: Uint8Array<ArrayBuffer> | null = null;

  /** How many bytes there are. */
  get length(): number {
    return this.#single?.length ?? this.#buf?.len ?? 0;
  }

  /** Where more is appended. */
  get buf(): Buf {
    const buf = this.#buf ??= new Buf(4096);
    if (this.#single !== null) append(this.#single, buf);
    this.#single = null;
    return buf;
  }

  /**
   * Appends the current message of a walk.
   *
   * @throws {PlasmiteError} Corrupt if it cannot be read
   */
  put(encoding: Encoding, walk: Walk): void {
    const { frame } = walk;
    const printed = frame.printed ?? null;
    if (printed === null) return encoding.put(walk.message, frame, this.buf);
    let bytes = printed.get(encoding);
    if (bytes === undefined) {
      scratch.clear();
      encoding.put(walk.message, frame, scratch);
      printed.set(encoding, bytes = scratch.bytes().slice());
      if (bytes.length > LARGEST) scratch = new Buf(4096);
    }
    if (this.length === 0) this.#single = bytes;
    else append(bytes, this.buf);
  }

  /** Takes what is to be sent; nobody changes these bytes. */
  take(): Uint8Array {
    const bytes = this.#single ?? this.buf.bytes().slice();
    this.#single = null;
    this.#buf?.clear();
    return bytes;
  }
}

function append(bytes: Uint8Array, buf: Buf): void {
  buf.reserve(bytes.length);
  buf.u8.set(bytes, buf.len);
  buf.len += bytes.length;
}
