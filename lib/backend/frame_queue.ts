/**
 * A queue of messages, packed into blocks, because many small objects would take several times the
 * memory.
 *
 * @module
 */

import type { FrameBytes, Gap } from "../types.ts";

/** Bytes of a block; a larger message has its own block. */
const BLOCK = 1 << 20;
/** Bytes before a payload: sequence number, time, length, kind. */
const HEADER = 24;
const GAP = 1;

class Block {
  readonly u8: Uint8Array<ArrayBuffer>;
  readonly dv: DataView<ArrayBuffer>;
  from = 0;
  to = 0;

  constructor(size: number) {
    this.u8 = new Uint8Array(size);
    this.dv = new DataView(this.u8.buffer);
  }
}

/** A first-in, first-out queue of frames and gaps. */
export class FrameQueue {
  readonly #blocks: Block[] = [];
  #spare: Block | null = null;
  #bytes = 0;

  /** Bytes in the queue. */
  get bytes(): number {
    return this.#bytes;
  }

  #reserve(length: number): Block {
    const last = this.#blocks.at(-1);
    if (last !== undefined && last.to + length <= last.u8.length) return last;
    const block = length <= BLOCK ? this.#spare ?? new Block(BLOCK) : new Block(length);
    if (block === this.#spare) this.#spare = null;
    block.from = block.to = 0;
    this.#blocks.push(block);
    return block;
  }

  /** Adds a copy of a frame. */
  push({ u8, payloadAt, payloadLength, seqLo, seqHi, timeLo, timeHi }: FrameBytes): void {
    const block = this.#put([seqLo, seqHi, timeLo, timeHi, payloadLength, 0], payloadLength);
    block.u8.set(u8.subarray(payloadAt, payloadAt + payloadLength), block.to - payloadLength);
  }

  /** Adds a gap before the next frame. */
  lost({ first, last }: Gap): void {
    const [firstLo, firstHi] = halves(first);
    const [lastLo, lastHi] = halves(last);
    this.#put([firstLo, firstHi, lastLo, lastHi, 0, GAP], 0);
  }

  #put(header: readonly number[], payload: number): Block {
    const block = this.#reserve(HEADER + payload);
    for (const [i, word] of header.entries()) block.dv.setUint32(block.to + 4 * i, word, true);
    block.to += HEADER + payload;
    this.#bytes += HEADER + payload;
    return block;
  }

  /**
   * Removes and returns the first frame (valid until the next call of `push`) or gap; null if
   * empty.
   */
  shift(): FrameBytes | Gap | null {
    let [block] = this.#blocks;
    if (block !== undefined && block.from === block.to) {
      this.#blocks.shift();
      if (block.u8.length === BLOCK) this.#spare = block;
      [block] = this.#blocks;
    }
    if (block === undefined) return null;
    const { dv, from, u8 } = block;
    const seqLo = dv.getUint32(from, true);
    const seqHi = dv.getUint32(from + 4, true);
    const timeLo = dv.getUint32(from + 8, true);
    const timeHi = dv.getUint32(from + 12, true);
    const payloadLength = dv.getUint32(from + 16, true);
    block.from += HEADER + payloadLength;
    this.#bytes -= HEADER + payloadLength;
    const one = (BigInt(seqHi) << 32n) | BigInt(seqLo);
    const two = (BigInt(timeHi) << 32n) | BigInt(timeLo);
    if (dv.getUint32(from + 20, true) === GAP) return { first: one, last: two };
    return {
      u8,
      payloadAt: from + HEADER,
      payloadLength,
      seqLo,
      seqHi,
      timeLo,
      timeHi,
      seq: one,
      timestampNs: two,
    };
  }
}

function halves(value: bigint): [number, number] {
  return [Number(value & 0xffff_ffffn), Number(value >> 32n)];
}
