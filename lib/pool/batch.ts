/**
 * A sequence of encoded frames, ready to be written at once.
 *
 * Everything that takes time (parsing, encoding, checksums) happens here, before the lock is taken;
 * under the lock only sequence numbers are filled in.
 *
 * @module
 */

import { Buf } from "../bytes.ts";
import { PlasmiteError } from "../errors.ts";
import { Lite3Encoder } from "../lite3/encode.ts";
import { crc32c } from "./crc32c.ts";
import { FIELD, putFrameHeader, putMarker } from "./frame.ts";
import { FRAME_HEADER, frameLength, MARKER_SIZE, MAX_PAYLOAD } from "./layout.ts";

/** A growing sequence of frames, without their sequence numbers. */
export class FrameBatch {
  /** The frames' bytes; each frame begins at a multiple of 8. */
  readonly out: Buf;
  /** Encodes payloads into {@linkcode FrameBatch.out}. */
  readonly encoder: Lite3Encoder;
  /** How many whole frames there are. */
  count = 0;
  #starts: number[] = [];
  #start = 0;
  /** What the last messages began with, and its checksum. */
  #head: Uint8Array | null = null;
  #headCrc = 0;

  /** Creates an empty batch with a capacity of `capacity` bytes. */
  constructor(capacity = 16 * 1024) {
    this.out = new Buf(capacity);
    this.encoder = new Lite3Encoder(this.out);
  }

  /** Bytes of all whole frames. */
  get bytes(): number {
    return this.count === 0 ? 0 : this.out.len;
  }

  /** Starts a frame: reserves its header, so that the payload is written at `out.len`. */
  beginFrame(): void {
    this.#start = this.out.len;
    this.out.reserve(FRAME_HEADER);
    this.out.len += FRAME_HEADER;
    this.encoder.envelope = null;
  }

  /**
   * Completes the frame whose payload ends at `out.len`.
   *
   * @param timeLo low 32 bits of the time in nanoseconds since 1970
   * @param timeHi high 32 bits
   * @throws {PlasmiteError} Usage for a payload over 256 MiB
   */
  endFrame(timeLo: number, timeHi: number): void {
    const start = this.#start;
    const payload = this.out.len - start - FRAME_HEADER;
    if (payload > MAX_PAYLOAD) {
      this.abortFrame();
      throw new PlasmiteError("Usage", "payload too large", {
        hint: "One message may take 256 MiB at most; split it.",
      });
    }
    const end = start + frameLength(payload);
    this.out.reserve(end - this.out.len);
    const { dv } = this.out;
    const marker = start + FRAME_HEADER + payload;
    putMarker(dv, marker);
    for (let i = marker + MARKER_SIZE; i < end; i++) dv.setUint8(i, 0);
    const crc = this.#checksum(start + FRAME_HEADER, payload);
    putFrameHeader(dv, start, payload, timeLo, timeHi, crc);
    this.out.len = end;
    this.#starts.push(start);
    this.count++;
  }

  /** The checksum of a payload; what many messages have in common is summed once. */
  #checksum(at: number, length: number): number {
    const { encoder, out: { dv, u8 } } = this;
    const { dataAt, envelope } = encoder;
    if (envelope === null || encoder.base !== at || length < dataAt) {
      return crc32c(u8, dv, at, length);
    }
    if (envelope !== this.#head) {
      this.#head = envelope;
      this.#headCrc = crc32c(u8, dv, at, dataAt);
    }
    return crc32c(u8, dv, at + dataAt, length - dataAt, this.#headCrc);
  }

  /** Discards the frame that was started. */
  abortFrame(): void {
    this.out.len = this.#start;
  }

  /**
   * Keeps the first `count` frames and discards the rest, for a line that turned out to be invalid.
   */
  truncate(count: number): void {
    if (count >= this.count) return;
    this.out.len = this.#starts[count] ?? 0;
    this.#starts.length = count;
    this.count = count;
  }

  /** Appends an encoded payload as a frame. */
  addPayload(payload: Uint8Array, timeLo: number, timeHi: number): void {
    this.beginFrame();
    this.out.reserve(payload.length);
    this.out.u8.set(payload, this.out.len);
    this.out.len += payload.length;
    this.endFrame(timeLo, timeHi);
  }

  /** Appends a copy of frames `from` to `to` (exclusive) of another batch. */
  addFrames(other: FrameBatch, from: number, to: number): void {
    const bytes = other.slice(from, to);
    const moved = this.out.len - other.startOf(from);
    this.out.reserve(bytes.length);
    this.out.u8.set(bytes, this.out.len);
    this.out.len += bytes.length;
    for (let i = from; i < to; i++) this.#starts.push(other.startOf(i) + moved);
    this.count += to - from;
  }

  /** Where frame `i` begins in {@linkcode FrameBatch.out}; for `count`, where the last one ends. */
  startOf(i: number): number {
    return this.#starts[i] ?? this.out.len;
  }

  /** Total length of frame `i` in bytes. */
  lengthOf(i: number): number {
    return this.startOf(i + 1) - this.startOf(i);
  }

  /** Bytes of the payload of frame `i`. */
  payloadOf(i: number): number {
    return this.out.dv.getUint32(this.startOf(i) + FIELD.payloadLength, true);
  }

  /** Where that payload begins in {@linkcode FrameBatch.out}. */
  payloadAt(i: number): number {
    return this.startOf(i) + FRAME_HEADER;
  }

  /** The payload of frame `i`, without copying. */
  payload(i: number): Uint8Array<ArrayBuffer> {
    const at = this.payloadAt(i);
    return this.out.u8.subarray(at, at + this.payloadOf(i));
  }

  /** The time of frame `i` in nanoseconds since 1970. */
  timeOf(i: number): bigint {
    return this.out.dv.getBigUint64(this.startOf(i) + FIELD.time, true);
  }

  /** The low 32 bits of that time. */
  timeLo(i: number): number {
    return this.out.dv.getUint32(this.startOf(i) + FIELD.time, true);
  }

  /** The high 32 bits of that time. */
  timeHi(i: number): number {
    return this.out.dv.getUint32(this.startOf(i) + FIELD.time + 4, true);
  }

  /** Sets the time of frame `i` to the one it was stored with, in nanoseconds since 1970. */
  setTime(i: number, timestampNs: bigint): void {
    this.out.dv.setBigUint64(this.startOf(i) + FIELD.time, timestampNs, true);
  }

  /** Fills in consecutive sequence numbers for frames `from` to `to` (exclusive). */
  number(from: number, to: number, first: bigint): void {
    let lo = Number(first & 0xffff_ffffn);
    let hi = Number(first >> 32n);
    const { dv } = this.out;
    for (let i = from; i < to; i++) {
      const at = this.startOf(i) + FIELD.seq;
      dv.setUint32(at, lo, true);
      dv.setUint32(at + 4, hi, true);
      lo = (lo + 1) >>> 0;
      if (lo === 0) hi++;
    }
  }

  /** The bytes of frames `from` to `to` (exclusive), without copying. */
  slice(from: number, to: number): Uint8Array {
    return this.out.u8.subarray(this.startOf(from), this.startOf(to));
  }

  /** Removes all frames and keeps the capacity. */
  clear(): void {
    this.out.clear();
    this.#starts.length = 0;
    this.count = 0;
  }
}
