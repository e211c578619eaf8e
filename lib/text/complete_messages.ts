/**
 * Records that are complete messages: copied with their tags (docs/spec/command-line.md 2.8); and
 * tags that depend on the message.
 *
 * @module
 */

import { Buf } from "../bytes.ts";
import { PlasmiteError } from "../errors.ts";
import { Lite3Doc } from "../lite3/doc.ts";
import { Lite3Key, Tag } from "../lite3/layout.ts";
import { MessageView } from "../lite3/message.ts";
import { printJson } from "../lite3/print.ts";
import type { FrameBatch } from "../pool/batch.ts";
import { FatalRecordError, type RecordSinkOptions, withTags } from "./record_sink.ts";
import { clampTime, parseRfc3339 } from "./time.ts";

/** The keys of a complete message. */
interface MessageKeys {
  readonly seq: Lite3Key;
  readonly time: Lite3Key;
  readonly meta: Lite3Key;
  readonly data: Lite3Key;
  readonly tags: Lite3Key;
}

/** Where a copied message comes from. */
export interface Source {
  /** Its sequence number. */
  readonly seq: bigint;
  /** Its time in nanoseconds since 1970. */
  readonly timeNs: bigint;
}

const NOWHERE: Source = { seq: 0n, timeNs: 0n };

/** Looks into records that a {@linkcode RecordSink} has just encoded into a batch. */
export class CompleteMessages {
  readonly #batch: FrameBatch;
  readonly #tags: readonly string[];
  readonly #added: readonly string[];
  readonly #tagFor: RecordSinkOptions["tagFor"];
  readonly #dataOnly: boolean;
  readonly #imported: RecordSinkOptions["imported"];
  #onReceipt: (() => void) | undefined;
  readonly #doc = new Lite3Doc();
  #keys: MessageKeys | undefined;
  #scratch: Buf | undefined;
  #view: MessageView | undefined;

  /** With the batch and the options of the sink. */
  constructor(batch: FrameBatch, options: RecordSinkOptions) {
    this.#batch = batch;
    this.#tags = options.tags ?? [];
    this.#added = options.added ?? [];
    this.#tagFor = options.tagFor;
    this.#dataOnly = options.dataOnly ?? false;
    this.#imported = options.imported;
    this.#onReceipt = options.onReceipt;
  }

  /**
   * Looks into the record at `start`, the last in the batch, whose data has so many members.
   *
   * @returns where it comes from if it was a complete message, and is now a copy of that
   * @throws {PlasmiteError} Usage for one that cannot be copied
   */
  look(start: number, members: number): Source | null {
    const source = members === 4 && !this.#dataOnly ? this.#copyComplete(start) : null;
    if (this.#imported !== undefined) this.#imported(importable(source).seq);
    if (members === 3 && this.#onReceipt !== undefined) this.#noticeReceipt(start);
    if (this.#tagFor !== undefined) this.#addTag(this.#tagFor, start, source);
    return source;
  }

  #names(): MessageKeys {
    return this.#keys ??= {
      seq: new Lite3Key("seq"),
      time: new Lite3Key("time"),
      meta: new Lite3Key("meta"),
      data: new Lite3Key("data"),
      tags: new Lite3Key("tags"),
    };
  }

  /**
   * If the data just encoded at `start` is a complete message, replaces it with that message's data
   * and tags, without its sequence number and time; returns those.
   */
  #copyComplete(start: number): Source | null {
    const { out } = this.#batch;
    const keys = this.#names();
    const doc = this.#doc.reset(out.u8, out.dv, start, out.len - start);
    const root = this.#batch.encoder.dataAt;
    // Ordinary data with four members has no `meta`.
    const meta = doc.lookup(root, keys.meta);
    if (meta < 0) return null;
    const seq = doc.lookup(root, keys.seq);
    const time = doc.lookup(root, keys.time);
    const data = doc.lookup(root, keys.data);
    if (seq < 0 || time < 0 || data < 0) return null;
    if (doc.tag(meta) !== Tag.Object || doc.count(meta) !== 1) return null;
    const list = doc.lookup(meta, keys.tags);
    if (list < 0) return null;

    if (this.#tags.length > 0) {
      throw new FatalRecordError("complete messages supply their own tags", {
        hint: "Give no tags, or store such messages as data.",
        topic: "tags",
      });
    }
    const tags = this.#readTags(doc, seq, list);
    const source = {
      seq: doc.tag(seq) === Tag.I64 ? doc.i64(seq) : BigInt(doc.f64(seq)),
      timeNs: timeOf(doc, time),
    };
    if (doc.tag(data) !== Tag.Object) {
      throw new PlasmiteError("Usage", "data must be object", {
        hint: 'Put it into an object, for example {"value": 42}.',
      });
    }
    this.#encodeAgain(doc, data, start, withTags(tags, this.#added));
    return source;
  }

