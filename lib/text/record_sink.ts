/**
 * Encodes each record of the input directly into a batch of frames.
 *
 * There are three kinds (docs/spec/command-line.md 2.8): an ordinary object becomes a message's
 * data; an object that is a complete message is copied with its tags; a Lite3 payload is stored
 * unchanged.
 *
 * @module
 */

import { type ErrorContext, PlasmiteError } from "../errors.ts";
import { JsonSyntaxError } from "../lite3/encode.ts";
import { NODE_COUNT } from "../lite3/layout.ts";
import type { MessageView } from "../lite3/message.ts";
import type { FrameBatch } from "../pool/batch.ts";
import type { CompleteMessages } from "./complete_messages.ts";
import type { IngestSink, SkippedRecord } from "./ingest_gate.ts";

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
   * @throws {PlasmiteError} Usage if there is none; the record is then invalid
   */
  readonly tagFor?: (message: MessageView, isCopy: boolean) => string;
  /** Store complete messages as data instead of copying them (`--data`). Default: false. */
  readonly dataOnly?: boolean;
  /** The largest payload the pool takes, in bytes. Default: no limit. */
  readonly maxPayload?: number;
  /**
   * The class that copies complete messages and chooses tags (`complete_messages.ts`). It may be
   * left out only if neither can occur, so that it need not be loaded.
   */
  readonly complete?: typeof CompleteMessages | undefined;
  /** Refuses a payload for another reason. Throws Usage. */
  readonly check?:
    | ((u8: Uint8Array, dv: DataView, at: number, length: number) => void)
    | undefined;
  /**
   * Called with the sequence number of each complete message, which then keeps its time; anything
   * else is refused. Default: all JSON objects are stored, with the current time.
   *
   * @throws {PlasmiteError} if the message must not be imported
   */
  readonly imported?: ((seq: bigint) => void) | undefined;
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

/** Adds tags at the end, without duplicates. */
export function withTags(tags: readonly string[], added: readonly string[]): readonly string[] {
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
  /** Tags of ordinary messages. */
  readonly #allTags: readonly string[];
  readonly #complete: CompleteMessages | undefined;
  readonly #inspectsAll: boolean;
  readonly #keepsTimes: boolean;
  /** Where the payload starts that was read. */
  #start = 0;
  /** Where the current value ends in the text; -1 if it could not be encoded. */
  #next = -1;
  readonly #reportsReceipts: boolean;
  readonly #dataOnly: boolean;
  readonly #maxPayload: number;
  readonly #check: RecordSinkOptions["check"];
  readonly #batchBytes: number;
  readonly #onSkipped: ((record: SkippedRecord) => void) | undefined;
  #lite3Bytes: Uint8Array | undefined;
  #lite3View: DataView | undefined;
  #validate: ((bytes: Uint8Array, view: DataView, at: number, length: number) => void) | undefined;

  /** Creates a sink that fills `batch`. */
  constructor(batch: FrameBatch, options: RecordSinkOptions = {}) {
    this.batch = batch;
    const { added = [], complete, tagFor, tags = [] } = options;
    this.#allTags = withTags(tags, added);
    this.#complete = complete === undefined ? undefined : new complete(batch, options);
    this.#reportsReceipts = options.onReceipt !== undefined;
    this.ownTags = tagFor !== undefined;
    this.#keepsTimes = options.imported !== undefined;
    this.#inspectsAll = this.ownTags || this.#keepsTimes;
    this.#dataOnly = options.dataOnly ?? false;
    this.#maxPayload = options.maxPayload ?? Infinity;
    this.#check = options.check;
    this.#batchBytes = options.batchBytes ?? 1 << 20;
    this.#onSkipped = options.onSkipped;
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
    if (this.#allTags.length > 0 || this.#inspectsAll || this.#dataOnly) {
      throw new FatalRecordError("Lite3 already contains a complete message", {
        hint:
          "Lite3 messages have their own tags: add no tags, and store no complete messages as data.",
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
    validate(bytes, this.#lite3View, start, end - start);
    this.#check?.(bytes, this.#lite3View, start, end - start);
    this.batch.addPayload(bytes.subarray(start, end), this.timeLo, this.timeHi);
  }

  /** @inheritdoc */
  skipped(record: SkippedRecord): void {
    this.#onSkipped?.(record);
  }

  /** Loads the check that Lite3 payloads must pass. */
  async prepareLite3(): Promise<void> {
    const [{ Lite3Doc }, { validateMessage }] = await Promise.all([
      import("../lite3/doc.ts"),
      import("../lite3/validate.ts"),
    ]);
    const doc = new Lite3Doc();
    this.#validate = (bytes, view, at, length) => {
      validateMessage(doc.reset(bytes, view, at, length));
    };
  }

  /** @inheritdoc */
  read(text: Uint8Array, start: number, end: number): number {
    const { batch } = this;
    const { encoder } = batch;
    const { lines } = encoder;
    batch.beginFrame();
    this.#start = batch.out.len;
    try {
      const next = encoder.messageFromJson(text, start, end, this.#allTags);
      if (encoder.lines === lines) return next;
    } catch (error) {
      if (!(error instanceof JsonSyntaxError || error instanceof PlasmiteError)) {
        batch.abortFrame();
        throw error;
      }
    }
    batch.abortFrame();
    return -1;
  }

  /** @inheritdoc */
  keep(): void {
    const { batch } = this;
    const { out, encoder } = batch;
    const start = this.#start;
    try {
      // A complete message has four members, a receipt three.
      const members = out.dv.getUint32(start + encoder.dataAt + NODE_COUNT, true) >>> 6;
      if (members === 4 || (members === 3 && this.#reportsReceipts) || this.#inspectsAll) {
        this.#inspect(start, members);
      }
      this.#checkSize(out.len - start);
      this.#check?.(out.u8, out.dv, start, out.len - start);
      batch.endFrame(this.timeLo, this.timeHi);
    } catch (error) {
      batch.abortFrame();
      throw error;
    }
  }

  /** @inheritdoc */
  drop(): void {
    this.batch.abortFrame();
  }

  /** Encodes the value at `at` as one frame and returns the index of its end. */
  #one(text: Uint8Array, at: number, end: number): number {
    const { batch } = this;
    batch.beginFrame();
    this.#start = batch.out.len;
    this.#next = -1;
    try {
      this.#next = batch.encoder.messageFromJson(text, at, end, this.#allTags);
    } catch (error) {
      batch.abortFrame();
      throw error;
    }
    this.keep();
    return this.#next;
  }

  /** Checks whether the record encoded at `start` is more than ordinary data. */
  #inspect(start: number, members: number): void {
    if (this.#complete !== undefined) {
      const source = this.#complete.look(start, members);
      if (source === null) return;
      this.ownTags = true;
      if (this.#keepsTimes) this.stamp(source.timeNs);
    } else if (this.#inspectsAll || (members === 4 && !this.#dataOnly)) {
      throw new PlasmiteError("Internal", "the code for complete messages was not loaded");
    }
  }

  /** As in 0.8, invalid JSON after a value takes precedence over a value of the wrong type. */
  #checkRest(text: Uint8Array, end: number, many: boolean): void {
    const { batch } = this;
    const { encoder } = batch;
    let at = this.#next < 0 ? encoder.valueEnd : this.#next;
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

/** The index of the next byte that is not JSON white space, or `end`. */
function skipSpace(text: Uint8Array, at: number, end: number): number {
  for (; at < end; at++) {
    const c = text[at];
    if (c !== 0x20 && c !== 0x0a && c !== 0x0d && c !== 0x09) break;
  }
  return at;
}
