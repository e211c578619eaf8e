/**
 * Requests that store messages: one as JSON, one as Lite3, many as JSON lines
 * (docs/spec/http-api.md 2, 12).
 *
 * The body's bytes go straight into the encoder of the pool; nothing is parsed twice and no number
 * passes through a double.
 *
 * @module
 */

import { Buf } from "../lib/bytes.ts";
import type { Encode, Stored } from "../lib/backend/local/appender.ts";
import { stamp } from "../lib/client/options.ts";
import { PlasmiteError } from "../lib/errors.ts";
import { Lite3Doc } from "../lib/lite3/doc.ts";
import { JsonSyntaxError } from "../lib/lite3/encode.ts";
import { MessageView } from "../lib/lite3/message.ts";
import { printAscii } from "../lib/lite3/print.ts";
import { validateMessage } from "../lib/lite3/validate.ts";
import type { FrameBatch } from "../lib/pool/batch.ts";
import { printEnvelope } from "../lib/text/envelope.ts";
import { formatTime } from "../lib/text/time.ts";
import { type BodyReader, requireJson, requireLines } from "./body.ts";
import { bad, HttpError } from "./errors.ts";
import { json, LEAN_HEADERS } from "./headers.ts";
import { isAbsent, MemberWalker, type Span, valueOf } from "./members.ts";
import type { Pools } from "./pools.ts";

const LITE3 = "application/x-plasmite-lite3";
const FIELDS = ["data", "tags", "durability"] as const;

/** The longest text of tags that is remembered, in bytes. */
const TAGS_KEPT = 256;

const decoder = new TextDecoder();

/** A message's payload and numbers, wherever they come from. */
export type StoredMessage = Pick<Stored, "seq" | "timestampNs" | "payload">;

/** Prints messages; one for each server, as it keeps its buffers. */
export class MessagePrinter {
  readonly #out = new Buf(4096);
  readonly #view = new MessageView();

  /** @throws {PlasmiteError} Corrupt when it is not a message */
  #open({ seq, timestampNs, payload }: StoredMessage): MessageView {
    const view = this.#view;
    view.seqLo = Number(seq & 0xffff_ffffn);
    view.seqHi = Number(seq >> 32n);
    view.timeLo = Number(timestampNs & 0xffff_ffffn);
    view.timeHi = Number(timestampNs >> 32n);
    const dv = new DataView(payload.buffer, payload.byteOffset, payload.length);
    view.open(payload, dv, 0, payload.length);
    return view;
  }

  /** @throws {PlasmiteError} Corrupt when the outer shape is not that of a message */
  check(message: StoredMessage): void {
    this.#open(message);
  }

  /**
   * The answer `{"message":…}`.
   *
   * @throws {PlasmiteError} Corrupt when it cannot be read
   */
  answer(message: StoredMessage, headers: HeadersInit = LEAN_HEADERS): Response {
    const out = this.#out;
    out.clear();
    out.len = printAscii(out.dv, 0, '{"message":');
    printEnvelope(this.#open(message), out);
    out.reserve(1);
    out.dv.setUint8(out.len++, 0x7d);
    // Text is handed to the runtime faster than bytes are.
    return new Response(decoder.decode(out.bytes()), { headers });
  }
}

