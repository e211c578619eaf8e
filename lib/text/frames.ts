/**
 * The framed Lite3 stream (docs/spec/command-line.md 1.14): `PLS1` once, then for each message its
 * sequence number, its time, and its stored bytes unchanged. All integers are big-endian.
 *
 * @module
 */

import { Buf } from "../bytes.ts";
import { PlasmiteError } from "../errors.ts";

/** The stream's first four bytes: ASCII `PLS1`. */
const PREFIX = 0x504c5331;
const PREFIX_SIZE = 4;
/** Sequence number u64, time in ns since 1970 u64, payload length u32. */
const HEADER_SIZE = 20;
/** The largest payload in a stream: 256 MiB. */
export const MAX_LITE3_PAYLOAD = 268_435_456;

function tooLarge(): PlasmiteError {
  return new PlasmiteError("Usage", "Lite3 payload exceeds 256 MiB", {
    hint: "Check that the input is a framed Lite3 stream; one message can hold 256 MiB.",
  });
}

/** Writes a framed Lite3 stream to a buffer; without messages it writes nothing. */
export class FrameStreamWriter {
  readonly #out: Buf;
  #begun = false;

  /** Creates a writer that appends to `out`, which may be emptied between messages. */
  constructor(out: Buf) {
    this.#out = out;
  }

  /**
   * Appends one message: the payload `bytes[start, start + length)`, copied unchanged.
   *
   * @param seqLo low 32 bits of the sequence number
   * @param seqHi high 32 bits
   * @param timeLo low 32 bits of the time in nanoseconds since 1970
   * @param timeHi high 32 bits
   * @throws {PlasmiteError} Usage for a payload over 256 MiB
   */
  message(
    seqLo: number,
    seqHi: number,
    timeLo: number,
    timeHi: number,
    bytes: Uint8Array,
    start: number,
    length: number,
  ): void {
    if (length > MAX_LITE3_PAYLOAD) throw tooLarge();
    const out = this.#out;
    out.reserve(PREFIX_SIZE + HEADER_SIZE + length);
    const { dv } = out;
    if (!this.#begun) {
      this.#begun = true;
      dv.setUint32(out.len, PREFIX);
      out.len += PREFIX_SIZE;
    }
    dv.setUint32(out.len, seqHi);
    dv.setUint32(out.len + 4, seqLo);
    dv.setUint32(out.len + 8, timeHi);
    dv.setUint32(out.len + 12, timeLo);
    dv.setUint32(out.len + 16, length);
    out.len += HEADER_SIZE;
    out.u8.set(bytes.subarray(start, start + length), out.len);
    out.len += length;
  }
}

/** Called for each message in a stream; the bytes are valid only during the call. */
export type FrameReceiver = (
  bytes: Uint8Array,
  start: number,
  end: number,
  seq: bigint,
  timeNs: bigint,
) => void;

/** Reads a framed Lite3 stream in pieces. It checks the framing but not the payloads. */
export class FrameStreamReader {
  readonly #receive: FrameReceiver;
  /** Bytes of the incomplete part. */
  readonly #carry = new Buf(HEADER_SIZE);
  #part: "prefix" | "frame" | "payload" = "prefix";
  /** Length of the part that comes next. */
  #need = PREFIX_SIZE;
  #seq = 0n;
  #time = 0n;

  /** Creates a reader that passes each message to `receive`. */
  constructor(receive: FrameReceiver) {
    this.#receive = receive;
  }

  /**
   * Reads bytes from `start` on.
   *
   * @param one whether to stop after the first complete message
   * @returns the index after the bytes read
   * @throws {PlasmiteError} Usage if this is not such a stream
   */
  push(chunk: Uint8Array, start: number, one = false): number {
    const carry = this.#carry;
    let at = start;
    while (at < chunk.length) {
      const was = this.#part;
      const stop = Math.min(chunk.length, at + this.#need - carry.len);
      if (carry.len === 0 && stop - at === this.#need) this.#take(chunk, at, stop);
      else {
        carry.reserve(stop - at);
        carry.u8.set(chunk.subarray(at, stop), carry.len);
        carry.len += stop - at;
        if (carry.len < this.#need) return stop;
        const { u8, len } = carry;
        carry.clear();
        this.#take(u8, 0, len);
      }
      at = stop;
      if (this.#need === 0) this.#take(chunk, at, at);
      if (one && was !== "prefix" && this.#part === "frame") return at;
    }
    return at;
  }

  /**
   * Marks the end of the stream.
   *
   * @throws {PlasmiteError} Usage when it ended inside a message
   */
  end(): void {
    if (this.#part === "payload" || this.#carry.len > 0) {
      const what = this.#part === "prefix" ? "stream prefix" : this.#part;
      throw new PlasmiteError("Usage", `incomplete Lite3 ${what}`, {
        hint: "The stream was cut off; messages before the cut are stored.",
      });
    }
  }

  #take(bytes: Uint8Array, start: number, end: number): void {
    if (this.#part === "payload") {
      this.#part = "frame";
      this.#need = HEADER_SIZE;
      this.#receive(bytes, start, end, this.#seq, this.#time);
      return;
    }
    const view = new DataView(bytes.buffer, bytes.byteOffset + start, end - start);
    if (this.#part === "prefix") {
      if (view.getUint32(0) !== PREFIX) {
        throw new PlasmiteError("Usage", "invalid Lite3 stream prefix", {
          hint: "A framed Lite3 stream begins with PLS1; for a bare payload use lite3-raw.",
        });
      }
      this.#part = "frame";
      this.#need = HEADER_SIZE;
      return;
    }
    this.#seq = view.getBigUint64(0);
    this.#time = view.getBigUint64(8);
    this.#need = view.getUint32(16);
    if (this.#need > MAX_LITE3_PAYLOAD) throw tooLarge();
    this.#part = "payload";
  }
}
