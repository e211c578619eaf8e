/**
 * Converts between messages of a pool and messages of a stream (docs/spec/jetstream.md 3).
 *
 * Other programs can read plain JSON: the payload is the text of `data`. The tags are in a single
 * header, because repeated headers lose leading spaces and do not allow line breaks.
 *
 * @module
 */

import type { Msg, MsgHdrs } from "@nats-io/transport-node";
import { Buf } from "../../bytes.ts";
import { KEY_TAG } from "../../coordination/names.ts";
import { PlasmiteError } from "../../errors.ts";
import { JsonSyntaxError, Lite3Encoder } from "../../lite3/encode.ts";
import { MessageView } from "../../lite3/message.ts";
import { printJson } from "../../lite3/print.ts";
import type { FrameBatch } from "../../pool/batch.ts";
import { parseRfc3339 } from "../../text/time.ts";

/** The headers of messages. */
export const Header = {
  tags: "Plasmite-Tags",
  time: "Plasmite-Time",
  seq: "Plasmite-Seq",
  pool: "Plasmite-Pool",
  id: "Nats-Msg-Id",
  expectLast: "Nats-Expected-Last-Sequence",
  expectLastOfSubject: "Nats-Expected-Last-Subject-Sequence",
  batchId: "Nats-Batch-Id",
  batchSequence: "Nats-Batch-Sequence",
  batchCommit: "Nats-Batch-Commit",
} as const;

const utf8 = new TextDecoder("utf-8", { fatal: true });
const plain = new TextDecoder();
const encoder = new TextEncoder();
const BEFORE_VALUE = encoder.encode('{"value":');

/** The prefix of the tag that says the subject of another program's message. */
export const SUBJECT_TAG = "subject:";

/** The prefix of all subjects of a pool. */
export function subjectPrefix(stream: string): string {
  return `plasmite.${stream}.`;
}

function base64url(text: string): string {
  return new TextEncoder().encode(text).toBase64({ alphabet: "base64url", omitPadding: true });
}

/** The subject of messages with a key. */
export function keySubject(stream: string, key: string): string {
  return `${subjectPrefix(stream)}k.${base64url(key)}`;
}

/** The pattern of the subjects of messages with several keys. */
export function severalKeys(stream: string): string {
  return `${subjectPrefix(stream)}k.*.>`;
}

/** The subject for claims of a key; ordinary messages with that key are not claims. */
export function claimSubject(stream: string, key: string): string {
  return `${subjectPrefix(stream)}c.${base64url(key)}`;
}

/** The key that a subject of a single key or its claims tells; null for other subjects. */
export function keyOfSubject(stream: string, subject: string): string | null {
  const prefix = subjectPrefix(stream);
  if (!subject.startsWith(`${prefix}k.`) && !subject.startsWith(`${prefix}c.`)) return null;
  try {
    const bytes = Uint8Array.fromBase64(subject.slice(prefix.length + 2), {
      alphabet: "base64url",
    });
    return utf8.decode(bytes);
  } catch {
    return null; // Several keys, or another program's.
  }
}

/** The subject of messages copied from a source. */
export function sourceSubject(stream: string, source: string): string {
  return `${subjectPrefix(stream)}s.${base64url(source)}`;
}

/** The pattern of the subjects of messages copied from any source. */
export function sourceSubjects(stream: string): string {
  return `${subjectPrefix(stream)}s.>`;
}

/** An id as a header value, which must be printable ASCII without spaces. */
export function idHeader(id: string): string {
  return /^[\x21-\x7e]+$/.test(id) && !id.startsWith("b64:") ? id : `b64:${base64url(id)}`;
}

