/**
 * Reads the subset of DER that certificates use. Input from a peer is untrusted: every length is
 * checked.
 *
 * @module
 */

/** One element: its tag, its bytes, and its content. */
export interface Element {
  /** The identifier octet. */
  readonly tag: number;
  /** The element with its header. */
  readonly whole: Uint8Array<ArrayBuffer>;
  /** The element without its header. */
  readonly content: Uint8Array<ArrayBuffer>;
}

/** The bytes are not valid DER, or do not have the expected structure. */
export class DerError extends Error {
  /** Creates the error. */
  constructor(message: string) {
    super(message);
    this.name = "DerError";
  }
}

/** Identifier octets. */
export const Tag = {
  Integer: 0x02,
  OctetString: 0x04,
  ObjectId: 0x06,
  UtcTime: 0x17,
  GeneralizedTime: 0x18,
  Sequence: 0x30,
} as const;

/** Reads consecutive elements. */
export class DerReader {
  readonly #bytes: Uint8Array<ArrayBuffer>;
  #at = 0;

  /** @param bytes the elements */
  constructor(bytes: Uint8Array<ArrayBuffer>) {
    this.#bytes = bytes;
  }

  /** Whether all elements have been read. */
  get done(): boolean {
    return this.#at === this.#bytes.length;
  }

  /** The tag of the next element; undefined at the end. */
  get tag(): number | undefined {
    return this.#bytes[this.#at];
  }

  /**
   * Reads the next element.
   *
   * @param tag the required tag
   * @throws {DerError} at the end, for another tag, or for an invalid length
   */
  next(tag?: number): Element {
    const [found, first] = this.#bytes.subarray(this.#at, this.#at + 2);
    if (found === undefined || first === undefined) throw new DerError("truncated");
    if (tag !== undefined && tag !== found) throw new DerError("unexpected element");
    // Certificates do not use tags of more than one octet.
    if ((found & 0x1f) === 0x1f) throw new DerError("unknown tag");
    let start = this.#at + 2;
    let length = first;
    if (first >= 0x80) {
      const size = first & 0x7f;
      const octets = this.#bytes.subarray(start, start + size);
      if (size === 0 || size > 4 || octets.length < size) throw new DerError("bad length");
      length = octets.reduce((sum, octet) => sum * 256 + octet, 0);
      if (length < 0x80 || octets[0] === 0) throw new DerError("length is not the shortest");
      start += size;
    }
    const end = start + length;
    if (end > this.#bytes.length) throw new DerError("truncated");
    const whole = this.#bytes.subarray(this.#at, end);
    this.#at = end;
    return { tag: found, whole, content: this.#bytes.subarray(start, end) };
  }

  /** Reads the elements inside the next one, which must have this tag. */
  inside(tag: number): DerReader {
    return new DerReader(this.next(tag).content);
  }
}
