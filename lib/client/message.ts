/**
 * Messages as the library returns them.
 *
 * @module
 */

import { Buf } from "../bytes.ts";
import { messageOf, PlasmiteError } from "../errors.ts";
import { MessageView } from "../lite3/message.ts";
import { type IntegerPolicy, toValue } from "../lite3/value.ts";
import { printEnvelope } from "../text/envelope.ts";
import { parseJsonExact } from "../text/json_exact.ts";
import { formatTime, parseRfc3339 } from "../text/time.ts";

export type { IntegerPolicy };

/** The source of a message's content: its stored bytes, or parsed values. */
type Content =
  | {
    readonly payload: Uint8Array<ArrayBuffer>;
    readonly integers: IntegerPolicy;
    readonly duplicate?: boolean;
  }
  | { readonly data: unknown; readonly tags: readonly string[]; readonly raw?: Uint8Array };

/** Converts bigints to JSON numbers at any depth. */
function jsonable(value: unknown): unknown {
  if (typeof value === "bigint") return rawNumber(value);
  if (Array.isArray(value)) return value.map(jsonable);
  if (value === null || typeof value !== "object") return value;
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, jsonable(item)]));
}

/** A JSON number of any size. */
function rawNumber(value: bigint): unknown {
  const raw = (JSON as unknown as { rawJSON(text: string): unknown }).rawJSON;
  return raw(value.toString());
}

/**
 * Defines an enumerable own property with a getter. It takes a third of the time of
 * `Object.defineProperty`, which is a fifth of the time of a batched append.
 */
const { __defineGetter__: defineGetter } = Object.prototype as unknown as {
  readonly __defineGetter__: (this: object, name: string, get: () => unknown) => void;
};

/**
 * One message: its sequence number, time, tags and data. The data is decoded on first access.
 *
 * @example Read the fields of a message
 * ```ts
 * import { parseMessage } from "@plasmite/core";
 *
 * const message = parseMessage<{ x: number }>({
 *   seq: 1,
 *   time: "2026-02-01T00:00:00.5Z",
 *   meta: { tags: ["ping"] },
 *   data: { x: 1 },
 * });
 * console.assert(message.seq === 1n && message.data.x === 1);
 * ```
 */
export class Message<T = unknown> {
  // Own properties with getters: copies made by spread or structuredClone have them too, and data
  // that is never accessed is never decoded.
  static readonly #getData = function (this: Message): unknown {
    return this.#decoded();
  };
  static readonly #getTags = function (this: Message): unknown {
    return this.#listed();
  };

  /** The sequence number: 1 for the first message of a pool, then increasing by 1. */
  readonly seq: bigint;
  /** The time of the append by the writer's clock, in nanoseconds since 1970. */
  readonly timestampNs: bigint;
  /** The stored JSON object. */
  declare readonly data: T;
  /** The tags, in the order in which they were given. */
  declare readonly tags: readonly string[];
  readonly #content: Content;
  #view: MessageView | undefined;
  #value: { readonly data: T } | undefined;
  #list: readonly string[] | undefined;

  /** For internal use: get messages from a pool or from {@linkcode parseMessage}. */
  constructor(seq: bigint, timestampNs: bigint, content: Content) {
    this.seq = seq;
    this.timestampNs = timestampNs;
    this.#content = content;
    defineGetter.call(this, "data", Message.#getData);
    defineGetter.call(this, "tags", Message.#getTags);
  }

  #open(payload: Uint8Array<ArrayBuffer>): MessageView {
    if (this.#view !== undefined) return this.#view;
    const { seq, timestampNs } = this;
    const view = new MessageView().openStored({ seq, timestampNs, payload });
    this.#view = view;
    return view;
  }

  #decoded(): T {
    if (this.#value === undefined) {
      const content = this.#content;
      if ("payload" in content) {
        const view = this.#open(content.payload);
        this.#value = { data: toValue(view.doc, view.dataAt, content.integers) as T };
      } else this.#value = { data: content.data as T };
    }
    return this.#value.data;
  }

  #listed(): readonly string[] {
    if (this.#list === undefined) {
      const content = this.#content;
      const tags = "payload" in content ? this.#open(content.payload).tags() : [...content.tags];
      this.#list = Object.freeze(tags);
    }
    return this.#list;
  }

  /**
   * Whether an append with an id stored nothing, because this message has that id already; false
   * for all other messages.
   */
  get duplicate(): boolean {
    const content = this.#content;
    return "payload" in content && content.duplicate === true;
  }

  /** The `meta` member of the envelope, with the tags. */
  get meta(): { readonly tags: readonly string[] } {
    return { tags: this.tags };
  }

  /** The time to the millisecond; {@linkcode Message.timestampNs} is exact. */
  get time(): Date {
    return new Date(Number(this.timestampNs / 1_000_000n));
  }

  /** The time as RFC 3339 text in UTC, to the nanosecond. */
  get timeRfc3339(): string {
    return formatTime(this.timestampNs);
  }

  /** The envelope as one line of JSON text, numbers exact and keys in the stored order. */
  get raw(): Uint8Array {
    const content = this.#content;
    if ("payload" in content) {
      const out = new Buf(content.payload.length + 128);
      printEnvelope(this.#open(content.payload), out);
      return out.bytes();
    }
    return content.raw ?? new TextEncoder().encode(JSON.stringify(this));
  }

  /** The envelope for `JSON.stringify`; integers beyond 2^53 stay exact. */
  toJSON(): unknown {
    return {
      data: jsonable(this.data),
      meta: { tags: [...this.tags] },
      seq: rawNumber(this.seq),
      time: this.timeRfc3339,
    };
  }
}

