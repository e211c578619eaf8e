/**
 * Encodes each record of the input directly into a batch of frames.
 *
 * There are three kinds (docs/spec/command-line.md 2.8): an ordinary object becomes a message's
 * data; an object that is a complete message is copied with its tags; a Lite3 payload is stored
 * unchanged.
 *
 * @module
 */

import { Buf } from "../bytes.ts";
import { type ErrorContext, PlasmiteError } from "../errors.ts";
import { Lite3Doc, Lite3Key } from "../lite3/doc.ts";
import { JsonSyntaxError } from "../lite3/encode.ts";
import { NODE_COUNT, Tag } from "../lite3/layout.ts";
import { MessageView } from "../lite3/message.ts";
import { printJson } from "../lite3/print.ts";
import type { FrameBatch } from "../pool/batch.ts";
import type { IngestSink, SkippedRecord } from "./ingest_gate.ts";
import { parseRfc3339 } from "./time.ts";

/** Settings of a {@linkcode RecordSink}. */
export interface RecordSinkOptions {
  /** Tags for messages that do not have their own. Default: none. */
  readonly tags?: readonly string[];
  /** Tags added after those of every message, copied ones included. Default: none. */
  readonly added?: readonly string[];
  /**
   * Returns one more tag for a message, to be added at the end.
   *
   * @param isCopy whether it is a copied message, so that it has a sequence number and a time
   * @throws {PlasmiteError} Usage if there is none for it; then the record is a bad one
   */
  readonly tagFor?: (message: MessageView, isCopy: boolean) => string;
  /** Store complete messages as data instead of copying them (`--data`). Default: false. */
  readonly dataOnly?: boolean;
  /** The largest payload the pool takes, in bytes. Default: no limit. */
  readonly maxPayload?: number;
  /** Refuses a payload for another reason. Throws Usage. */
  readonly check?:
    | ((u8: Uint8Array, dv: DataView, at: number, length: number) => void)
    | undefined;
  /** The number of bytes of frames at which the sink is full. Default: 1 MiB. */
  readonly batchBytes?: number;
  /** Called for records that were skipped. */
  readonly onSkipped?: (record: SkippedRecord) => void;
  /**
   * Called once for a record that looks like a receipt of `feed` (`seq`, `time`, `meta`) and is
   * stored as data: the first `feed` of a chain probably needs `--format json`
   * (docs/spec/command-line.md 2.8).
   */
  readonly onReceipt?: () => void;
}

/** The keys of a complete message. */
interface MessageKeys {
  readonly seq: Lite3Key;
  readonly time: Lite3Key;
  readonly meta: Lite3Key;
  readonly data: Lite3Key;
  readonly tags: Lite3Key;
}

/** Where a copied message comes from. */
interface Source {
  readonly seq: bigint;
  readonly timeNs: bigint;
}

const NOWHERE: Source = { seq: 0n, timeNs: 0n };

/** Tags with others after them; none of those twice. */
function withTags(tags: readonly string[], added: readonly string[]): readonly string[] {
  return added.length === 0 ? tags : [...tags, ...added.filter((tag) => !tags.includes(tag))];
}

/** A Usage error that skipping the record would not solve. */
export class FatalRecordError extends PlasmiteError {
  /** Creates a Usage error. */
  constructor(message: string, context: ErrorContext = {}) {
    super("Usage", message, context);
  }
}

/** Encodes records into a batch; the owner empties the batch and sets the time. */
export class RecordSink implements IngestSink {
  /** The batch of frames. */
  readonly batch: FrameBatch;
  /** Time of the next messages, in nanoseconds since 1970: the low 32 bits. */
  timeLo = 0;
  /** The high 32 bits of that time. */
  timeHi = 0;
  /** Whether any message had its own tags, so that receipts must look them up. */
  ownTags = false;
  readonly #tags: readonly string[];
  readonly #added: readonly string[];
  /** Tags of ordinary messages. */
  readonly #allTags: readonly string[];
  readonly #tagFor: RecordSinkOptions["tagFor"];
  readonly #dataOnly: boolean;
  readonly #maxPayload: number;
  readonly #check: RecordSinkOptions["check"];
  readonly #batchBytes: number;
  readonly #onSkipped: ((record: SkippedRecord) => void) | undefined;
  #onReceipt: (() => void) | undefined;
  readonly #doc = new Lite3Doc();
  /** Offset of the data's node in the payload, which depends only on the tags; 0 if unknown. */
  #dataAt = 0;
  #keys: MessageKeys | undefined;
  #scratch: Buf | undefined;
  #view: MessageView | undefined;
  #lite3Bytes: Uint8Array | undefined;
  #lite3View: DataView | undefined;
  #validate: ((doc: Lite3Doc) => void) | undefined;

