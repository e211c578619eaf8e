/**
 * Reads DER, as far as certificates need it. Bytes of a peer are hostile: every length is checked.
 *
 * @module
 */

/** One element: its tag, all of its bytes, and those of its content. */
export interface Element {
  /** The identifier octet. */
  readonly tag: number;
  /** The element with its header. */
  readonly whole: Uint8Array<ArrayBuffer>;
  /** The element without its header. */
  readonly content: Uint8Array<ArrayBuffer>;
}

/** The bytes are not DER, or not those of the structure that was expected. */
export class DerError extends Error {
  /** Creates one. */
  constructor(message: string) {
    super(message);
    this.name = "DerError";
  }
}

/** Identifier octets. */
export const Tag = {
  Integer: 0x02,
  BitString: 0x03,
  OctetString: 0x04,
  ObjectId: 0x06,
  UtcTime: 0x17,
  GeneralizedTime: 0x18,
  Sequence: 0x30,
} as const;

/** Reads elements that stand one after the other. */
export class DerReader {
  readonly #bytes: Uint8Array<ArrayBuffer>;
  #at = 0;

  /** @param bytes the elements */
  constructor(bytes: Uint8Array<ArrayBuffer>) {
    this.#bytes = bytes;
  }

  /** Whether there are no more. */
  get done(): boolean {
    return this.#at === this.#bytes.length;
  }

  /** The tag of the next one; undefined at the end. */
  get tag(): number | undefined {
    return this.#bytes[this.#at];
  }

  /**
   * The next element.
   *
   * @param tag the tag that it must have
   * @throws {DerError} at the end, for another tag, and for a length that is wrong
   */
  next(tag?: number): Element {
    const [found, first] = this.#bytes.subarray(this.#at, this.#at + 2);
    if (found === undefined || first === undefined) throw new DerError("truncated");
    if (tag !== undefined && tag !== found) throw new DerError("unexpected element");
    // Tags of more than one octet are in no certificate.
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

  /** The elements inside the next one, which must have the tag. */
  inside(tag: number): DerReader {
    return new DerReader(this.next(tag).content);
  }
}
