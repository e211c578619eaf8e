/**
 * The query of a tail (docs/spec/http-api.md 3, 12).
 *
 * @module
 */

import { U64_MAX } from "../lib/client/options.ts";
import type { ServedLimits } from "../lib/filter/served.ts";
import type { Where } from "../lib/filter/where.ts";
import { ErrorKind, PlasmiteError } from "../lib/errors.ts";
import { readSince } from "../lib/text/time.ts";
import { bad, HttpError, tooLong } from "./errors.ts";
import { FILTER_LIMITS } from "./filter_budget.ts";
import type { Parameter, Schema } from "./routes/route.ts";

/** The longest filter, in characters. */
const FILTER_LENGTH = 4096;

/** The parameters of a stream. */
export interface TailQuery {
  /** First sequence number; null for the oldest retained. */
  readonly sinceSeq: bigint | null;
  /** The largest number of messages; -1 for no limit. */
  readonly max: bigint;
  /** Total time in milliseconds. */
  readonly timeoutMs: number;
  /** Whether to end with an error when messages were lost. */
  readonly errorOnGap: boolean;
  /** The tags that a message must all have. */
  readonly tags: readonly string[];
  /** The earliest time of a message, in nanoseconds since 1970; 0 for all. */
  readonly sinceTimeNs: bigint;
  /** The filters on the envelope. */
  readonly where: readonly Where[];
  /** Whether to end at the message that is the newest at the start. */
  readonly noFollow: boolean;
  /** The last sequence number; null for no limit. */
  readonly until: bigint | null;
  /** The number of existing matches to start with, counted from the end; null for all. */
  readonly last: number | null;
  /** Whether to report the position reached and losses between messages. */
  readonly marks: boolean;
  /** Whether to go on behind damage, and to tell what cannot be read. */
  readonly skipCorrupt: boolean;
}

const FLAG: Schema = ({ z }) => z.enum(["0", "1"]);

/** The parameters of every stream. */
export const TAIL_PARAMETERS = [
  {
    name: "since_seq",
    schema: (of) => of.U64,
    description: "First sequence number; default the oldest",
  },
  { name: "max", schema: (of) => of.U64, description: "End after so many messages" },
  {
    name: "timeout_ms",
    schema: ({ z }, { maxTailTimeoutMs }) => z.number().int().nonnegative().max(maxTailTimeoutMs),
    description: "Total time in milliseconds; default the most that the server allows",
  },
  {
    name: "gap_policy",
    schema: ({ z }) => z.enum(["continue", "error"]),
    description: "What to do when messages were lost; error is not for tail_lite3",
  },
  {
    name: "tag",
    schema: ({ z }) => z.array(z.string()),
    description: "Only messages with all of these tags; may be given again",
  },
  { name: "since", schema: ({ z }) => z.string(), description: "RFC 3339 time, or such as 10m" },
  { name: "where", schema: ({ z }) => z.string(), description: "jq expression on the envelope" },
  { name: "q", schema: ({ z }) => z.string(), description: "Words that a message must all have" },
  { name: "no_follow", schema: FLAG, description: "End at the newest message as of the start" },
  { name: "until", schema: (of) => of.U64, description: "End behind this sequence number" },
  {
    name: "last",
    schema: (of) => of.U64,
    description: "Of what is there at the start, only the last so many that match",
  },
] as const satisfies readonly Parameter[];

/** The parameter of streams that have marks. */
export const MARKS = {
  name: "marks",
  schema: FLAG,
  description: "Report the position reached and losses between messages",
} as const satisfies Parameter;

/** The parameter of streams that can say what cannot be read. */
export const SKIP_CORRUPT = {
  name: "skip_corrupt",
  schema: FLAG,
  description: "Go on behind damage, and tell what cannot be read; needs marks",
} as const satisfies Parameter;

type Name = (typeof TAIL_PARAMETERS | readonly [typeof MARKS, typeof SKIP_CORRUPT])[number]["name"];

/**
 * A parameter that may be given only once; null without it.
 *
 * @throws {HttpError} 400
 */
export function single<N extends string>(params: URLSearchParams, name: N): string | null {
  const values = params.getAll(name);
  if (values.length > 1) throw bad(`duplicate parameter ${name}`, "Give it once.");
  return values[0] ?? null;
}

/** The tags to select by, trimmed. */
export function tagsOf(params: URLSearchParams): readonly string[] {
  return params.getAll("tag").map((tag) => tag.trim()).filter((tag) => tag !== "");
}

/**
 * Parses an unsigned 64-bit integer; leading zeros are accepted.
 *
 * @throws {HttpError} 400
 */
export function parseU64(text: string, name: string): bigint {
  const value = /^[0-9]{1,40}$/.test(text) ? BigInt(text) : -1n;
  if (value < 0n || value > U64_MAX) {
    throw bad(`invalid ${name}`, "Use a whole number from 0 to 2^64 - 1.");
  }
  return value;
}