  /** Creates a sink that fills `batch`. */
  constructor(batch: FrameBatch, options: RecordSinkOptions = {}) {
    this.batch = batch;
    this.#tags = options.tags ?? [];
    this.#added = options.added ?? [];
    this.#allTags = withTags(this.#tags, this.#added);
    this.#tagFor = options.tagFor;
    this.ownTags = this.#tagFor !== undefined;
    this.#dataOnly = options.dataOnly ?? false;
    this.#maxPayload = options.maxPayload ?? Infinity;
    this.#check = options.check;
    this.#batchBytes = options.batchBytes ?? 1 << 20;
    this.#onSkipped = options.onSkipped;
    this.#onReceipt = options.onReceipt;
  }

  /** Whether the batch should be written before more records come. */
  get full(): boolean {
    return this.batch.bytes >= this.#batchBytes;
  }

  /** Sets the time of the next messages, in nanoseconds since 1970. */
  stamp(ns: bigint): void {
    this.timeLo = Number(ns & 0xffff_ffffn);
    this.timeHi = Number(ns >> 32n);
  }

  /** @inheritdoc */
  json(text: Uint8Array, start: number, end: number, many: boolean): number {
    const { batch } = this;
    const mark = batch.count;
    try {
      let at = this.#one(text, start, end);
      if (at === end) return 1;
      while ((at = skipSpace(text, at, end)) < end) {
        if (!many) throw trailing(at);
        at = this.#one(text, at, end);
      }
    } catch (error) {
      batch.truncate(mark);
      if (error instanceof PlasmiteError) this.#checkRest(text, end, many);
      throw error;
    }
    return batch.count - mark;
  }

  /** @inheritdoc */
  value(text: Uint8Array, start: number, end: number): number {
    return this.#one(text, start, end);
  }