  /** Adds the tag that depends on the message just encoded at `start`. */
  #addTag(
    tagFor: (message: MessageView, isCopy: boolean) => string,
    start: number,
    source: Source | null,
  ): void {
    const { out } = this.#batch;
    const view = this.#view ??= new MessageView();
    view.open(out.u8, out.dv, start, out.len - start);
    const { seq, timeNs } = source ?? NOWHERE;
    view.seqLo = Number(seq & 0xffff_ffffn);
    view.seqHi = Number(seq >> 32n & 0xffff_ffffn);
    view.timeLo = Number(timeNs & 0xffff_ffffn);
    view.timeHi = Number(timeNs >> 32n);
    const tag = tagFor(view, source !== null);
    const tags = view.tags();
    if (!tags.includes(tag)) this.#encodeAgain(view.doc, view.dataAt, start, [...tags, tag]);
  }

  /** Replaces what is encoded at `start` by a message of part of it. */
  #encodeAgain(doc: Lite3Doc, data: number, start: number, tags: readonly string[]): void {
    const { out, encoder } = this.#batch;
    // Through JSON text: this rare case may take twice the time.
    const scratch = this.#scratch ??= new Buf();
    scratch.clear();
    printJson(doc, data, scratch);
    out.len = start;
    encoder.messageFromJson(scratch.u8, 0, scratch.len, tags);
  }

  #noticeReceipt(start: number): void {
    const { out } = this.#batch;
    const keys = this.#names();
    const doc = this.#doc.reset(out.u8, out.dv, start, out.len - start);
    for (const key of [keys.seq, keys.time, keys.meta]) {
      if (doc.lookup(this.#batch.encoder.dataAt, key) < 0) return;
    }
    this.#onReceipt?.();
    this.#onReceipt = undefined;
  }

  #readTags(doc: Lite3Doc, seq: number, list: number): string[] {
    if (!isUnsigned(doc, seq)) throw invalidComplete("seq is not an unsigned integer");
    if (doc.tag(list) !== Tag.Array) throw invalidComplete("meta.tags is not a list");
    return doc.entries(list).map((tag) => {
      if (doc.tag(tag) !== Tag.String) throw invalidComplete("meta.tags holds no strings");
      return doc.string(tag);
    });
  }
}

/** The time of a complete message, in nanoseconds since 1970. Throws Usage. */
function timeOf(doc: Lite3Doc, time: number): bigint {
  if (doc.tag(time) !== Tag.String) throw invalidComplete("time is not a string");
  const ns = parseRfc3339(doc.string(time));
  if (ns !== undefined) return ns;
  throw new PlasmiteError("Usage", "invalid source message time", {
    hint: "A complete message has an RFC 3339 time; anything else can be stored as data.",
    topic: "message time",
  });
}

/** Refuses what an import cannot keep as it is. Throws Usage. */
function importable(source: Source | null): Source {
  if (source === null) {
    throw new PlasmiteError("Usage", "not a complete message", {
      hint: "An import takes messages as an export writes them: seq, time, meta.tags and data.",
    });
  }
  if (source.timeNs === clampTime(source.timeNs)) return source;
  throw new PlasmiteError("Usage", "invalid source message time", {
    hint: "A pool keeps times from 1970 to 2554.",
  });
}

function invalidComplete(cause: string): PlasmiteError {
  return new PlasmiteError("Usage", "invalid complete message", {
    hint:
      "seq must be an unsigned integer, time RFC 3339 text and meta.tags a list of strings; anything " +
      "else can be stored as data.",
    topic: "message",
    causes: [cause],
  });
}

/** Whether the value is an integer from 0 to 2^64 - 1; above 2^63 those are stored as doubles. */
function isUnsigned(doc: Lite3Doc, value: number): boolean {
  if (doc.tag(value) === Tag.I64) return doc.i64Hi(value) >= 0;
  return doc.tag(value) === Tag.F64 && doc.f64(value) >= 2 ** 63 && doc.f64(value) <= 2 ** 64;
}
