/**
 * Parses the frames of a Lite3 tail (docs/spec/http-api.md 3) from bytes that arrive in pieces of
 * any size.
 *
 * @module
 */

import { Buf } from "../../bytes.ts";
import type { Gap } from "../../types.ts";
import type { MutableFrame } from "../frames.ts";

/** Sequence u64, time u64, length u32, big-endian. */
const HEADER = 20;
/** The largest payload in bytes. */
const LARGEST = 256 * 1024 * 1024;
/** The length value that identifies a mark: the server's position, and what was lost before it. */
const MARK = 0xffff_ffff;

/** The length value that identifies messages that the server cannot read: the first and the last. */
const UNREADABLE = 0xffff_fffe;

/** What comes next: a frame, a mark, unreadable messages, nothing complete yet, or an impossibly large frame. */
export type Arrival = "frame" | "mark" | "unreadable" | "none" | "oversize";

/** Bytes that have arrived but have not been read. */
export class FrameInput {
  /** From the last mark: everything before this number was examined. */
  markNext = 0n;
  /** From the last mark: messages from this number on were lost; 0 if none were. */
  markLost = 0n;
  /** The messages that the server could not read, as it said last. */
  unreadable: Gap = { first: 0n, last: 0n };
  readonly #bytes = new Buf(64 * 1024);
  #at = 0;

  /** A view of the bytes that hold the current frame. */
  get dv(): DataView<ArrayBuffer> {
    return this.#bytes.dv;
  }

  /** Whether all bytes that arrived have been read. */
  get isEmpty(): boolean {
    return this.#at >= this.#bytes.len;
  }

  /** Adds a piece. This moves the bytes of the current frame. */
  add(piece: Uint8Array): void {
    const input = this.#bytes;
    if (this.#at > 0) {
      input.u8.copyWithin(0, this.#at, input.len);
      input.len -= this.#at;
      this.#at = 0;
    }
    input.reserve(piece.length);
    input.u8.set(piece, input.len);
    input.len += piece.length;
  }

  /**
   * Reads what comes next; a frame is read into `frame`.
   *
   * @param marks whether the server sends marks
   */
  next(frame: MutableFrame, marks: boolean): Arrival {
    const { u8, dv, len } = this.#bytes;
    const at = this.#at;
    if (len - at < HEADER) return "none";
    const length = dv.getUint32(at + 16);
    if (length === MARK && marks) {
      this.markNext = dv.getBigUint64(at);
      this.markLost = dv.getBigUint64(at + 8);
      this.#at = at + HEADER;
      return "mark";
    }
    if (length === UNREADABLE && marks) {
      this.unreadable = { first: dv.getBigUint64(at), last: dv.getBigUint64(at + 8) };
      this.#at = at + HEADER;
      return "unreadable";
    }
    if (length > LARGEST) return "oversize";
    if (len - at < HEADER + length) return "none";
    frame.u8 = u8;
    frame.seqHi = dv.getUint32(at);
    frame.seqLo = dv.getUint32(at + 4);
    frame.timeHi = dv.getUint32(at + 8);
    frame.timeLo = dv.getUint32(at + 12);
    frame.payloadAt = at + HEADER;
    frame.payloadLength = length;
    this.#at = at + HEADER + length;
    return "frame";
  }

  /** Returns to the start of the frame just read. */
  putBack({ payloadLength }: MutableFrame): void {
    this.#at -= HEADER + payloadLength;
  }

  /** Inserts a frame before all unread bytes. */
  insert(seq: bigint, timestampNs: bigint, payload: Uint8Array): void {
    const head = new DataView(new ArrayBuffer(HEADER));
    head.setBigUint64(0, seq);
    head.setBigUint64(8, timestampNs);
    head.setUint32(16, payload.length);
    const rest = this.#bytes.bytes().slice(this.#at);
    this.clear();
    for (const piece of [new Uint8Array(head.buffer), payload, rest]) this.add(piece);
  }

  /** Discards all bytes. */
  clear(): void {
    this.#bytes.clear();
    this.#at = 0;
  }
}