/** The text that `console.log` prints for a message, in Deno and in Node. */
function inspected(
  this: Message,
  first: unknown,
  options: unknown,
  inspect: unknown = first,
): string {
  const { seq, timeRfc3339, tags, data } = this;
  const show = inspect as (value: unknown, options: unknown) => string;
  return `Message ${show({ seq, time: timeRfc3339, tags, data }, options)}`;
}
for (const name of ["Deno.customInspect", "nodejs.util.inspect.custom"]) {
  Object.defineProperty(Message.prototype, Symbol.for(name), { value: inspected });
}

function sequenceOf(value: unknown): bigint {
  let seq = -1n;
  if (typeof value === "bigint") seq = value;
  else if (typeof value === "number" && Number.isSafeInteger(value)) seq = BigInt(value);
  else if (typeof value === "string" && /^\d+$/.test(value)) seq = BigInt(value);
  if (seq < 0n || seq > 0xffff_ffff_ffff_ffffn) {
    throw new PlasmiteError("Usage", "invalid message: seq must be an unsigned 64-bit integer", {
      hint: "Pass an envelope with seq, time, meta and data.",
    });
  }
  return seq;
}

/** The members of an envelope, unchecked. */
interface Envelope {
  readonly seq?: unknown;
  readonly time?: unknown;
  readonly timestampNs?: unknown;
  readonly meta?: { readonly tags?: unknown } | null;
  readonly tags?: unknown;
  readonly data?: unknown;
}

function textTime(time: unknown): bigint | undefined {
  return typeof time === "string" ? parseRfc3339(time) : undefined;
}

function exactTime(ns: unknown): bigint | undefined {
  return typeof ns === "bigint" && BigInt.asUintN(64, ns) === ns ? ns : undefined;
}

/**
 * Creates a {@linkcode Message} from an envelope.
 *
 * @throws {PlasmiteError} Usage when it is not an envelope
 * @param source an envelope as UTF-8 JSON text or as a plain object, a copy of a message (by spread or
 *   `structuredClone`), or a message
 * @returns the message; if `source` is a message, the same object
 *
 * @example Restore a message in another thread
 * ```ts
 * import { Client, parseMessage } from "@plasmite/core";
 *
 * using client = new Client(Deno.makeTempDirSync());
 * using pool = client.pool<{ x: number }>("demo");
 * const copy = structuredClone(pool.append({ x: 1 }, ["ping"])); // As `postMessage` does.
 * const message = parseMessage<{ x: number }>(copy);
 * console.assert(message.data.x === 1 && message.tags[0] === "ping");
 * ```
 */
export function parseMessage<T = unknown>(source: Uint8Array | Message<T> | object): Message<T> {
  if (source instanceof Message) return source;
  let raw: Uint8Array | undefined;
  let envelope: unknown = source;
  if (source instanceof Uint8Array) {
    raw = source;
    try {
      envelope = parseJsonExact(new TextDecoder("utf-8", { fatal: true }).decode(source));
    } catch (cause) {
      throw new PlasmiteError("Usage", "invalid json", {
        hint: "Pass one JSON envelope with seq, time, meta and data.",
        causes: [messageOf(cause)],
        cause,
      });
    }
  }
  if (envelope === null || typeof envelope !== "object") {
    throw new PlasmiteError("Usage", "invalid message: not an object", {
      hint: "Pass an envelope with seq, time, meta and data.",
    });
  }
  const { seq, time, timestampNs: ns, meta, tags: ownTags, data } = envelope as Envelope;
  // A copy of a message, as a worker receives it, has the exact time instead of the text.
  const timestampNs = time === undefined ? exactTime(ns) : textTime(time);
  if (timestampNs === undefined) {
    throw new PlasmiteError("Usage", "invalid message: time must be RFC 3339", {
      hint: "Use a time such as 2026-02-01T00:00:00.5Z.",
    });
  }
  const tags = meta === undefined ? ownTags : meta?.tags;
  return new Message<T>(sequenceOf(seq), timestampNs, {
    data,
    tags: Array.isArray(tags) ? tags.map(String) : [],
    ...(raw === undefined ? {} : { raw }),
  });
}