/** Tags as ASCII JSON. */
export function tagsHeader(tags: readonly string[]): string {
  return JSON.stringify(tags).replace(
    /[^\x20-\x7e]/g,
    (c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
}

/** The tags in a header value; none if it is not a list of strings. */
function parseTags(value: string): readonly string[] {
  if (value === "") return [];
  try {
    const tags: unknown = JSON.parse(value);
    const isList = Array.isArray(tags) && tags.every((tag) => typeof tag === "string");
    return isList ? tags : [];
  } catch {
    return [];
  }
}

function isKeyTag(tag: string): boolean {
  return tag.startsWith(KEY_TAG) && tag.length > KEY_TAG.length;
}

/** A message to publish; its payload remains valid. */
export interface Outgoing {
  readonly subject: string;
  readonly payload: Uint8Array<ArrayBuffer>;
  readonly tags: readonly string[];
  /** The size of the tags as a header, in bytes. */
  readonly headerBytes: number;
}

/** Prints the messages of batches. */
export class Printer {
  readonly #stream: string;
  readonly #plain: string;
  readonly #view = new MessageView();
  #lastTags = "";
  #lastHeader = "";

  /** Creates a printer for the messages of one stream. */
  constructor(stream: string) {
    this.#stream = stream;
    this.#plain = `${subjectPrefix(stream)}m`;
  }

  /** Prints frames `from` to `to` (exclusive) of a batch into newly allocated memory. */
  print(batch: FrameBatch, from: number, to: number): Outgoing[] {
    const out = new Buf(batch.startOf(to) - batch.startOf(from) + 1024);
    const ends: number[] = [];
    const tags: (readonly string[])[] = [];
    const view = this.#view;
    const { u8, dv } = batch.out;
    for (let i = from; i < to; i++) {
      view.open(u8, dv, batch.payloadAt(i), batch.payloadOf(i));
      printJson(view.doc, view.dataAt, out);
      ends.push(out.len);
      tags.push(view.tags());
    }
    let at = 0;
    return ends.map((end, i) => {
      const payload = out.u8.subarray(at, end);
      at = end;
      return this.#outgoing(payload, tags[i] ?? []);
    });
  }

  /** Prints the payload of `length` bytes at `at`. */
  printOne(u8: Uint8Array, dv: DataView, at: number, length: number): Outgoing {
    const out = new Buf(length);
    const view = this.#view;
    view.open(u8, dv, at, length);
    printJson(view.doc, view.dataAt, out);
    return this.#outgoing(out.bytes(), view.tags());
  }

  #outgoing(payload: Uint8Array<ArrayBuffer>, tags: readonly string[]): Outgoing {
    const subject = this.#subject(tags);
    const headerBytes = tags.length === 0 ? 0 : this.header(tags).length + Header.tags.length + 4;
    return { subject, payload, tags, headerBytes };
  }

  #subject(tags: readonly string[]): string {
    const [first, ...more] = tags.filter(isKeyTag);
    if (first === undefined) return this.#plain;
    const subject = keySubject(this.#stream, first.slice(KEY_TAG.length));
    return more.every((tag) => tag === first) ? subject : `${subject}.more`;
  }

  /** The header for tags; the last one is cached, because most messages of a batch share it. */
  header(tags: readonly string[]): string {
    const text = tags.join("\0");
    if (text !== this.#lastTags || this.#lastHeader === "") {
      this.#lastTags = text;
      this.#lastHeader = tagsHeader(tags);
    }
    return this.#lastHeader;
  }
}

/**
 * Headers of a message to publish. The client library only encodes them, and building the library's
 * own header object would take as long as everything else combined.
 */
export function encodedHeaders(fields: readonly (readonly [string, string])[]): MsgHdrs {
  let text = "NATS/1.0\r\n";
  for (const [name, value] of fields) text += `${name}: ${value}\r\n`;
  const encode = (): Uint8Array => encoder.encode(`${text}\r\n`);
  return { encode } as unknown as MsgHdrs;
}

/** Headers by name. */
export interface Headers {
  /** The value of a header; empty if it is missing. */
  get(name: string): string;
  /** The value of the last header of that name; empty if it is missing. */
  last(name: string): string;
}

/** The fields of the client library's messages that contain the raw headers. */
interface Raw {
  readonly _rdata?: unknown;
  readonly _msg?: { readonly hdr?: unknown };
}

/** Headers as text, searched on demand, because most readers need only one or two. */
class TextHeaders implements Headers {
  readonly #text: string;

  constructor(text: string) {
    this.#text = text;
  }

  get(name: string): string {
    return this.#valueAt(this.#text.indexOf(`\r\n${name}:`), name);
  }

  last(name: string): string {
    return this.#valueAt(this.#text.lastIndexOf(`\r\n${name}:`), name);
  }

  #valueAt(start: number, name: string): string {
    if (start < 0) return "";
    const from = start + name.length + 3;
    return this.#text.slice(from, this.#text.indexOf("\r\n", from)).trim();
  }
}

/** Parses headers from their bytes. */
export function headersFrom(bytes: Uint8Array): Headers {
  return new TextHeaders(plain.decode(bytes));
}

/**
 * The headers of a received message. They are read directly from the client library's internal
 * fields, because the library would parse all of them; if that fails, the library's API is used.
 */
