/**
 * Requests that store messages: one as JSON, one as Lite3, many as JSON lines
 * (docs/spec/http-api.md 2, 12).
 *
 * The bytes of the body go directly into the encoder: nothing is parsed twice, and no number passes
 * through a double.
 *
 * @module
 */

import { Buf, printAscii } from "../lib/bytes.ts";
import { addRetagged } from "../lib/backend/retag.ts";
import type {
  AppendRequest,
  Backend,
  Conditions,
  PoolHandle,
  StoredFrame,
} from "../lib/backend/types.ts";
import { stamp } from "../lib/client/options.ts";
import { Lite3Doc } from "../lib/lite3/doc.ts";
import { JsonSyntaxError } from "../lib/lite3/encode.ts";
import { MessageView } from "../lib/lite3/message.ts";
import { validateMessage } from "../lib/lite3/validate.ts";
import { FrameBatch } from "../lib/pool/batch.ts";
import { printEnvelope } from "../lib/text/envelope.ts";
import type { Grant } from "../lib/types.ts";
import { type BodyReader, requireJson, requireLines } from "./body.ts";
import {
  atLine,
  batchAnswer,
  BatchNumbers,
  linesOf,
  type StoredBatch,
  tooLargeLine,
} from "./append_lines.ts";
import {
  CONDITION_FIELDS,
  conditionedTags,
  conditionsIn,
  conditionsOf,
  type MessageConditions,
  UNCONDITIONAL,
  whenOf,
} from "./conditions.ts";
import { bad } from "./errors.ts";
import { LEAN_HEADERS } from "./headers.ts";
import { hidden, mayRead } from "../lib/backend/hidden.ts";
import { isAbsent, MemberWalker, type Span, valueOf } from "./members.ts";
import type { Metrics } from "./metrics.ts";
import { single } from "./query.ts";

const LITE3 = "application/x-plasmite-lite3";
const FIELDS = ["data", "tags", "durability", ...CONDITION_FIELDS] as const;

/** The longest JSON text of tags that is cached, in bytes. */
const TAGS_KEPT = 256;
/** The number of buffers that are kept for later appends. */
const BATCHES_KEPT = 16;
/** The largest buffer that is kept, in bytes. */
const BATCH_KEPT = 256 * 1024;

/** Encodes frames, all or none. */
type Encode = (batch: FrameBatch) => void;

/** The messages of a request and how to store them. */
interface Prepared {
  readonly encode: Encode;
  /** Whether to wait for the disk; read after the frames are encoded. */
  readonly flush: boolean;
  /** Whether the body has a message on each line. */
  readonly lines?: true;
  /** The conditions; read after the frames are encoded. */
  readonly when?: () => Conditions | undefined;
}

/** What the lines of a batch say. */
interface BatchLines {
  /** The id of each line. */
  readonly ids: (string | null)[];
  /** Whether the whole or a line wants to wait for the disk. */
  flush: boolean;
}

/** What was stored, for whom. */
interface Outcome extends StoredBatch {
  /** The caller, and the pool while it is open. */
  readonly grant: Grant;
  readonly pool: PoolHandle;
}

/** Prints what was stored. */
type Answer = (outcome: Outcome) => Response | Promise<Response>;

const decoder = new TextDecoder();

/** The payload, sequence number and time of a message. */
export type StoredMessage = Pick<StoredFrame, "seq" | "timestampNs" | "payload">;

/** Prints messages. It reuses its buffers, so each server has one. */
export class MessagePrinter {
  readonly #out = new Buf(4096);
  readonly #view = new MessageView();

