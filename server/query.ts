/**
 * The query of a tail (docs/spec/http-api.md 3, 12).
 *
 * @module
 */

import { U64_MAX } from "../lib/client/options.ts";
import type { Where } from "../lib/filter/where.ts";
import { PlasmiteError } from "../lib/errors.ts";
import { readSince } from "../lib/text/time.ts";
import { z } from "zod";
import { bad, tooLong } from "./errors.ts";
import type { Limits, Parameter } from "./routes/route.ts";
import { U64 } from "./schemas.ts";

/** Steps that a filter of a client may take for one message. */
const FILTER_STEPS = 20_000;
/** The longest filter, in characters. */
const FILTER_LENGTH = 4096;

/** What a client wants of a pool. */
export interface TailQuery {
  /** First sequence number; null for the oldest retained. */
  readonly sinceSeq: bigint | null;
  /** End after so many messages; -1 without a limit. */
  readonly max: bigint;
  /** Total time in milliseconds. */
  readonly timeoutMs: number;
  /** End with an error when messages were lost. */
  readonly errorOnGap: boolean;
  /** All of these must be there. */
  readonly tags: readonly string[];
  /** Stored messages from this time on, in nanoseconds since 1970; 0 for all. */
  readonly sinceTimeNs: bigint;
  /** A filter on the envelope. */
  readonly where: Where | null;
  /** End at the newest message as of the start. */
  readonly noFollow: boolean;
  /** End behind this number; null for none. */
  readonly until: bigint | null;
  /** Only the last so many matches of what is there at the start; null for all. */
  readonly last: number | null;
  /** Tell how far was looked, and what was lost, between the messages. */
  readonly marks: boolean;
}

const FLAG = z.enum(["0", "1"]);

/** The parameters of every stream. */
export const TAIL_PARAMETERS = [
  { name: "since_seq", schema: U64, description: "First sequence number; default the oldest" },
  { name: "max", schema: U64, description: "End after so many messages" },
  {
    name: "timeout_ms",
    schema: ({ maxTailTimeoutMs }: Limits): z.ZodType =>
      z.number().int().nonnegative().max(maxTailTimeoutMs),
    description: "Total time in milliseconds; default the most that the server allows",
  },
  {
    name: "gap_policy",
    schema: z.enum(["continue", "error"]),
    description: "What to do when messages were lost; error is not for tail_lite3",
  },
  {
    name: "tag",
    schema: z.array(z.string()),
    description: "Only messages with all of these tags; may be given again",
  },
  { name: "since", schema: z.string(), description: "RFC 3339 time, or such as 10m" },
  { name: "where", schema: z.string(), description: "jq expression on the envelope" },
  { name: "no_follow", schema: FLAG, description: "End at the newest message as of the start" },
  { name: "until", schema: U64, description: "End behind this sequence number" },
  {
    name: "last",
    schema: U64,
    description: "Of what is there at the start, only the last so many that match",
  },
] as const satisfies readonly Parameter[];

/** A parameter of streams that have room for marks. */
export const MARKS = {
  name: "marks",
  schema: FLAG,
  description: "Between the messages, tell how far was looked and what was lost",
} as const satisfies Parameter;

type Name = (typeof TAIL_PARAMETERS | readonly [typeof MARKS])[number]["name"];

/** A parameter that may be given once. */
function single(params: URLSearchParams, name: Name): string | null {
  const values = params.getAll(name);
  if (values.length > 1) throw bad(`duplicate parameter ${name}`, "Give it once.");
  return values[0] ?? null;
}

/**
 * An unsigned 64-bit integer; leading zeros pass.
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
 * Compiles the filter of a caller; null for none.
 *
 * @throws {HttpError} 400
 */
export async function filter(text: string | null): Promise<Where | null> {
  if (text === null) return null;
  if (text.length > FILTER_LENGTH) {
    throw bad("filter expression is too long", `Use at most ${FILTER_LENGTH} characters.`);
  }
  const { compileWhere } = await import("../lib/filter/where.ts");
  try {
    return await compileWhere(text, { maxSteps: FILTER_STEPS });
  } catch (error) {
    if (!PlasmiteError.is(error)) throw error;
    throw bad(error.message, error.hint ?? "Check the jq expression.");
  }
}

/**
 * Nanoseconds since 1970 for a time or an age; 0 for none.
 *
 * @throws {HttpError} 400
 */
export function sinceTime(text: string | null): bigint {
  if (text === null) return 0n;
  const since = readSince(text);
  if (since !== undefined) return since;
  throw bad("invalid since", "Use an RFC 3339 time or a relative one such as 10m.");
}

/** Sequence numbers begin at 1: since 0 asks for everything and must report no gap for 0. */
function startOf(seq: bigint | null): bigint | null {
  return seq === 0n ? 1n : seq;
}

/**
 * Reads and checks the parameters.
 *
 * @param limit the server's longest tail in milliseconds
 * @param lastEventId the `Last-Event-ID` of a browser that reconnects; it wins over `since_seq`
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
  const gapPolicy = single(params, "gap_policy");
  const since = single(params, "since");
  const where = single(params, "where");
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
    tags: params.getAll("tag").map((tag) => tag.trim()).filter((tag) => tag !== ""),
    sinceTimeNs: sinceTime(since),
    where: await filter(where),
    noFollow,
    until: integer(params, "until"),
    last: last === null ? null : Number(last),
    marks: flag(params, "marks"),
  };
}
