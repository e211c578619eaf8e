/**
 * Validates option objects: no unknown names, no values of the wrong type. A misspelt option would
 * otherwise be ignored silently.
 *
 * @module
 */

import { PlasmiteError } from "../errors.ts";
import type { IntegerPolicy } from "../lite3/value.ts";
import {
  type AppendOptions,
  type BatchOptions,
  checkTags,
  type Durability,
  invalidTags,
  type ReplayOptions,
  type TailOptions,
} from "./options.ts";

/**
 * The type of an option: a result of `typeof` (`object` is `{ … }`), `instance` for any object,
 * `texts` for an array of strings, `signal` for an AbortSignal, `checked` if the code that uses it
 * validates it, or one of several words.
 */
export type OptionKind =
  | "string"
  | "number"
  | "boolean"
  | "function"
  | "object"
  | "instance"
  | "texts"
  | "signal"
  | "checked"
  | readonly string[];

/** The kind of each option of a call. */
export type OptionKinds<O extends object> = { readonly [K in keyof Required<O>]: OptionKind };

/**
 * Whether a value is a plain object: not an array, a Map or an instance of another built-in class.
 */
function isPlain(value: unknown): value is object {
  return Object.prototype.toString.call(value) === "[object Object]";
}

function isKind(value: unknown, kind: OptionKind): boolean {
  const type: string = typeof value;
  if (typeof kind !== "string") return type === "string" && kind.includes(value as string);
  switch (kind) {
    case "checked":
      return true;
    case "object":
      return isPlain(value);
    case "instance":
      return type === "object" && value !== null;
    case "texts":
      return Array.isArray(value) && value.every((one) => typeof one === "string");
    case "signal":
      return value instanceof AbortSignal;
    default:
      return type === kind;
  }
}

const WORDS: Readonly<Record<Exclude<OptionKind, readonly string[]>, string>> = {
  string: "a string",
  number: "a number",
  boolean: "true or false",
  function: "a function",
  object: "an object",
  instance: "an object",
  texts: "an array of strings",
  signal: "an AbortSignal",
  checked: "",
};

function words(kind: OptionKind): string {
  return typeof kind === "string" ? WORDS[kind] : `one of ${kind.join(", ")}`;
}

/** The integer policies. */
export const INTEGERS: readonly IntegerPolicy[] = ["auto", "number", "bigint"];

/**
 * Returns the options of a call after checking their names and kinds.
 *
 * @param call the name of the call in error messages
 * @throws {PlasmiteError} Usage
 */
export function checkOptions<O extends object>(
  options: O | undefined,
  call: string,
  kinds: OptionKinds<O>,
): O {
  if (options === undefined) return {} as O;
  const names = (): string => Object.keys(kinds).join(", ");
  if (!isPlain(options)) {
    throw new PlasmiteError("Usage", `invalid options of ${call}`, {
      hint: `Pass an object with some of ${names()}.`,
    });
  }
  for (const [name, value] of Object.entries(options)) {
    const kind = Object.hasOwn(kinds, name) ? kinds[name as keyof O] : undefined;
    if (kind === undefined) {
      throw new PlasmiteError("Usage", `unknown option of ${call}: ${name}`, {
        hint: `It takes ${names()}.`,
      });
    }
    if (value !== undefined && !isKind(value, kind)) {
      throw new PlasmiteError("Usage", `invalid option of ${call}: ${name}`, {
        hint: `Pass ${words(kind)}.`,
      });
    }
  }
  return options;
}

/** The kinds of the options of an append. */
export const APPEND_KINDS: OptionKinds<AppendOptions> = {
  tags: "checked",
  durability: "checked",
  timestampNs: "checked",
  signal: "signal",
  expect: "checked",
  key: "string",
  id: "string",
  idWindow: "number",
};

const { id: _, ...SHARED_KINDS } = APPEND_KINDS;
/** The kinds of the options of an append of several messages. */
export const BATCH_KINDS: OptionKinds<BatchOptions> = { ...SHARED_KINDS, ids: "texts" };

/** The kinds of the options of a tail. */
export const TAIL_KINDS: OptionKinds<TailOptions> = {
  sinceSeq: "checked",
  untilSeq: "checked",
  since: "checked",
  sinceTimeNs: "checked",
  maxMessages: "checked",
  tags: "checked",
  where: "checked",
  errorOnGap: "boolean",
  timeoutMs: "checked",
  idleTimeoutMs: "checked",
  from: ["oldest", "end"],
  onGap: "function",
  skipCorrupt: "boolean",
  onUnreadable: "function",
  signal: "signal",
};

/** The kinds of the options of a replay. */
export const REPLAY_KINDS: OptionKinds<ReplayOptions> = {
  speed: "checked",
  sinceSeq: "checked",
  since: "checked",
  sinceTimeNs: "checked",
  last: "checked",
  maxMessages: "checked",
  timeoutMs: "checked",
  tags: "checked",
  where: "checked",
  signal: "signal",
};

/**
 * The options of an append, given as a list of tags and a durability or as an object.
 *
 * @throws {PlasmiteError} Usage
 */
export function appendOptions(
  tags: readonly string[] | AppendOptions | undefined,
  durability?: Durability,
): AppendOptions {
  if (tags === undefined || Array.isArray(tags)) {
    return {
      tags: checkTags(tags),
      ...(durability === undefined ? {} : { durability }),
    };
  }
  if (!isPlain(tags)) throw invalidTags();
  if (durability !== undefined) {
    throw new PlasmiteError("Usage", "durability is given after the options", {
      hint: "Put it into the options.",
    });
  }
  return checkAppend(tags as AppendOptions);
}

/**
 * Returns the options of an append after checking them.
 *
 * @throws {PlasmiteError} Usage
 */
export function checkAppend(options: AppendOptions | undefined): AppendOptions {
  const checked = checkOptions(options, "append", APPEND_KINDS);
  if (checked.tags !== undefined && !Array.isArray(checked.tags)) throw invalidTags();
  return checked;
}

/**
 * Returns the options of an append of several messages after checking them.
 *
 * @throws {PlasmiteError} Usage
 */
export function checkBatch(options: BatchOptions | undefined): BatchOptions {
  const checked = checkOptions(options, "appendBatch", BATCH_KINDS);
  if (checked.tags !== undefined && !Array.isArray(checked.tags)) throw invalidTags();
  return checked;
}
