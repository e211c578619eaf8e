/**
 * Appends to a pool on a server: one Lite3 message per request, or several as JSON lines if the
 * server supports batches and the text preserves the message exactly (docs/spec/http-api.md 2, 12).
 *
 * @module
 */

import { Buf } from "../../bytes.ts";
import { JsonSyntaxError, Lite3Encoder } from "../../lite3/encode.ts";
import { MessageView } from "../../lite3/message.ts";
import { PlasmiteError } from "../../errors.ts";
import { nowNs, parseRfc3339 } from "../../text/time.ts";
import { type Effect, RemoteError, unreadable } from "./error.ts";
import { type Call, type JsonFields, jsonFields, type Transport } from "./transport.ts";
import { printBody, wireMessage } from "./wire.ts";

/** Size of a batch's text in bytes: stays under the usual 1 MiB limit after one more message. */
const BATCH_TEXT = 512 * 1024;

/** Describes the possible effect of an append that got no response. */
function appending(count: number): Effect {
  return {
    name: count === 1 ? "append" : `append of ${count} messages`,
    doubt: "it may have been stored",
    hint: "Look at the newest messages of the pool before sending it again.",
  };
}

/** A stored message, as numbered by the server. */
export interface Stored {
  /** Sequence number. */
  readonly seq: bigint;
  /** Time in nanoseconds since 1970. */
  readonly timestampNs: bigint;
}

/** The conditions for appending one message, as the server expects them. */
export interface MessageConditions {
  readonly expect?: bigint | undefined;
  readonly key?: string | undefined;
  readonly id?: string | undefined;
  readonly id_window?: number | undefined;
}

/** A stored message with its bytes. */
export interface StoredPayload extends Stored {
  /** Whether it was stored earlier. */
  readonly duplicate: boolean;
  /** The message's Lite3 document. */
  readonly payload: Uint8Array<ArrayBuffer>;
}

/** Called for each contiguous run of stored messages. */
export type Report = (from: number, stored: readonly Stored[]) => void;

/** Appends to one pool. */
export class RemoteAppender {
  readonly #transport: Transport;
  readonly #pool: string;
  readonly #text = new Buf(4096);
  readonly #again = new Buf(4096);
  readonly #encoder = new Lite3Encoder(this.#again);
  readonly #view = new MessageView();
  #batchText = BATCH_TEXT;

  /** Creates an appender for `pool` on the server of `transport`. */
  constructor(transport: Transport, pool: string) {
    this.#transport = transport;
    this.#pool = pool;
  }