  /** @inheritdoc */
  lite3(bytes: Uint8Array, start: number, end: number): void {
    if (this.#allTags.length > 0 || this.#tagFor !== undefined || this.#dataOnly) {
      throw new FatalRecordError("Lite3 already contains a complete message", {
        hint:
          "The messages bring their own tags: give none, and store no complete messages as data.",
        topic: "lite3 tags",
      });
    }
    this.#checkSize(end - start);
    const validate = this.#validate;
    if (validate === undefined) {
      throw new PlasmiteError("Internal", "the Lite3 checker was not loaded");
    }
    if (this.#lite3View === undefined || this.#lite3Bytes !== bytes) {
      this.#lite3Bytes = bytes;
      this.#lite3View = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    }
    this.ownTags = true;
    validate(this.#doc.reset(bytes, this.#lite3View, start, end - start));
    this.#check?.(bytes, this.#lite3View, start, end - start);
    this.batch.addPayload(bytes.subarray(start, end), this.timeLo, this.timeHi);
  }

  /** @inheritdoc */
  skipped(record: SkippedRecord): void {
    this.#onSkipped?.(record);
  }

  /** Loads the check that Lite3 payloads must pass. */
  async prepareLite3(): Promise<void> {
    this.#validate = (await import("../lite3/validate.ts")).validateMessage;
  }

  /** Encodes the value at `at` as one frame and returns the index of its end. */
  #one(text: Uint8Array, at: number, end: number): number {
    const { batch } = this;
    batch.beginFrame();
    const { out, encoder } = batch;
    const start = out.len;
    try {
      const next = encoder.messageFromJson(text, at, end, this.#allTags);
      if (this.#dataAt === 0) this.#dataAt = this.#findData(start);
      // A complete message has four members: check further only then.
      const members = out.dv.getUint32(start + this.#dataAt + NODE_COUNT, true) >>> 6;
      const source = members === 4 && !this.#dataOnly ? this.#copyComplete(start) : null;
      if (members === 3 && this.#onReceipt !== undefined) this.#noticeReceipt(start);
      if (this.#tagFor !== undefined) this.#addTag(this.#tagFor, start, source);
      this.#checkSize(out.len - start);
      this.#check?.(out.u8, out.dv, start, out.len - start);
      batch.endFrame(this.timeLo, this.timeHi);
      return next;
    } catch (error) {
      batch.abortFrame();
      throw error;
    }
  }

  /** As in 0.8, invalid JSON after a value takes precedence over a value of the wrong type. */
  #checkRest(text: Uint8Array, end: number, many: boolean): void {
    const { batch } = this;
    const { encoder } = batch;
    let at = encoder.valueEnd;
    while (at >= 0 && (at = skipSpace(text, at, end)) < end) {
      if (!many) throw trailing(at);
      batch.beginFrame();
      try {
        encoder.messageFromJson(text, at, end, this.#allTags);
      } catch (error) {
        if (!(error instanceof PlasmiteError)) throw error;
      } finally {
        batch.abortFrame();
      }
      at = encoder.valueEnd;
    }
  }

  #checkSize(payload: number): void {
    if (payload > this.#maxPayload) {
      throw new PlasmiteError("Usage", "payload exceeds ring capacity", {
        hint: "Split the message, or create a larger pool.",
        causes: [`the message takes ${payload} bytes, the pool ${this.#maxPayload}`],
        details: { needed: BigInt(payload), capacity: BigInt(this.#maxPayload) },
      });
    }
  }

  #findData(start: number): number {
    const { out } = this.batch;
    return this.#doc.reset(out.u8, out.dv, start, out.len - start).lookup(0, this.#names().data);
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
    const { out } = this.batch;
    const keys = this.#names();
    const doc = this.#doc.reset(out.u8, out.dv, start, out.len - start);
    const root = this.#dataAt;
    const seq = doc.lookup(root, keys.seq);
    const time = doc.lookup(root, keys.time);
    const meta = doc.lookup(root, keys.meta);
    const data = doc.lookup(root, keys.data);
    if (seq < 0 || time < 0 || meta < 0 || data < 0) return null;
    if (doc.tag(meta) !== Tag.Object || doc.count(meta) !== 1) return null;
    const list = doc.lookup(meta, keys.tags);
    if (list < 0) return null;

    if (this.#tags.length > 0) {
      throw new FatalRecordError("complete messages supply their own tags", {
        hint: "Give no tags, or store such messages as data.",
        topic: "tags",
      });
    }
    const tags = this.#readTags(doc, seq, time, list);
    const source = {
      seq: doc.tag(seq) === Tag.I64 ? doc.i64(seq) : BigInt(doc.f64(seq)),
      timeNs: parseRfc3339(doc.string(time)) ?? 0n,
    };
    if (doc.tag(data) !== Tag.Object) {
      throw new PlasmiteError("Usage", "data must be object", {
        hint: 'Put it into an object, for example {"value": 42}.',
      });
    }
    this.ownTags = true;
    this.#encodeAgain(doc, data, start, withTags(tags, this.#added));
    return source;
  }

  /** Adds the tag that depends on the message just encoded at `start`. */
  #addTag(
    tagFor: (message: MessageView, isCopy: boolean) => string,
    start: number,
    source: Source | null,
  ): void {
    const { out } = this.batch;
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
    const { out, encoder } = this.batch;
    // Through JSON text: this rare case may take twice the time.
    const scratch = this.#scratch ??= new Buf();
    scratch.clear();
    printJson(doc, data, scratch);
    out.len = start;
    encoder.messageFromJson(scratch.u8, 0, scratch.len, tags);
  }

  #noticeReceipt(start: number): void {
    const { out } = this.batch;
    const keys = this.#names();
    const doc = this.#doc.reset(out.u8, out.dv, start, out.len - start);
    for (const key of [keys.seq, keys.time, keys.meta]) {
      if (doc.lookup(this.#dataAt, key) < 0) return;
    }
    this.#onReceipt?.();
    this.#onReceipt = undefined;
  }

  #readTags(doc: Lite3Doc, seq: number, time: number, list: number): string[] {
    if (!isUnsigned(doc, seq)) throw invalidComplete("seq is not an unsigned integer");
    if (doc.tag(list) !== Tag.Array) throw invalidComplete("meta.tags is not a list");
    const tags = doc.entries(list).map((tag) => {
      if (doc.tag(tag) !== Tag.String) throw invalidComplete("meta.tags holds no strings");
      return doc.string(tag);
    });
    if (doc.tag(time) !== Tag.String) throw invalidComplete("time is not a string");
    if (parseRfc3339(doc.string(time)) === undefined) {
      throw new PlasmiteError("Usage", "invalid source message time", {
        hint: "A complete message has an RFC 3339 time; anything else can be stored as data.",
        topic: "message time",
      });
    }
    return tags;
  }
}

/**
 * Stores the JSON values of a command-line argument, all or none.
 *
 * @returns the number of values
 * @throws {PlasmiteError} Usage for text that is not JSON, and the errors of the sink
 */
export function appendInline(sink: RecordSink, data: string): number {
  const text = new TextEncoder().encode(data);
  try {
    return sink.json(text, 0, text.length, true);
  } catch (error) {
    if (!(error instanceof JsonSyntaxError)) throw error;
    const what = error.incomplete ? "it ends inside a value" : error.message;
    throw new PlasmiteError("Usage", "invalid json", {
      hint: "Give a single JSON value, for example '{\"x\": 1}', or pipe a stream to stdin.",
      causes: [`${what} at byte ${error.offset + 1}`],
      cause: error,
    });
  }
}

function trailing(at: number): JsonSyntaxError {
  return new JsonSyntaxError(at, false, "trailing characters");
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

/** The index of the next byte that is not JSON white space, or `end`. */
function skipSpace(text: Uint8Array, at: number, end: number): number {
  for (; at < end; at++) {
    const c = text[at];
    if (c !== 0x20 && c !== 0x0a && c !== 0x0d && c !== 0x09) break;
  }
  return at;
}
