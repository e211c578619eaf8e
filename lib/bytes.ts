/**
 * A growable byte buffer for encoders and printers, and short ASCII text in it.
 *
 * @module
 */

/** Concatenates the pieces of a stream. */
export function joinBytes(pieces: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  const whole = new Uint8Array(pieces.reduce((sum, piece) => sum + piece.length, 0));
  let at = 0;
  for (const piece of pieces) {
    whole.set(piece, at);
    at += piece.length;
  }
  return whole;
}

/**
 * A growable byte buffer. `u8` and `dv` are replaced when it grows, so read them again after every
 * {@linkcode Buf.reserve}.
 */
export class Buf {
  /** All bytes; only the first `len` are in use. Bytes beyond `len` may hold old data. */
  u8: Uint8Array<ArrayBuffer>;
  /** A view on the same bytes. */
  dv: DataView<ArrayBuffer>;
  /** How many bytes are in use. */
  len = 0;

  /** Creates an empty buffer with a capacity of `capacity` bytes. */
  constructor(capacity = 4096) {
    this.u8 = new Uint8Array(capacity);
    this.dv = new DataView(this.u8.buffer);
  }

  /** Makes sure that `extra` more bytes fit after `len`. */
  reserve(extra: number): void {
    const need = this.len + extra;
    if (need <= this.u8.length) return;
    const next = new Uint8Array(Math.max(need, this.u8.length * 2));
    next.set(this.u8.subarray(0, this.len));
    this.u8 = next;
    this.dv = new DataView(next.buffer);
  }

  /** The bytes in use, without copying; valid until the next write. */
  bytes(): Uint8Array<ArrayBuffer> {
    return this.u8.subarray(0, this.len);
  }

  /** Removes the content and keeps the capacity. */
  clear(): void {
    this.len = 0;
  }
}

/** Pieces up to this many bytes share a buffer, and how large that is. */
const SHARED_PIECE = 512;
const SHARED_BUFFER = 4096;

/**
 * Copies pieces of bytes. Small ones share a buffer, because one of its own takes longer to create
 * and to collect than the copy; so a piece that is kept keeps at most 4 KiB.
 */
export class Copier {
  #buffer = new ArrayBuffer(0);
  #used = 0;

  /** A copy of a piece. */
  copy(piece: Uint8Array): Uint8Array<ArrayBuffer> {
    const { length } = piece;
    if (length > SHARED_PIECE) return new Uint8Array(piece);
    if (this.#used + length > this.#buffer.byteLength) {
      this.#buffer = new ArrayBuffer(SHARED_BUFFER);
      this.#used = 0;
    }
    const copy = new Uint8Array(this.#buffer, this.#used, length);
    copy.set(piece);
    this.#used += length;
    return copy;
  }
}

/** Writes ASCII text and returns the index after it. */
export function printAscii(to: DataView, o: number, text: string): number {
  for (let i = 0; i < text.length; i++) to.setUint8(o + i, text.charCodeAt(i));
  return o + text.length;
}

/** Fixed ASCII text that is written often, four bytes at a time. */
export class FixedText {
  readonly #dv: DataView;
  readonly #length: number;

  /** Prepares ASCII text. */
  constructor(text: string) {
    this.#dv = new DataView(new ArrayBuffer((text.length + 3) & ~3));
    this.#length = printAscii(this.#dv, 0, text);
  }

  /** Writes the text and up to three further bytes; returns the index after the text. */
  print(to: DataView, o: number): number {
    const dv = this.#dv;
    for (let i = 0; i < dv.byteLength; i += 4) to.setInt32(o + i, dv.getInt32(i, true), true);
    return o + this.#length;
  }
}

/** Writes an unsigned integer below 2^31 and returns the index after it. */
export function printU31(to: DataView, o: number, n: number): number {
  if (n < 10) {
    to.setUint8(o, 0x30 + n);
    return o + 1;
  }
  let width = n < 100 ? 2 : n < 1000 ? 3 : n < 10000 ? 4 : n < 100000 ? 5 : 6;
  if (n >= 1000000) width = n < 10000000 ? 7 : n < 100000000 ? 8 : n < 1000000000 ? 9 : 10;
  printPadded(to, o, n, width);
  return o + width;
}

/** Writes the last `width` decimal digits of an integer below 2^31, with leading zeros. */
export function printPadded(to: DataView, o: number, n: number, width: number): void {
  for (let i = o + width - 1; i >= o; i--) {
    const q = (n / 10) | 0;
    to.setUint8(i, 0x30 + n - q * 10);
    n = q;
  }
}

/** Writes an unsigned 64-bit integer and returns the index after it. */
export function printU64(to: DataView, o: number, lo: number, hi: number): number {
  if (hi === 0 && lo < 0x80000000) return printU31(to, o, lo);
  if (hi < 0x200000) {
    const n = hi * 0x100000000 + lo;
    const high = Math.floor(n / 1e9);
    if (high === 0) return printAscii(to, o, String(n));
    o = printU31(to, o, high);
    printPadded(to, o, n - high * 1e9, 9);
    return o + 9;
  }
  return printAscii(to, o, String((BigInt(hi) << 32n) | BigInt(lo)));
}
