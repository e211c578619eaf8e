/**
 * Encodes JSON text as Lite3 in one pass: bytes are read once, checked, and written directly to
 * their place in the document, without an intermediate tree or strings.
 *
 * @module
 */

import { Buf } from "../bytes.ts";
import { PlasmiteError } from "../errors.ts";
import { withoutDuplicateKeys } from "./dedupe.ts";
import { HASH_START, MAX_LEVELS, NODE_SIZE, Tag } from "./layout.ts";
import { JsonSyntaxError, JsonTokens } from "./json_tokens.ts";
import type { Shapes, Step } from "./shapes.ts";
import { encodeFailed, hashOf, type Lite3Writer, nulInKey } from "./writer.ts";

export { JsonSyntaxError } from "./json_tokens.ts";

/** The deepest nesting accepted as JSON (docs/spec/command-line.md 1.5). */
const MAX_TEXT_LEVELS = 127;
/** How many envelopes are cached, one for each list of tags. */
const MAX_ENVELOPES = 64;

/**
 * Appends Lite3 documents to a buffer, starting at `out.len`. If a call throws, `out.len` is
 * unchanged.
 */
export class Lite3Encoder extends JsonTokens {
  /**
   * Index of the end of the value that the last call read, even if it was refused with a
   * PlasmiteError; -1 if the end was not reached.
   */
  valueEnd: number = -1;
  /** Offset of the data's node in the last message. */
  dataAt = 0;
  /**
   * What that message begins with, up to `dataAt`: the same array for all messages of these tags.
   * Null if the last document is no message, or who has it changed it.
   */
  envelope: Uint8Array | null = null;
  /** The shapes of former messages, for an encoder of many. */
  shapes: Shapes | undefined;
  /** Where the objects start that come next, if {@linkcode Lite3Encoder.shapes} may know them. */
  inside: Step | null = null;

  #levels = 0;
  #duplicate = false;
  #nulKey = false;
  #keyScratch: Buf | undefined;
  #valueScratch: Buf | undefined;

  #tags: readonly string[] = [];
  #last: Uint8Array | undefined;
  #envelopes: Map<string, Uint8Array> | undefined;

  /** Creates an encoder that appends to `out`. */
  constructor(out: Buf) {
    super(out);
  }

