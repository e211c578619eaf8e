/**
 * The kinds of arguments of tools: the schema of each, and how it is read. Limits and defaults are
 * defined once for both.
 *
 * @module
 */

import { LONGEST_AGE_MS } from "../lib/client/names.ts";
import { ErrorKind, PlasmiteError } from "../lib/errors.ts";
import { DEFAULT_POOL_SIZE } from "../lib/pool/layout.ts";
import { type Arguments, BadArgument } from "./args.ts";
import { type Grouping, grouping } from "../lib/filter/latest.ts";
import { parsePath, type Path } from "./path.ts";
import type { Schema } from "./schema.ts";
import { compileCondition, type Condition } from "./selection.ts";

/** One argument. */
export interface Argument<T> {
  /** Its schema, with the description. */
  readonly schema: Schema & { readonly description: string };
  /** Whether it is required. */
  readonly required: boolean;
  /** Reads it, or throws {@linkcode BadArgument}. */
  read(given: Arguments, name: string): T;
}

/** The arguments of a tool by name, in the order they are checked. */
export type Input = { readonly [name: string]: Argument<unknown> };

/** The value that reading an {@linkcode Input} returns. */
export type Values<I extends Input> = {
  readonly [N in keyof I]: I[N] extends Argument<infer T> ? T : never;
};

function optional<T>(
  schema: Schema,
  description: string,
  read: Argument<T>["read"],
): Argument<T> {
  return { schema: { ...schema, description }, required: false, read };
}

function required<T>(schema: Schema, description: string, read: Argument<T>["read"]): Argument<T> {
  return { schema: { ...schema, description }, required: true, read };
}

const TEXT = { type: "string" };
const WHOLE = { type: "integer", minimum: 0 };
const TAGS = { type: "array", items: TEXT };

/** A required text. */
export function text(description: string): Argument<string> {
  return required(TEXT, description, (given, name) => given.text(name));
}

/** An optional text. */
export function optionalText(description: string): Argument<string | undefined> {
  return optional(TEXT, description, (given, name) => given.optionalText(name));
}

/** One of several words. */
export function choice<const W extends string>(
  words: readonly W[],
  description: string,
): Argument<W> {
  return required({ type: "string", enum: words }, description, (given, name) => {
    const word = given.text(name);
    const found = words.find((one) => one === word);
    if (found !== undefined) return found;
    throw new BadArgument(name, `expected ${words.join(", ")}, got ${JSON.stringify(word)}`);
  });
}

/** Texts, at least one. */
export function texts(description: string): Argument<readonly string[]> {
  const schema = { ...TAGS, minItems: 1 };
  return required(schema, description, (given, name) => {
    const found = given.texts(name);
    if (found.length > 0) return found;
    throw new BadArgument(name, "expected at least one");
  });
}

/** An optional integer within limits. */
export function optionalBetween(
  least: number,
  most: number,
  description: string,
): Argument<number | undefined> {
  return optional(
    { type: "integer", minimum: least, maximum: most },
    description,
    (given, name) => given.optionalBetween(name, least, most),
  );
}

/** A boolean. */
export function flag(description: string): Argument<boolean> {
  return optional(
    { type: "boolean", default: false },
    `${description}; default false.`,
    (given, name) => given.flag(name),
  );
}

/** A required sequence number. */
export function sequence(description: string): Argument<bigint> {
  return required(WHOLE, description, (given, name) => given.whole(name));
}

/** An optional sequence number. */
export function optionalSequence(description: string): Argument<bigint | undefined> {
  return optional(WHOLE, description, (given, name) => given.optionalWhole(name));
}

/** An integer within limits. */
export interface Range {
  readonly least: number;
  readonly most: number;
  readonly standard: number;
}

/** An integer within limits, which become part of its description. */
export function between(
  { least, most, standard }: Range,
  what: string,
  more = "",
): Argument<number> {
  return optional(
    { type: "integer", minimum: least, maximum: most, default: standard },
    `${what}, ${least} to ${most}, default ${standard}${more === "" ? "." : more}`,
    (given, name) => given.between(name, least, most, standard),
  );
}

/** The size of a pool in bytes, up to `most`. */
export function size(most: bigint): Argument<number | undefined> {
  const schema = { type: "integer", minimum: 1, maximum: Number(most), default: DEFAULT_POOL_SIZE };
  const description = `Size of the whole file in bytes, default ${DEFAULT_POOL_SIZE} (1 MiB), at ` +
    `most ${most} (1 TiB).`;
  return optional(schema, description, (given, name) => {
    const bytes = given.optionalWhole(name);
    if (bytes === 0n) throw new BadArgument(name, "expected a size in bytes, got 0");
    if (bytes !== undefined && bytes > most) {
      throw new BadArgument(name, `expected at most ${most} bytes, got ${bytes}`);
    }
    return bytes === undefined ? undefined : Number(bytes);
  });
}

