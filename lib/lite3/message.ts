/**
 * The message in a document: the positions of its tags and data (docs/spec/format.md 9).
 *
 * @module
 */

import { corrupt, Lite3Doc, Lite3Key } from "./doc.ts";
import type { FrameBytes, StoredBytes } from "../types.ts";
import { Tag } from "./layout.ts";

let keys: { meta: Lite3Key; tags: Lite3Key; data: Lite3Key } | undefined;

/** The keys of the envelope, prepared on first use. */
export function envelopeKeys(): { meta: Lite3Key; tags: Lite3Key; data: Lite3Key } {
  return keys ??= {
    meta: new Lite3Key("meta"),
    tags: new Lite3Key("tags"),
    data: new Lite3Key("data"),
  };
}

/** A tag as UTF-8 bytes, for comparing without decoding. */
export class Lite3Tag {
  /** The tag as text. */
  readonly name: string;
  /** The tag in UTF-8. */
  readonly bytes: Uint8Array<ArrayBuffer>;
  /** A view of `bytes`. */
  readonly dv: DataView<ArrayBuffer>;

  /** Prepares the tag `name`. */
  constructor(name: string) {
    this.name = name;
    this.bytes = new TextEncoder().encode(name);
    this.dv = new DataView(this.bytes.buffer, this.bytes.byteOffset, this.bytes.byteLength);
  }
}

/** One message in place; the reader of the frame sets the sequence number and the time. */
export class MessageView {
  /** The payload. */
  readonly doc: Lite3Doc = new Lite3Doc();
  /** Offset of the node that holds the tags. */
  tagsAt = 0;
  /** How many tags there are. */
  tagCount = 0;
  /** Offset of the data's node. */
  dataAt = 0;
  /** Lower half of the sequence number, unsigned. */
  seqLo = 0;
  /** Upper half of the sequence number, unsigned. */
  seqHi = 0;
  /** Lower half of the time in nanoseconds since 1970, unsigned. */
  timeLo = 0;
  /** Upper half of the time, unsigned. */
  timeHi = 0;

  /**
   * Opens the payload of `len` bytes at `base`, by the rules for reading: data may be an array, and
   * extra members and bytes after the document are ignored.
   *
   * @throws {PlasmiteError} Corrupt, if it is not a message
   */
  open(u8: Uint8Array, dv: DataView, base: number, len: number): void {
    this.openTags(u8, dv, base, len);
    const { doc } = this;
    const dataAt = doc.lookup(0, envelopeKeys().data);
    if (dataAt < 0) throw corrupt("missing data");
    if (doc.tag(dataAt) < Tag.Object) throw corrupt();
    this.dataAt = dataAt;
  }

  /**
   * Like {@linkcode MessageView.open}, but without the data: `len` may be less than the payload's,
   * if it covers the tags.
   *
   * @throws {PlasmiteError} Corrupt, if it is not a message, or not enough of one
   */
  openTags(u8: Uint8Array, dv: DataView, base: number, len: number): void {
    const { meta, tags } = envelopeKeys();
    const doc = this.doc.reset(u8, dv, base, len);
    const metaAt = doc.lookup(0, meta);
    if (metaAt < 0) throw corrupt("missing meta");
    if (doc.tag(metaAt) !== Tag.Object) throw corrupt("meta is not object");
    const tagsAt = doc.lookup(metaAt, tags);
    if (tagsAt < 0) throw corrupt("missing meta.tags");
    const kind = doc.tag(tagsAt);
    const count = kind >= Tag.Object ? doc.count(tagsAt) : 0;
    if (kind < Tag.Object || (kind === Tag.Object && count > 0)) {
      throw corrupt("meta.tags must be array");
    }
    for (let i = 0; i < count; i++) {
      const tag = doc.element(tagsAt, i);
      if (tag < 0 || doc.tag(tag) !== Tag.String) throw corrupt("meta.tags must be string array");
    }
    this.tagsAt = tagsAt;
    this.tagCount = count;
  }

  /**
   * Like {@linkcode MessageView.open}, for a frame with its sequence number and time.
   *
   * @param dv an existing view of the frame's bytes, if there is one
   * @throws {PlasmiteError} Corrupt, if it is not a message
   */
  openFrame(
    frame: FrameBytes,
    dv: DataView = new DataView(frame.u8.buffer, frame.u8.byteOffset, frame.u8.byteLength),
  ): this {
    this.seqLo = frame.seqLo;
    this.seqHi = frame.seqHi;
    this.timeLo = frame.timeLo;
    this.timeHi = frame.timeHi;
    this.open(frame.u8, dv, frame.payloadAt, frame.payloadLength);
    return this;
  }

  /**
   * Like {@linkcode MessageView.open}, for a payload with its sequence number and time.
   *
   * @throws {PlasmiteError} Corrupt, if it is not a message
   */
  openStored({ seq, timestampNs, payload }: StoredBytes): this {
    this.seqLo = Number(seq & 0xffff_ffffn);
    this.seqHi = Number(seq >> 32n);
    this.timeLo = Number(timestampNs & 0xffff_ffffn);
    this.timeHi = Number(timestampNs >> 32n);
    const dv = new DataView(payload.buffer, payload.byteOffset, payload.byteLength);
    this.open(payload, dv, 0, payload.length);
    return this;
  }

  /** The sequence number. */
  get seq(): bigint {
    return (BigInt(this.seqHi) << 32n) | BigInt(this.seqLo);
  }

  /** The time of the append in nanoseconds since 1970. */
  get timestampNs(): bigint {
    return (BigInt(this.timeHi) << 32n) | BigInt(this.timeLo);
  }

  /** The tags as text. */
  tags(): string[] {
    const tags: string[] = [];
    for (let i = 0; i < this.tagCount; i++) tags.push(this.doc.string(this.tagAt(i)));
    return tags;
  }

  /** Offset of tag number `index`. */
  tagAt(index: number): number {
    const at = this.doc.element(this.tagsAt, index);
    if (at < 0) throw corrupt();
    return at;
  }

  /** Whether the message has this tag. */
  hasTag(tag: Lite3Tag): boolean {
    const { doc } = this;
    const { dv } = tag;
    const length = dv.byteLength;
    next: for (let i = 0; i < this.tagCount; i++) {
      const at = this.tagAt(i);
      if (doc.stringLength(at) !== length) continue;
      const start = doc.stringStart(at);
      for (let j = 0; j < length; j++) {
        if (doc.dv.getUint8(start + j) !== dv.getUint8(j)) continue next;
      }
      return true;
    }
    return false;
  }

  /** Whether the message has every one of these tags. */
  hasTags(tags: readonly Lite3Tag[]): boolean {
    for (const tag of tags) if (!this.hasTag(tag)) return false;
    return true;
  }
}
