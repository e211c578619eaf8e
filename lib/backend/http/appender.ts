/**
 * Appends to a pool of a server: Lite3 bytes one by one, JSON lines in one request where the server
 * takes them and the text says everything that the bytes say (docs/spec/http-api.md 2, 12).
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

/** Text of one batch in bytes: with the largest message that fits, below the usual limit of 1 MiB. */
const BATCH_TEXT = 512 * 1024;

/** What an append that nobody answered leaves in doubt. */
function appending(count: number): Effect {
  return {
    name: count === 1 ? "append" : `append of ${count} messages`,
    doubt: "it may have been stored",
    hint: "Look at the newest messages of the pool before sending it again.",
  };
}

/** What was stored, by the server's own numbers. */
export interface Stored {
  /** Sequence number. */
  readonly seq: bigint;
  /** Time in nanoseconds since 1970. */
  readonly timestampNs: bigint;
}

/** Conditions of the append of one message, as the server takes them. */
export interface MessageConditions {
  readonly expect?: bigint | undefined;
  readonly key?: string | undefined;
  readonly id?: string | undefined;
  readonly id_window?: number | undefined;
}

/** What was stored, with its bytes. */
export interface StoredPayload extends Stored {
  /** Whether it was stored earlier. */
  readonly duplicate: boolean;
  /** The message's Lite3 document. */
  readonly payload: Uint8Array<ArrayBuffer>;
}

/** Told of each contiguous run that was stored. */
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

  /** Appends to pool `pool` of the server of `transport`. */
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

  /** Appends bytes as they are. */
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

  /** Appends one message: as bytes, or as text when only that fits into a request. */
  async one(
    payload: Uint8Array<ArrayBuffer>,
    flush: boolean,
    signal?: AbortSignal,
    conditions: MessageConditions = {},
  ): Promise<StoredPayload> {
    try {
      return await this.raw(payload, flush, signal, conditions);
    } catch (error) {
      // Nothing was stored; small values take less room as text.
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
   * Appends several messages as one piece.
   *
   * @param when the conditions of the whole
   * @param ids the id of each message, or null
   * @returns what became of each; null if one of them cannot be sent as text
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

  /** How many of these messages one request may have, by the size of their text. */
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
   * Appends all in order. When it throws, `report` was called for all that is known to be stored.
   *
   * @param from the first one to append
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
          // The server takes less than usual; nothing was stored.
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
   * The time of a batch, where its answer does not tell: that of its first message, or now when that
   * may not be read or is gone.
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

  /** Adds a line to the batch; false, and nothing added, for a message that needs its bytes. */
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
   * Prints the message as the body of an append and makes sure that encoding the text gives the same
   * bytes again: byte values, further members, foreign layouts and tags that servers trim do not.
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

/** Text that ends behind a member; adds more members and the end of the object. */
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

/** What a lost answer leaves in doubt: nothing if all messages have ids, as they are stored once. */
function effectOf(count: number, hasIds: boolean): { readonly effect?: Effect } {
  return hasIds ? {} : { effect: appending(count) };
}

/** Whether the answer about one message says that it was stored earlier. */
function isDuplicate(answer: Uint8Array): boolean {
  const end = new TextDecoder().decode(answer.subarray(-DUPLICATE.length));
  return end === DUPLICATE;
}

const DUPLICATE = '"duplicate":true}';

/** What became of each message of a batch. */
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
  // New messages have consecutive numbers, in order; any other number was given out earlier.
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