function integer(params: URLSearchParams, name: Name): bigint | null {
  const text = single(params, name);
  return text === null ? null : parseU64(text, name);
}

function flag(params: URLSearchParams, name: Name): boolean {
  const text = single(params, name);
  if (text === null || text === "0" || text === "false") return false;
  if (text === "1" || text === "true") return true;
  throw bad(`invalid ${name}`, "Use 1 or 0.");
}

/**
 * Compiles the filters of a request, and limits their time.
 *
 * @throws {HttpError} 400
 */
export async function filters(
  texts: readonly string[],
  limits: ServedLimits = FILTER_LIMITS,
): Promise<readonly Where[]> {
  const found: Where[] = [];
  for (const text of texts) found.push(await compiled(text, limits));
  return found;
}

/**
 * Compiles a search for words. It needs no limit: it takes about as long as printing the message.
 *
 * @throws {HttpError} 400
 */
export async function wordsOf(text: string): Promise<Where> {
  checkLength(text);
  const { compileWords } = await import("../lib/filter/words.ts");
  try {
    return compileWords(text);
  } catch (error) {
    if (!PlasmiteError.is(error)) throw error;
    throw bad(error.message, error.hint ?? "Give at least one word.");
  }
}

function checkLength(text: string): void {
  if (text.length <= FILTER_LENGTH) return;
  throw bad("filter expression is too long", `Use at most ${FILTER_LENGTH} characters.`);
}

/**
 * The filter in a parameter, with its time limited; none if it is not given.
 *
 * @throws {HttpError} 400
 */
export async function conditions<N extends string>(
  params: URLSearchParams,
  name: N,
  limits?: ServedLimits,
): Promise<readonly Where[]> {
  const text = single(params, name);
  return await filters(text === null ? [] : [text], limits);
}

async function compiled(text: string, limits: ServedLimits): Promise<Where> {
  checkLength(text);
  const { compileServed } = await import("../lib/filter/served.ts");
  try {
    return await compileServed(text, limits);
  } catch (error) {
    if (!PlasmiteError.is(error, ErrorKind.Usage)) throw error;
    const { message, hint = "Check the jq expression.", suggestion } = error;
    throw new HttpError(400, "Usage", message, { hint, suggestion });
  }
}

/**
 * Converts a time or an age to nanoseconds since 1970; 0 if there is none.
 *
 * @param name the parameter
 * @throws {HttpError} 400
 */
export function sinceTime(text: string | null, name = "since"): bigint {
  if (text === null) return 0n;
  const since = readSince(text);
  if (since !== undefined) return since;
  throw bad(`invalid ${name}`, "Use an RFC 3339 time or a relative one such as 10m.");
}

/** Sequence numbers start at 1: 0 requests everything and must not be reported as a gap. */
function startOf(seq: bigint | null): bigint | null {
  return seq === 0n ? 1n : seq;
}

/**
 * Parses the parameters.
 *
 * @param limit the longest tail that the server allows, in milliseconds
 * @param lastEventId the `Last-Event-ID` of a browser that reconnects; it overrides `since_seq`
 * @throws {HttpError} 400
 */
export async function parseTail(
  search: string,
  limit: number,
  lastEventId: string | null = null,
): Promise<TailQuery> {
  const params = new URLSearchParams(search);
  let sinceSeq = startOf(integer(params, "since_seq"));
  const max = integer(params, "max") ?? -1n;
  const timeout = integer(params, "timeout_ms");
  const gapPolicy = single<Name>(params, "gap_policy");
  const since = single<Name>(params, "since");
  const words = single<Name>(params, "q");
  const noFollow = flag(params, "no_follow");
  const last = integer(params, "last");
  if (gapPolicy !== null && gapPolicy !== "continue" && gapPolicy !== "error") {
    throw bad("invalid tail gap policy", "Use continue or error.");
  }
  if (timeout !== null && timeout > BigInt(limit)) throw tooLong(limit);
  if (lastEventId !== null && lastEventId !== "") {
    const last = parseU64(lastEventId, "last-event-id");
    sinceSeq = last === U64_MAX ? last : last + 1n;
  }
  return {
    sinceSeq,
    max,
    timeoutMs: timeout === null ? limit : Number(timeout),
    errorOnGap: gapPolicy === "error",
    tags: tagsOf(params),
    sinceTimeNs: sinceTime(since),
    where: [
      ...(words === null ? [] : [await wordsOf(words)]),
      ...await conditions<Name>(params, "where"),
    ],
    noFollow,
    until: integer(params, "until"),
    last: last === null ? null : Number(last),
    marks: flag(params, "marks"),
    skipCorrupt: flag(params, "skip_corrupt"),
  };
}