/** The maximum age of messages in milliseconds. */
export function maxAge(): Argument<number | undefined> {
  const schema = { type: "integer", minimum: 1000, maximum: LONGEST_AGE_MS };
  const description = "Messages older than this many milliseconds expire, at least 1000; by " +
    "default there is no limit.";
  return optional(schema, description, (given, name) => {
    const ms = given.optionalWhole(name);
    if (ms === undefined) return undefined;
    return given.between(name, 1000, LONGEST_AGE_MS, 0);
  });
}

/** The text of a JSON object. */
export function object(description: string): Argument<string> {
  return required({ type: "object" }, description, (given, name) => given.json(name));
}

/** Tags; default none. */
export function tags(description: string): Argument<readonly string[]> {
  return optional(TAGS, description, (given, name) => given.tags(name));
}

/** A required name of a pool. */
export function pool(
  description = "Name of the pool; plasmite_pool_list shows what exists.",
): Argument<string> {
  return text(description);
}

/** The largest number of messages in an answer. */
export function count(more = ""): Argument<number> {
  return between({ least: 1, most: 200, standard: 20 }, "Most messages in the answer", more);
}

/** Tags to filter by. */
export function tagFilter(): Argument<readonly string[]> {
  return tags(
    "Only messages that carry all of these tags (exact match). Tags are trimmed; empty ones are refused.",
  );
}

/** The earliest time of messages. */
export function since(): Argument<bigint | undefined> {
  return optional(
    TEXT,
    "Only messages at or after this time: how long ago (30s, 10m, 2h, 1d) or RFC 3339 (2026-02-01T10:00:00Z).",
    (given, name) => given.since(name),
  );
}

/** A condition; reading returns a function that compiles it. */
export function where(): Argument<() => Promise<Condition | undefined>> {
  return optional(
    TEXT,
    'Only messages for which this jq condition on {data, meta: {tags}, seq, time} is true, such as .data.level == "error" and .data.code >= 500. A message that lacks a key which the condition reads does not match, whatever the comparison; where_failed counts such messages, and (.data.done? // false) != true gives a missing key a value.',
    (given, name) => {
      const expression = given.optionalText(name);
      return async () => expression === undefined ? undefined : await compileCondition(expression);
    },
  );
}

/** What groups messages. */
export function latestBy(): Argument<Grouping | undefined> {
  return optional(
    TEXT,
    "Only the newest message of each group: the beginning of a tag, such as agent: (one group for each such tag), or a path such as .data.agent or .data.files[0]. The field latest of the answer names the groups.",
    (given, name) => {
      const by = given.optionalText(name);
      return by === undefined ? undefined : ofArgument(name, () => grouping(by));
    },
  );
}

/** A path as given, and its steps. */
export interface GivenPath {
  readonly given: string;
  readonly steps: Path;
}

/** A path into the data of a message. */
export function path(description: string): Argument<GivenPath | undefined> {
  return optional(TEXT, description, (given, name) => {
    const text = given.optionalText(name);
    if (text === undefined) return undefined;
    return ofArgument(name, () => ({ given: text, steps: parsePath(text) }));
  });
}

/** Limits for the size of an answer, in bytes of JSON. */
export const BYTES: Range = { least: 1024, most: 16_777_216, standard: 65_536 };

/** The largest size of an answer. */
export function maxBytes(): Argument<number> {
  return optional(
    { type: "integer", minimum: BYTES.least, maximum: BYTES.most, default: BYTES.standard },
    `Most bytes of JSON in the answer, default ${BYTES.standard}. What does not fit is left out or cut, and the answer says how to get it.`,
    (given, name) => given.between(name, BYTES.least, BYTES.most, BYTES.standard),
  );
}

/** Like {@linkcode maxBytes}, but without a default limit. */
export function optionalMaxBytes(): Argument<number | undefined> {
  return optional(
    { type: "integer", minimum: BYTES.least, maximum: BYTES.most },
    "Most bytes of JSON in the answer, without a limit by default. Larger data is cut to its beginning.",
    (given, name) => given.optionalBetween(name, BYTES.least, BYTES.most),
  );
}

/** Runs work whose usage errors are about one argument. */
export function ofArgument<T>(name: string, work: () => T): T {
  try {
    return work();
  } catch (error) {
    if (!PlasmiteError.is(error, ErrorKind.Usage)) throw error;
    throw new BadArgument(name, [error.message, error.hint ?? ""].filter(Boolean).join(". "));
  }
}