  /** @throws {PlasmiteError} Corrupt when it is not a message */
  #open(message: StoredMessage): MessageView {
    return this.#view.openStored(message);
  }

  /** @throws {PlasmiteError} Corrupt when the outer shape is not that of a message */
  check(message: StoredMessage): void {
    this.#open(message);
  }

  /**
   * The message as JSON text.
   *
   * @throws {PlasmiteError} Corrupt when it cannot be read
   */
  text(message: StoredMessage): string {
    const out = this.#out;
    out.clear();
    printEnvelope(this.#open(message), out);
    return decoder.decode(out.bytes());
  }

  /**
   * The answer `{"message":…}`.
   *
   * @throws {PlasmiteError} Corrupt when it cannot be read
   */
  answer(
    message: StoredMessage,
    headers: HeadersInit = LEAN_HEADERS,
    duplicate = false,
  ): Response {
    const out = this.#out;
    out.clear();
    out.len = printAscii(out.dv, 0, '{"message":');
    printEnvelope(this.#open(message), out);
    out.reserve(20);
    if (duplicate) out.len = printAscii(out.dv, out.len, ',"duplicate":true');
    out.dv.setUint8(out.len++, 0x7d);
    // The runtime takes text faster than bytes.
    return new Response(decoder.decode(out.bytes()), { headers });
  }
}

/** The tags of a body, trimmed like those in the filter of a tail. */
function tagsOf(bytes: Uint8Array, span: Span | undefined): readonly string[] {
  if (span === undefined || isAbsent(bytes, span)) return [];
  const tags = valueOf(bytes, span);
  if (!Array.isArray(tags) || !tags.every((tag): tag is string => typeof tag === "string")) {
    throw bad("tags must be an array of strings", 'Send them as "tags": ["build"].');
  }
  const trimmed = tags.map((tag) => tag.trim());
  if (trimmed.includes("")) throw bad("tag must not be empty", "Leave empty tags out.");
  return trimmed;
}

/** Whether to wait for the disk. */
function isFlush(value: unknown): boolean {
  if (value === "flush") return true;
  if (value === "fast" || value === null || value === undefined) return false;
  throw bad("invalid durability", "Use fast or flush.");
}

/** The `durability` of a query. */
function queryFlush(search: string): boolean {
  if (search === "") return false;
  return isFlush(single(new URLSearchParams(search), "durability"));
}

/** Encodes the data of one body as a frame. */
function encodeData(
  batch: FrameBatch,
  bytes: Uint8Array,
  span: Span,
  tags: readonly string[],
  time: { readonly lo: number; readonly hi: number },
): void {
  batch.beginFrame();
  let end: number;
  try {
    end = batch.encoder.messageFromJson(bytes, span.start, span.end, tags);
  } catch (error) {
    if (!(error instanceof JsonSyntaxError)) throw error;
    throw bad("invalid json", `Send one JSON object as UTF-8 text: ${error.message}.`);
  }
  if (end !== span.end) throw bad("invalid json", "Send one JSON object as UTF-8 text.");
  batch.endFrame(time.lo, time.hi);
}

/** Stores the messages in requests. */
export class Appends {
  readonly #backend: Backend;
  readonly #bodies: BodyReader;
  readonly #printer: MessagePrinter;
  readonly #metrics: Metrics;
  readonly #walker = new MemberWalker();
  readonly #batches: FrameBatch[] = [];
  #tagsText: Uint8Array = new Uint8Array();
  #tagsSeen: readonly string[] = [];

  /** Appends to the pools of `backend`. */
  constructor(backend: Backend, bodies: BodyReader, printer: MessagePrinter, metrics: Metrics) {
    this.#backend = backend;
    this.#bodies = bodies;
    this.#printer = printer;
    this.#metrics = metrics;
  }

  /** `POST …/append`. */
  json(request: Request, pool: string, grant: Grant): Promise<Response> {
    requireJson(request);
    return this.#store(request, pool, grant, (bytes) => {
      const found = this.#walker.walk(bytes, FIELDS);
      const data = found.get("data");
      if (data === undefined) throw bad("missing field `data`", 'Send {"data": {…}}.');
      const conditions = conditionsIn(bytes, found);
      const tags = conditionedTags(this.#tags(bytes, found.get("tags")), conditions);
      const durability = found.get("durability");
      const flush = durability !== undefined && isFlush(valueOf(bytes, durability));
      const time = stamp();
      const encode: Encode = (batch) => encodeData(batch, bytes, data, tags, time);
      if (conditions === UNCONDITIONAL) return { flush, encode };
      return { flush, encode, when: () => whenOf(conditions, [conditions.id ?? null]) };
    });
  }

  /** `POST …/append_lite3`. */
  lite3(request: Request, pool: string, search: string, grant: Grant): Promise<Response> {
    const type = request.headers.get("content-type");
    if (type !== null && !type.startsWith(LITE3)) {
      throw bad("invalid content-type for lite3 append", `Send \`Content-Type: ${LITE3}\`.`);
    }
    const flush = queryFlush(search);
    const conditions = conditionsOf(search);
    const when = (): Conditions | undefined => whenOf(conditions, [conditions.id ?? null]);
    return this.#store(request, pool, grant, (bytes) => {
      if (bytes.length === 0) {
        throw bad("lite3 payload is required", "Send one Lite3 document as the body.");
      }
      const time = stamp();
      const encode: Encode = (batch) => {
        const dv = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
        validateMessage(new Lite3Doc().reset(bytes, dv, 0, bytes.length));
        addRetagged(batch, bytes, (tags) => conditionedTags(tags, conditions), time);
      };
      return { flush, when, encode };
    });
  }

  /** `POST …/append_batch`. */
  batch(request: Request, pool: string, search: string, grant: Grant): Promise<Response> {
    requireLines(request);
    const flush = queryFlush(search);
    const whole = conditionsOf(search);
    if (whole.id !== undefined) throw bad("id is for one message", "Give each line its own id.");
    return this.#store(request, pool, grant, (bytes) => {
      const time = stamp();
      const lines: BatchLines = { ids: [], flush };
      return {
        get flush() {
          return lines.flush;
        },
        lines: true,
        encode: (batch) => this.#encodeLines(batch, bytes, time, whole, lines),
        when: () => whenOf(whole, lines.ids),
      };
    }, batchAnswer);
  }

  /** The tags of a body; most clients repeat the same ones. */
  #tags(bytes: Uint8Array, span: Span | undefined): readonly string[] {
    if (span === undefined) return [];
    if (sameBytes(bytes, span, this.#tagsText)) return this.#tagsSeen;
    const tags = tagsOf(bytes, span);
    if (span.end - span.start <= TAGS_KEPT) {
      this.#tagsText = bytes.slice(span.start, span.end);
      this.#tagsSeen = tags;
    }
    return tags;
  }

  /** The answer about one message. */
  readonly #one: Answer = (outcome) => {
    const { batch, first, seqs } = outcome;
    if (seqs !== null && (seqs[0] ?? 0n) < 0n) return this.#known(outcome, -(seqs[0] ?? 0n));
    return this.#printer.answer({
      seq: first,
      timestampNs: batch.timeOf(0),
      payload: batch.payload(0),
    });
  };

  /** The answer about a message that is stored already, with its own tags if they may be read. */
  async #known({ batch, grant, pool }: Outcome, seq: bigint): Promise<Response> {
    const own = { seq, timestampNs: batch.timeOf(0), payload: batch.payload(0) };
    const stored = mayRead(grant, pool.name) ? await pool.get(seq) : null;
    return this.#printer.answer(stored ?? own, LEAN_HEADERS, true);
  }

  #encodeLines(
    batch: FrameBatch,
    bytes: Uint8Array,
    time: { readonly lo: number; readonly hi: number },
    whole: MessageConditions,
    lines: BatchLines,
  ): void {
    for (const [line, span] of linesOf(bytes)) {
      try {
        this.#encodeLine(batch, bytes, span, time, whole, lines);
      } catch (error) {
        throw atLine(error, line);
      }
    }
  }

  #encodeLine(
    batch: FrameBatch,
    bytes: Uint8Array,
    span: Span,
    time: { readonly lo: number; readonly hi: number },
    whole: MessageConditions,
    lines: BatchLines,
  ): void {
    const found = this.#walker.walk(bytes, FIELDS, span);
    const data = found.get("data");
    if (data === undefined) throw bad("missing field `data`", 'A line is {"data": {…}}.');
    const conditions = conditionsIn(bytes, found);
    if (conditions.expect !== undefined) {
      throw bad("expect is for a whole batch", "Give it as a parameter: ?expect=N.");
    }
    if (conditions.idWindow !== undefined) {
      throw bad("id_window is for a whole batch", "Give it as a parameter: ?id_window=N.");
    }
    // The lines are stored as one: what one of them needs holds for all.
    const durability = found.get("durability");
    if (durability !== undefined && isFlush(valueOf(bytes, durability))) lines.flush = true;
    const { key = whole.key } = conditions;
    const tags = this.#tags(bytes, found.get("tags"));
    const { id } = conditions;
    const all = key === undefined && id === undefined ? tags : conditionedTags(tags, { key, id });
    encodeData(batch, bytes, data, all, time);
    lines.ids.push(id ?? null);
  }

  /** Reads, stores, answers. This is the hot path: it awaits nothing that is ready already. */
  async #store(
    request: Request,
    name: string,
    grant: Grant,
    prepare: (bytes: Uint8Array<ArrayBuffer>) => Prepared,
    answer: Answer = this.#one,
  ): Promise<Response> {
    const bytes = await this.#bodies.read(request);
    try {
      const prepared = prepare(bytes);
      const { encode, lines, when } = prepared;
      const opening = this.#backend.open(name, WRITE);
      const pool = opening instanceof Promise ? await opening : opening;
      const batch = this.#batches.pop() ?? new FrameBatch();
      try {
        encode(batch);
        const conditions = when?.();
        const numbers = new BatchNumbers(conditions?.ids !== undefined);
        const { stored, duplicate } = numbers;
        const { flush } = prepared;
        const append: AppendRequest = conditions === undefined
          ? { flush, stored }
          : { flush, stored, duplicate, when: conditions };
        const done = pool.append(batch, append);
        if (done instanceof Promise) await done;
        this.#metrics.appended += batch.count - numbers.duplicates;
        const { first, last, seqs } = numbers;
        const response = answer({ batch, first, last, seqs, grant, pool });
        return response instanceof Promise ? await response : response;
      } catch (error) {
        const shown = hidden(error, grant, name);
        throw lines === true ? tooLargeLine(shown, batch, bytes) : shown;
      } finally {
        void pool.close();
        this.#giveBack(batch);
      }
    } finally {
      this.#bodies.done(bytes);
    }
  }

  #giveBack(batch: FrameBatch): void {
    batch.clear();
    if (this.#batches.length < BATCHES_KEPT && batch.out.u8.length <= BATCH_KEPT) {
      this.#batches.push(batch);
    }
  }
}

const WRITE = { write: true };

function sameBytes(bytes: Uint8Array, { start, end }: Span, text: Uint8Array): boolean {
  if (end - start !== text.length || end === start) return false;
  for (let i = 0; i < text.length; i++) {
    if (bytes[start + i] !== text[i]) return false;
  }
  return true;
}
