/**
 * One message by its sequence number: all of it, a part of its data, or its beginning.
 *
 * @module
 */

import { Json } from "../lib/text/json_exact.ts";
import { members } from "./json.ts";
import { follow, type Path } from "./path.ts";

/** The requested part of a message. */
export interface Part {
  /** The path into the data as given, and its steps. */
  readonly path?: { readonly given: string; readonly steps: Path } | undefined;
  /** The largest size, in bytes of JSON. */
  readonly maxBytes?: number | undefined;
}

/** The result of a fetch. */
export interface One {
  /** The message, possibly with only a part of its data. */
  readonly message: Json;
  /** The path to that part. */
  readonly path?: string;
  /** Set if the data was cut. */
  readonly cut?: readonly { readonly seq: Json; readonly bytes: number }[];
  /** Advice about what was cut. */
  readonly note?: string;
}

/** The largest size of an envelope without its data and of a marker for cut data, in bytes. */
const AROUND = 120;

/** The members of an envelope printed by us, as JSON text. */
function envelope(json: string): Map<string, string> {
  return new Map(
    [...members(json, 0)].map(([key, { start, end }]) => [key, json.slice(start, end)]),
  );
}

function size(text: string): number {
  return new TextEncoder().encode(text).length;
}

/** The envelope without its data, which the writer knows already. */
export function receipt(json: string): Json {
  const { data: _data, ...rest } = Object.fromEntries(envelope(json));
  return new Json(`{${Object.entries(rest).map(([key, text]) => `"${key}":${text}`).join(",")}}`);
}

/**
 * Returns the requested part of a message.
 *
 * @param json its envelope
 * @throws {PlasmiteError} Usage if the path does not exist
 */
export function part(json: string, { path, maxBytes }: Part): One {
  if (path === undefined && (maxBytes === undefined || size(json) <= maxBytes)) {
    return { message: new Json(json) };
  }
  const parts = envelope(json);
  const whole = parts.get("data") ?? "null";
  const data = path === undefined ? whole : follow(whole, path.steps);
  const rest = ["meta", "seq", "time"].map((key) => `"${key}":${parts.get(key) ?? "null"}`).join(
    ",",
  );
  const message = (shown: string): Json => new Json(`{"data":${shown},${rest}}`);
  const common = path === undefined ? {} : { path: path.given };
  const bytes = size(data);
  if (maxBytes === undefined || bytes + size(rest) + 10 <= maxBytes) {
    return { message: message(data), ...common };
  }
  // In a string each quote and backslash takes two bytes.
  const room = Math.max(0, maxBytes - size(rest) - AROUND) >> 1;
  const start = beginning(data, room);
  const seq = parts.get("seq") ?? "0";
  return {
    message: message(
      `{"plasmite_cut":true,"bytes":${bytes},"starts_with":${JSON.stringify(start)}}`,
    ),
    ...common,
    cut: [{ seq: new Json(seq), bytes }],
    note: `The data of message ${seq} has ${bytes} bytes and is cut to its beginning; ` +
      `a larger max_bytes shows more, path (such as .data.name or .data.list[0]) gives a part.`,
  };
}

/** The first bytes of a text, without an incomplete character at the end. */
function beginning(text: string, bytes: number): string {
  const buffer = new Uint8Array(bytes);
  const { read } = new TextEncoder().encodeInto(text, buffer);
  return text.slice(0, read);
}