/** The tags of a body, trimmed as the tail's filter trims its own. */
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
export function queryFlush(search: string): boolean {
  if (search === "") return false;
  const values = new URLSearchParams(search).getAll("durability");
  if (values.length > 1) throw bad("duplicate parameter durability", "Give it once.");
  return isFlush(values[0]);
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

/** Stores what requests bring. */
export class Appends {
  readonly #pools: Pools;
  readonly #bodies: BodyReader;
  readonly #printer: MessagePrinter;
  readonly #walker = new MemberWalker();
  #tagsText: Uint8Array = new Uint8Array();
  #tagsSeen: readonly string[] = [];

  /** Stores into `pools`. */
  constructor(pools: Pools, bodies: BodyReader, printer: MessagePrinter) {
    this.#pools = pools;
    this.#bodies = bodies;
    this.#printer = printer;
  }

  /** `POST …/append`. */
  json(request: Request, name: () => string): Promise<Response> {
    requireJson(request);
    return this.#store(request, name, (bytes) => {
      const found = this.#walker.walk(bytes, FIELDS);
      const data = found.get("data");
      if (data === undefined) throw bad("missing field `data`", 'Send {"data": {…}}.');
      const tags = this.#tags(bytes, found.get("tags"));
      const durability = found.get("durability");
      const flush = durability !== undefined && isFlush(valueOf(bytes, durability));
      const time = stamp();
      return { flush, encode: (batch) => encodeData(batch, bytes, data, tags, time) };
    });
  }

  /** `POST …/append_lite3`. */
  lite3(request: Request, name: () => string, search: string): Promise<Response> {
    const type = request.headers.get("content-type");
    if (type !== null && !type.startsWith(LITE3)) {
      throw bad("invalid content-type for lite3 append", `Send \`Content-Type: ${LITE3}\`.`);
    }
    const flush = queryFlush(search);
    return this.#store(request, name, (bytes) => {
      if (bytes.length === 0) {
        throw bad("lite3 payload is required", "Send one Lite3 document as the body.");
      }
      const time = stamp();
      const encode: Encode = (batch) => {
        const dv = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
        validateMessage(new Lite3Doc().reset(bytes, dv, 0, bytes.length));
        batch.addPayload(bytes, time.lo, time.hi);
      };
      return { flush, encode };
    });
  }

  /** `POST …/append_batch`. */
  batch(request: Request, name: () => string, search: string): Promise<Response> {
    requireLines(request);
    const flush = queryFlush(search);
    return this.#store(request, name, (bytes) => {
      const time = stamp();
      const encode: Encode = (batch, most) => this.#encodeLines(batch, bytes, time, most);
      return { flush, encode };
    }, (stored) => {
      const first = stored[0]?.seq ?? null;
      const last = stored.at(-1)?.seq ?? null;
      const at = stored[0]?.timestampNs;
      const time = at === undefined ? "null" : `"${formatTime(at)}"`;
      return json(
        `{"count":${stored.length},"first_seq":${first},"last_seq":${last},"time":${time}}`,
      );
    });
  }

  /** The tags of a body; most clients send the same again and again. */
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

  #answer(stored: Stored | undefined): Response {
    if (stored !== undefined) return this.#printer.answer(stored);
    throw new PlasmiteError("Internal", "append stored nothing");
  }

  #encodeLines(
    batch: FrameBatch,
    bytes: Uint8Array,
    time: { readonly lo: number; readonly hi: number },
    most: number,
  ): void {
    let line = 0;
    for (let start = 0; start < bytes.length;) {
      let end = bytes.indexOf(0x0a, start);
      if (end < 0) end = bytes.length;
      line++;
      try {
        const before = batch.count;
        this.#encodeLine(batch, bytes, { start, end }, time);
        // Asked here too, because the pool does not know lines.
        if (batch.count > before && batch.payloadOf(before) > most) {
          throw bad("payload exceeds ring capacity", `This pool takes ${most} bytes at most.`);
        }
      } catch (error) {
        if (!PlasmiteError.is(error)) throw error;
        const context = error.hint === undefined ? { line } : { hint: error.hint, line };
        throw new HttpError(400, "Usage", error.message, context);
      }
      start = end + 1;
    }
  }

  #encodeLine(
    batch: FrameBatch,
    bytes: Uint8Array,
    span: Span,
    time: { readonly lo: number; readonly hi: number },
  ): void {
    if (isBlank(bytes, span)) return;
    const found = this.#walker.walk(bytes, FIELDS, span);
    const data = found.get("data");
    if (data === undefined) throw bad("missing field `data`", 'A line is {"data": {…}}.');
    encodeData(batch, bytes, data, this.#tags(bytes, found.get("tags")), time);
  }

  /**
   * Reads, then queues with everything that arrives at the same time, then answers. Without
   * `answer` it is one message, which is stored at once while nobody else appends.
   */
  async #store(
    request: Request,
    name: () => string,
    prepare: (bytes: Uint8Array<ArrayBuffer>) => { encode: Encode; flush: boolean },
    answer?: (stored: readonly Stored[]) => Response,
  ): Promise<Response> {
    const pools = this.#pools;
    const bytes = await this.#bodies.read(request);
    try {
      const { encode, flush } = prepare(bytes);
      const path = pools.path(name());
      if (answer === undefined) {
        const stored = pools.appendNow(path, encode, flush);
        if (stored !== null) return this.#answer(stored);
      }
      const stored = await pools.writing(path, () => pools.append(path, encode, flush));
      return answer === undefined ? this.#answer(stored[0]) : answer(stored);
    } finally {
      this.#bodies.done(bytes);
    }
  }
}

function sameBytes(bytes: Uint8Array, { start, end }: Span, text: Uint8Array): boolean {
  if (end - start !== text.length || end === start) return false;
  for (let i = 0; i < text.length; i++) {
    if (bytes[start + i] !== text[i]) return false;
  }
  return true;
}

function isBlank(bytes: Uint8Array, { start, end }: Span): boolean {
  for (let i = start; i < end; i++) {
    const c = bytes[i];
    if (c !== 0x20 && c !== 0x09 && c !== 0x0d) return false;
  }
  return true;
}
