/**
 * A set of sequence numbers, one bit each: ten million of them in a row take 1.2 MiB.
 *
 * @module
 */

/** Sequence numbers that share one piece of a set: their upper 48 bits are the same. */
const PIECE = 1 << 16;

/** A set of sequence numbers, dense or sparse: one bit each, in pieces allocated on demand. */
export class SeqSet {
  readonly #pieces = new Map<number, Uint32Array>();
  #key = -1;
  #piece: Uint32Array | undefined;
  #size = 0;

  /** The number of elements. */
  get size(): number {
    return this.#size;
  }

  #find(lo: number, hi: number): Uint32Array | undefined {
    const key = hi * PIECE + (lo >>> 16);
    if (key !== this.#key) {
      this.#key = key;
      this.#piece = this.#pieces.get(key);
    }
    return this.#piece;
  }

  /** Adds a number, given as its low and high 32 bits. */
  add(lo: number, hi: number): void {
    let piece = this.#find(lo, hi);
    if (piece === undefined) {
      this.#piece = piece = new Uint32Array(PIECE / 32);
      this.#pieces.set(this.#key, piece);
    }
    const word = piece[(lo & 0xffff) >>> 5] ?? 0;
    if ((word >>> (lo & 31) & 1) === 1) return;
    piece[(lo & 0xffff) >>> 5] = word | 1 << (lo & 31);
    this.#size++;
  }

  /** Whether the set contains a number. */
  has(lo: number, hi: number): boolean {
    const piece = this.#find(lo, hi);
    return piece !== undefined && ((piece[(lo & 0xffff) >>> 5] ?? 0) >>> (lo & 31) & 1) === 1;
  }

  /** The element with `before` smaller ones in the set; null if there are not that many. */
  nth(before: number): bigint | null {
    let left = before;
    for (const key of [...this.#pieces.keys()].sort((a, b) => a - b)) {
      for (const [i, word] of (this.#pieces.get(key) ?? []).entries()) {
        const bits = ones(word);
        if (left >= bits) {
          left -= bits;
          continue;
        }
        let rest = word;
        for (; left > 0; left--) rest &= rest - 1;
        return BigInt(key) * BigInt(PIECE) + BigInt(i * 32 + 31 - Math.clz32(rest & -rest));
      }
    }
    return null;
  }
}

/** How many bits of a word are set. */
function ones(word: number): number {
  let n = word - (word >>> 1 & 0x5555_5555);
  n = (n & 0x3333_3333) + (n >>> 2 & 0x3333_3333);
  return Math.imul((n + (n >>> 4)) & 0x0f0f_0f0f, 0x0101_0101) >>> 24;
}