  /**
   * Encodes the JSON object or array at `start`, keys in text order, duplicates exactly as the
   * reference's encoder overwrites them (docs/spec/format.md 7.5), and returns the index of its
   * end.
   *
   * @throws {JsonSyntaxError} if the text is not JSON
   * @throws {PlasmiteError} Usage, if it cannot be represented
   */
  documentFromJson(text: Uint8Array, start: number, end: number): number {
    this.#open(text, end, 0);
    let pos = this.space(start);
    const c = this.text.getUint8(pos);
    if (c !== 0x7b && c !== 0x5b) {
      this.room(end - pos);
      this.valueEnd = this.value(pos, c, this.#dummySlot(), this.at, 0);
      throw encodeFailed("The outermost value must be an object or an array.");
    }
    this.room(0);
    const root = this.base;
    this.emptyNode(root, c === 0x7b ? Tag.Object : Tag.Array);
    this.at = root + NODE_SIZE;
    pos = c === 0x7b ? this.#object(pos + 1, root, 1) : this.#array(pos + 1, root, 1);
    this.valueEnd = pos;
    if (this.unrepresentable !== "") throw encodeFailed(this.unrepresentable);
    this.out.len = this.at;
    return pos;
  }

  /**
   * Encodes a message whose data is the JSON object at `start` and returns the index of its end.
   * For duplicate keys the last value is used, in the position of the first.
   *
   * @throws {JsonSyntaxError} if the text is not JSON
   * @throws {PlasmiteError} Usage, if it is not an object or cannot be represented
   */
  messageFromJson(
    text: Uint8Array,
    start: number,
    end: number,
    tags: readonly string[],
  ): number {
    this.#open(text, end, 1);
    this.minusZero = true;
    const node = this.#beginMessage(tags);
    const at = this.space(start);
    const c = this.text.getUint8(at);
    if (c !== 0x7b) {
      this.room(end - at);
      this.valueEnd = this.value(at, c, this.#dummySlot(), this.at, 1);
      throw new PlasmiteError("Usage", "data must be object", {
        hint: 'Put it into an object, for example {"value": 42}.',
      });
    }
    const pos = this.shapes === undefined
      ? this.#object(at + 1, node, 2)
      : this.#known(this.shapes, text, start, end, tags, at + 1, node);
    if (pos < 0) return this.valueEnd;
    this.valueEnd = pos;
    if (this.#nulKey) throw nulInKey();
    if (this.unrepresentable !== "") throw encodeFailed(this.unrepresentable);
    if (this.#duplicate) {
      const clean = withoutDuplicateKeys(text, at, pos);
      this.messageFromJson(clean, 0, clean.length, tags);
      this.valueEnd = pos;
      return pos;
    }
    this.out.len = this.at;
    return pos;
  }

  /**
   * Encodes a message whose data `write` appends, as members of the empty object node at `node`,
   * which is at level 2.
   *
   * @throws {PlasmiteError} Usage, if it cannot be represented
   */
  messageWith(tags: readonly string[], write: (writer: Lite3Writer, node: number) => void): void {
    this.begin();
    write(this, this.#beginMessage(tags));
    if (this.unrepresentable !== "") throw encodeFailed(this.unrepresentable);
    this.out.len = this.at;
  }

  #open(text: Uint8Array, end: number, levels: number): void {
    this.envelope = null;
    this.begin();
    this.read(text, end);
    this.#levels = levels + MAX_TEXT_LEVELS;
    this.#duplicate = this.#nulKey = this.minusZero = false;
    this.valueEnd = -1;
    this.inside = null;
  }

  /** A place for an entry's offset that is never read. */
  #dummySlot(): number {
    this.at += 4;
    return this.at - 4;
  }

  // ---- the envelope ---------------------------------------------------------------------------

  /**
   * Writes everything of a message except its data; returns the address of the empty node for the
   * data.
   */
  #beginMessage(tags: readonly string[]): number {
    const envelope = this.#envelopeOf(tags);
    this.room(envelope.length);
    this.out.u8.set(envelope, this.base);
    // `data` is set last, so its node ends the envelope.
    this.dataAt = envelope.length - NODE_SIZE;
    this.envelope = envelope;
    this.at = this.base + envelope.length;
    return this.base + this.dataAt;
  }

  #envelopeOf(tags: readonly string[]): Uint8Array {
    const last = this.#tags;
    let same = this.#last !== undefined && tags.length === last.length;
    for (let i = 0; same && i < tags.length; i++) same = tags[i] === last[i];
    if (same && this.#last !== undefined) return this.#last;
    for (const tag of tags) {
      if (typeof tag !== "string" || !tag.isWellFormed()) {
        throw new PlasmiteError("Usage", "tags must be strings of valid Unicode", {
          hint: "Give every tag as a string without lone surrogates.",
        });
      }
    }
    const json = JSON.stringify(tags);
    const envelopes = this.#envelopes ??= new Map<string, Uint8Array>();
    let envelope = envelopes.get(json);
    if (envelope === undefined) {
      const text = new TextEncoder().encode(`{"meta":{"tags":${json}},"data":{}}`);
      const encoder = new Lite3Encoder(new Buf(1024));
      encoder.documentFromJson(text, 0, text.length);
      envelope = encoder.out.bytes();
      if (envelopes.size >= MAX_ENVELOPES) envelopes.clear();
      envelopes.set(json, envelope);
    }
    this.#tags = [...tags];
    this.#last = envelope;
    return envelope;
  }

  // ---- JSON -----------------------------------------------------------------------------------

  #enter(pos: number, depth: number): void {
    if (depth > MAX_LEVELS) {
      this.unrepresentable ||= "Nest objects and arrays at most 31 levels deep, data included.";
      if (depth > this.#levels) {
        throw new JsonSyntaxError(pos - 1, false, "recursion limit exceeded");
      }
    }
  }

