/**
 * A growable byte buffer for encoders and printers.
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