  #path(route: string, flush: boolean, conditions: MessageConditions = {}): string {
    const query = new URLSearchParams(flush ? { durability: "flush" } : {});
    for (const [name, value] of Object.entries(conditions)) {
      if (value !== undefined) query.set(name, String(value));
    }
    const text = query.size === 0 ? "" : `?${query}`;
    return `/v0/pools/${encodeURIComponent(this.#pool)}/${route}${text}`;
  }

  /** Appends the bytes unchanged. */
  async raw(
    payload: Uint8Array<ArrayBuffer>,
    flush: boolean,
    signal?: AbortSignal,
    conditions: MessageConditions = {},
  ): Promise<StoredPayload> {
    const type = "application/x-plasmite-lite3";
    return await this.#one(
      this.#path("append_lite3", flush, conditions),
      { body: payload, type, signal, ...effectOf(1, conditions.id !== undefined) },
      payload,
    );
  }

  async #one(
    path: string,
    call:
      & { readonly body: Uint8Array<ArrayBuffer>; readonly type: string }
      & Pick<
        Call,
        "signal" | "effect"
      >,
    payload: Uint8Array<ArrayBuffer>,
  ): Promise<StoredPayload> {
    return await this.#transport.read(
      path,
      { method: "POST", ...call, pool: this.#pool },
      (answer) => {
        const { seq, timestampNs } = wireMessage(answer, this.#pool);
        return { seq, timestampNs, payload, duplicate: isDuplicate(answer) };
      },
    );
  }

  /** Appends one message as bytes, or as text if only the text fits in a request. */
  async one(
    payload: Uint8Array<ArrayBuffer>,
    flush: boolean,
    signal?: AbortSignal,
    conditions: MessageConditions = {},
  ): Promise<StoredPayload> {
    try {
      return await this.raw(payload, flush, signal, conditions);
    } catch (error) {
      // Nothing was stored. Small values take less space as text.
      if (!(error instanceof RemoteError) || error.status !== 413) throw error;
      this.#text.clear();
      if (!this.#print(payload) || this.#text.len >= payload.length) throw error;
      const text = this.#text;
      text.len--;
      addMembers(text, { ...conditions, durability: flush ? "flush" : "fast" });
      const body = text.bytes().slice();
      const type = "application/json";
      const call = { body, type, signal, ...effectOf(1, conditions.id !== undefined) };
      return await this.#one(this.#path("append", false), call, payload);
    }
  }

  /**
   * Appends several messages atomically.
   *
   * @param when the conditions for the whole batch
   * @param ids the id of each message, or null
   * @returns the result for each message; null if any of them cannot be sent as text
   */
  async together(
    payloads: readonly Uint8Array<ArrayBuffer>[],
    flush: boolean,
    when: MessageConditions,
    ids: readonly (string | null)[],
    signal?: AbortSignal,
  ): Promise<(Stored & { readonly duplicate: boolean })[] | null> {
    const text = this.#text;
    text.clear();
    for (const [i, payload] of payloads.entries()) {
      if (!this.#print(payload)) return null;
      text.len--;
      addMembers(text, { id: ids[i] ?? undefined });
      addText(text, "\n");
    }
    const call: Call = {
      method: "POST",
      body: text.bytes().slice(),
      type: "application/jsonl",
      pool: this.#pool,
      signal,
      ...effectOf(payloads.length, ids.every((id) => id !== null)),
    };
    const path = this.#path("append_batch", flush, when);
    return await this.#transport.read(
      path,
      call,
      (answer) => batchOf(jsonFields(answer, this.#pool), payloads.length, this.#pool),
    );
  }

  /** How many of these messages fit in one request, estimated from their size. */
  fitting(payloads: readonly Uint8Array<ArrayBuffer>[], from: number): number {
    let bytes = 0;
    let count = 0;
    while (from + count < payloads.length && (count === 0 || bytes < this.#batchText)) {
      bytes += payloads[from + count]?.length ?? 0;
      count++;
    }
    return count;
  }

  /**
   * Appends all messages in order. If it throws, `report` has been called for every message known
   * to be stored.
   *
   * @param from the index of the first message to append
   */
  async all(
    payloads: readonly Uint8Array<ArrayBuffer>[],
    flush: boolean,
    report: Report,
    signal?: AbortSignal,
    from = 0,
  ): Promise<void> {
    const text = this.#text;
    for (let at = from; at < payloads.length;) {
      let end = at;
      text.clear();
      if (this.#transport.features?.has("batch") === true && at + 1 < payloads.length) {
        while (end < payloads.length && text.len < this.#batchText) {
          const payload = payloads[end];
          if (payload === undefined || !this.#line(payload)) break;
          end++;
        }
      }
      if (end - at > 1) {
        try {
          report(at, await this.#lines(end - at, flush, signal));
        } catch (error) {
          if (!(error instanceof RemoteError) || error.status !== 413) throw error;
          // The server's limit is lower than usual; nothing was stored.
          this.#batchText = Math.floor(Math.min(text.len, this.#batchText) / 2);
          continue;
        }
        at = end;
      } else {
        const payload = payloads[at];
        if (payload !== undefined) report(at, [await this.one(payload, flush, signal)]);
        at++;
      }
    }
  }

  async #lines(count: number, flush: boolean, signal?: AbortSignal): Promise<Stored[]> {
    const call: Call = {
      method: "POST",
      body: this.#text.bytes().slice(),
      type: "application/jsonl",
      pool: this.#pool,
      effect: appending(count),
      signal,
    };
    const path = this.#path("append_batch", flush);
    const { seq, time } = await this.#transport.read(path, call, (answer) => {
      const { count: told, first_seq: first, time } = jsonFields(answer, this.#pool);
      if (Number(told) !== count || !isInteger(first)) throw unreadable(this.#pool);
      return { seq: BigInt(first), time };
    });
    const timestampNs = (typeof time === "string" ? parseRfc3339(time) : undefined) ??
      await this.#timeOf(seq);
    return Array.from({ length: count }, (_, i) => ({ seq: seq + BigInt(i), timestampNs }));
  }

  /**
   * The time of a batch whose response does not include it: the time of its first message, or the
   * current time if that message cannot be read or no longer exists.
   */
  async #timeOf(seq: bigint): Promise<bigint> {
    const path = `/v0/pools/${encodeURIComponent(this.#pool)}/messages/${seq}`;
    try {
      const answer = await this.#transport.bytes(path, { pool: this.#pool });
      return wireMessage(answer, this.#pool).timestampNs;
    } catch (error) {
      if (error instanceof RemoteError) return nowNs();
      throw error;
    }
  }

  /** Adds a line to the batch; adds nothing and returns false if the text would not be exact. */
  #line(payload: Uint8Array<ArrayBuffer>): boolean {
    const start = this.#text.len;
    if (this.#print(payload)) {
      this.#text.reserve(1);
      this.#text.dv.setUint8(this.#text.len++, 0x0a);
      return true;
    }
    this.#text.len = start;
    return false;
  }

  /**
   * Prints the message as the body of an append and checks that encoding the text yields the same
   * bytes. It does not for byte values, extra members, other encoders' layouts, and tags that
   * servers trim.
   */
  #print(payload: Uint8Array<ArrayBuffer>): boolean {
    const text = this.#text;
    const start = text.len;
    try {
      const view = this.#view;
      const dv = new DataView(payload.buffer, payload.byteOffset, payload.length);
      view.open(payload, dv, 0, payload.length);
      const tags = view.tags();
      if (tags.some((tag) => tag === "" || tag !== tag.trim())) return false;
      printBody(view, text);
      this.#again.clear();
      this.#encoder.messageFromJson(text.u8, start + '{"data":'.length, text.len, tags);
      const again = this.#again.bytes();
      if (again.length !== payload.length) return false;
      for (let i = 0; i < again.length; i++) if (again[i] !== payload[i]) return false;
      return true;
    } catch (error) {
      if (error instanceof JsonSyntaxError || PlasmiteError.is(error)) return false;
      throw error;
    }
  }
}

/** Adds members and the closing brace to text that ends after a member. */
function addMembers(out: Buf, members: Readonly<Record<string, unknown>>): void {
  for (const [name, value] of Object.entries(members)) {
    if (value === undefined) continue;
    addText(out, `,"${name}":${typeof value === "bigint" ? value : JSON.stringify(value)}`);
  }
  addText(out, "}");
}

function addText(out: Buf, text: string): void {
  const bytes = new TextEncoder().encode(text);
  out.reserve(bytes.length);
  out.u8.set(bytes, out.len);
  out.len += bytes.length;
}

/** The effect in doubt after a lost response: none if all messages have ids and can be resent. */
function effectOf(count: number, hasIds: boolean): { readonly effect?: Effect } {
  return hasIds ? {} : { effect: appending(count) };
}

/** Whether the response for one message says that it had already been stored. */
function isDuplicate(answer: Uint8Array): boolean {
  const end = new TextDecoder().decode(answer.subarray(-DUPLICATE.length));
  return end === DUPLICATE;
}

const DUPLICATE = '"duplicate":true}';

/** The result for each message of a batch. */
function batchOf(
  { count, first_seq: first, seqs, time, times }: JsonFields,
  wanted: number,
  pool: string,
): (Stored & { readonly duplicate: boolean })[] {
  if (Number(count) !== wanted) throw unreadable(pool);
  const timeOf = (value: unknown): bigint =>
    (typeof value === "string" ? parseRfc3339(value) : undefined) ?? nowNs();
  const start = isInteger(first) ? BigInt(first) : null;
  if (!Array.isArray(seqs)) {
    if (start === null) throw unreadable(pool);
    const timestampNs = timeOf(time);
    return Array.from({ length: wanted }, (_, i) => ({
      seq: start + BigInt(i),
      timestampNs,
      duplicate: false,
    }));
  }
  // New messages have consecutive numbers, in order; any other number belongs to a duplicate.
  let next = start;
  return Array.from({ length: wanted }, (_, i) => {
    const number: unknown = seqs[i];
    if (!isInteger(number)) throw unreadable(pool);
    const seq = BigInt(number);
    const duplicate = seq !== next;
    if (!duplicate) next = seq + 1n;
    const timestampNs = timeOf(Array.isArray(times) ? times[i] : time);
    return { seq, timestampNs, duplicate };
  });
}

function isInteger(value: unknown): value is number | bigint {
  return typeof value === "bigint" || (typeof value === "number" && Number.isSafeInteger(value));
}