  /** Reads the members of the message's data; -1 if it was encoded without shapes instead. */
  #known(
    shapes: Shapes,
    text: Uint8Array,
    start: number,
    end: number,
    tags: readonly string[],
    pos: number,
    node: number,
  ): number {
    this.inside = shapes.begin();
    try {
      return this.#object(pos, node, 2);
    } catch (error) {
      if (error !== shapes.unknown) throw error;
    }
    shapes.missed();
    this.shapes = undefined;
    try {
      this.messageFromJson(text, start, end, tags);
    } finally {
      this.shapes = shapes;
    }
    return -1;
  }

  /** Reads the members of an object after its `{`. */
  #object(pos: number, node: number, depth: number): number {
    this.#enter(pos, depth);
    const text = this.text;
    const end = this.end;
    pos = this.space(pos);
    let c = text.getUint8(pos);
    if (c === 0x7d) return pos + 1;
    const { inside } = this;
    if (inside !== null && this.shapes !== undefined && depth <= MAX_LEVELS) {
      return this.shapes.object(this, pos, c, node, depth, inside);
    }
    for (;;) {
      if (c !== 0x22) this.fail(pos);
      const keyStart = ++pos;
      let hash = HASH_START;
      for (;;) {
        if (pos >= end) this.fail(pos);
        c = text.getUint8(pos);
        if (c === 0x22 || c < 0x20 || c > 0x7f || c === 0x5c) break;
        hash = (Math.imul(hash, 33) + c) | 0;
        pos++;
      }
      let key = text;
      let keyAt = keyStart;
      let length = pos - keyStart;
      if (c === 0x22) pos++;
      else {
        pos = this.#longKey(keyStart);
        key = (this.#keyScratch as Buf).dv;
        keyAt = 0;
        length = this.stringEnd;
        hash = hashOf(key, length);
      }
      pos = this.colon(pos);
      c = text.getUint8(pos);

      // Space for the tree nodes, the entry, and any string in the rest of the text.
      this.room(end - keyStart + length);
      const slot = this.place(node, hash, key, keyAt, length);
      if (slot < 0) pos = this.#again(pos, c, key, keyAt, length, depth);
      else {
        if (c === 0x7b || c === 0x5b) {
          this.align(length + (length < 63 ? 2 : length < 16383 ? 3 : 5));
        }
        const kv = this.at;
        this.writeKey(key, keyAt, length);
        pos = this.value(pos, c, slot, kv, depth);
      }

      c = pos < end ? text.getUint8(pos) : 0;
      if (c <= 0x20) {
        pos = this.space(pos);
        c = text.getUint8(pos);
      }
      if (c === 0x7d) return pos + 1;
      if (c !== 0x2c) this.fail(pos);
      c = ++pos < end ? text.getUint8(pos) : 0;
      if (c <= 0x20) {
        pos = this.space(pos);
        c = text.getUint8(pos);
      }
    }
  }

  /** Reads the elements of an array after its `[`. */
  #array(pos: number, node: number, depth: number): number {
    this.#enter(pos, depth);
    const text = this.text;
    const end = this.end;
    pos = this.space(pos);
    let c = text.getUint8(pos);
    if (c === 0x5d) return pos + 1;
    const { inside } = this;
    for (let index = 0;; index++) {
      this.inside = inside;
      this.room(end - pos);
      const slot = this.place(node, index, text, 0, -1);
      if (c === 0x7b || c === 0x5b) this.align(0);
      pos = this.value(pos, c, slot, this.at, depth);

      c = pos < end ? text.getUint8(pos) : 0;
      if (c <= 0x20) {
        pos = this.space(pos);
        c = text.getUint8(pos);
      }
      if (c === 0x5d) return pos + 1;
      if (c !== 0x2c) this.fail(pos);
      c = ++pos < end ? text.getUint8(pos) : 0;
      if (c <= 0x20) {
        pos = this.space(pos);
        c = text.getUint8(pos);
      }
    }
  }

  /**
   * Reads the value that begins with `c` at `pos`, appends it, and stores the offset of its entry,
   * which begins at `kv`, in `slot`.
   */
  value(pos: number, c: number, slot: number, kv: number, depth: number): number {
    const dv = this.out.dv;
    const at = this.at;
    dv.setInt32(slot, kv - this.base, true);
    if (c === 0x22) {
      pos = this.string(pos + 1, dv, at + 5);
      const stop = this.stringEnd;
      dv.setUint8(at, Tag.String);
      dv.setInt32(at + 1, stop - at - 4, true);
      dv.setUint8(stop, 0);
      this.at = stop + 1;
      if (stop - at === 95) this.#alignString(slot, kv, at);
      return pos;
    }
    if (c - 0x30 >>> 0 < 10 || c === 0x2d) return this.number(pos, c);
    switch (c) {
      case 0x7b: // {
        this.emptyNode(at, Tag.Object);
        this.at = at + NODE_SIZE;
        return this.#object(pos + 1, at, depth + 1);
      case 0x5b: // [
        this.emptyNode(at, Tag.Array);
        this.at = at + NODE_SIZE;
        return this.#array(pos + 1, at, depth + 1);
      case 0x74: // true
        this.literal(pos, "true");
        dv.setUint16(at, 0x0101, true);
        this.at = at + 2;
        return pos + 4;
      case 0x66: // false
        this.literal(pos, "false");
        dv.setUint16(at, 0x0001, true);
        this.at = at + 2;
        return pos + 5;
      case 0x6e: // null
        this.literal(pos, "null");
        dv.setUint8(at, Tag.Null);
        this.at = at + 1;
        return pos + 4;
      default:
        return this.fail(pos);
    }
  }

  /**
   * A string of 90 bytes has the size of a container and is aligned like one
   * (docs/spec/format.md 7.5).
   */
  #alignString(slot: number, kv: number, value: number): void {
    const pad = (this.base - value) & 3;
    if (pad === 0) return;
    const { u8, dv } = this.out;
    u8.copyWithin(kv + pad, kv, this.at);
    u8.fill(0, kv, kv + pad);
    this.at += pad;
    dv.setInt32(slot, kv + pad - this.base, true);
  }

  /** Reads the value of a duplicate key (docs/spec/format.md 7.5, "match"). */
  #again(
    pos: number,
    c: number,
    key: DataView,
    keyAt: number,
    length: number,
    depth: number,
  ): number {
    this.#duplicate = true;
    const slot = this.matched;
    const isString = c === 0x22;
    const isContainer = c === 0x7b || c === 0x5b;
    let vlen = isContainer ? NODE_SIZE - 1 : c === 0x6e ? 0 : c === 0x74 || c === 0x66 ? 1 : 8;
    let end = pos;
    if (isString) {
      const scratch = this.#valueScratch ??= new Buf(256);
      scratch.reserve(this.end - pos + 8);
      end = this.string(pos + 1, scratch.dv, 0);
      vlen = 5 + this.stringEnd;
    }
    const place = this.overwrite(vlen);
    if (place < 0) {
      if (isContainer) this.align(length + (length < 63 ? 2 : length < 16383 ? 3 : 5));
      const kv = this.at;
      this.writeKey(key, keyAt, length);
      return this.value(pos, c, slot, kv, depth);
    }
    if (isString) {
      const { dv, u8 } = this.out;
      dv.setUint8(place, Tag.String);
      dv.setUint32(place + 1, vlen - 4, true);
      u8.set((this.#valueScratch as Buf).u8.subarray(0, vlen - 5), place + 5);
      return end;
    }
    if (isContainer) {
      this.emptyNode(place, c === 0x7b ? Tag.Object : Tag.Array);
      return c === 0x7b
        ? this.#object(pos + 1, place, depth + 1)
        : this.#array(pos + 1, place, depth + 1);
    }
    const at = this.at;
    this.at = place;
    const kv = this.base + this.out.dv.getUint32(slot, true);
    pos = this.value(pos, c, slot, kv, depth);
    this.at = at;
    return pos;
  }

  /** Decodes a key that is not plain ASCII to `keyScratch` and stores its length in `stringEnd`. */
  #longKey(pos: number): number {
    const scratch = this.#keyScratch ??= new Buf(256);
    scratch.reserve(this.end - pos + 8);
    pos = this.string(pos, scratch.dv, 0);
    const nul = scratch.u8.subarray(0, this.stringEnd).indexOf(0);
    if (nul >= 0) {
      this.#nulKey = true;
      this.stringEnd = nul;
    }
    return pos;
  }
}