export function headersOf(message: Msg): Headers | undefined {
  const { _msg, _rdata } = message as unknown as Raw;
  const length = _msg?.hdr;
  if (!(_rdata instanceof Uint8Array) || typeof length !== "number") return message.headers;
  return length <= 0 ? undefined : headersFrom(_rdata.subarray(0, length));
}

/** The status of a message that is no message of a stream; 0 if there is none. */
export function statusOf(message: Msg): number {
  const { _msg, _rdata } = message as unknown as Raw;
  const length = _msg?.hdr;
  // The library would parse all headers: only behind a blank in the first line there is a status.
  const isKnown = _rdata instanceof Uint8Array && typeof length === "number";
  if (isKnown && (length <= 0 || _rdata[8] !== 0x20)) return 0;
  return message.headers?.code ?? 0;
}

/** A message received from a stream. */
export interface Incoming {
  readonly subject: string;
  readonly data: Uint8Array;
  readonly headers: Headers | undefined;
  readonly seq: bigint;
  /** The time at which the server stored it. */
  readonly timestampNs: bigint;
}

/** The time of a message: from its source if it was copied, else when the server stored it. */
export function timeOf({ headers, timestampNs }: Incoming): bigint {
  const text = headers?.get(Header.time) ?? "";
  return text === "" ? timestampNs : parseRfc3339(text) ?? timestampNs;
}

function isBlank(byte: number | undefined): boolean {
  return byte === 0x20 || byte === 0x0a || byte === 0x0d || byte === 0x09;
}

/** Encodes messages of a stream as Lite3 documents. */
export class Reader {
  /** The document of the last message; overwritten by the next one. */
  readonly out: Buf = new Buf(4096);
  readonly #encoder = new Lite3Encoder(this.out);
  readonly #own: string;
  readonly #path: string;
  #lastHeader = "";
  #lastTags: readonly string[] = [];

  /** Creates a reader for the messages of one stream. */
  constructor(stream: string, path: string) {
    this.#own = subjectPrefix(stream);
    this.#path = path;
  }

  #tags(value: string): readonly string[] {
    if (value !== this.#lastHeader) {
      this.#lastTags = parseTags(value);
      this.#lastHeader = value;
    }
    return this.#lastTags;
  }

  /**
   * Encodes a message into {@linkcode Reader.out}.
   *
   * @throws {PlasmiteError} Corrupt if a message on a subject of this pool is not JSON
   */
  encode(message: Incoming): void {
    const { data, headers, subject } = message;
    const tags = this.#tags(headers?.get(Header.tags) ?? "");
    if (!subject.startsWith(this.#own)) {
      this.#foreign(data, [...tags, SUBJECT_TAG + subject]);
      return;
    }
    if (this.#object(data, tags) || this.#value(data, tags)) return;
    throw new PlasmiteError("Corrupt", "message is not JSON", {
      path: this.#path,
      seq: message.seq,
      hint: "Another program published it on a subject of this pool.",
    });
  }

  /** What is not an object is put into one; what is not JSON is text or bytes. */
  #foreign(data: Uint8Array, tags: readonly string[]): void {
    if (this.#object(data, tags) || this.#value(data, tags)) return;
    let json: string;
    try {
      json = `{"text":${JSON.stringify(utf8.decode(data))}}`;
    } catch {
      json = `{"base64":"${data.toBase64()}"}`;
    }
    this.#text(new TextEncoder().encode(json), tags);
  }

  #object(data: Uint8Array, tags: readonly string[]): boolean {
    let at = 0;
    while (isBlank(data[at])) at++;
    return data[at] === 0x7b && this.#text(data, tags);
  }

  #value(data: Uint8Array, tags: readonly string[]): boolean {
    const text = new Uint8Array(BEFORE_VALUE.length + data.length + 1);
    text.set(BEFORE_VALUE);
    text.set(data, BEFORE_VALUE.length);
    text[text.length - 1] = 0x7d;
    return this.#text(text, tags);
  }

  /** Encodes one JSON object; false, and nothing, for anything else. */
  #text(text: Uint8Array, tags: readonly string[]): boolean {
    const { out } = this;
    out.clear();
    try {
      let at = this.#encoder.messageFromJson(text, 0, text.length, tags);
      while (isBlank(text[at])) at++;
      return at === text.length;
    } catch (error) {
      if (error instanceof JsonSyntaxError || PlasmiteError.is(error)) return false;
      throw error;
    }
  }
}
