/**
 * What the tools do: checked arguments in, a line for people and a result out.
 *
 * @module
 */

import type { PoolInfo } from "../lib/backend/local/info.ts";
import { LARGEST_POOL } from "../lib/client/names.ts";
import { ErrorKind, messageOf, PlasmiteError } from "../lib/errors.ts";
import { type Arguments, BadArgument } from "./args.ts";
import { type Batch, DEFAULT_BYTES } from "./answer.ts";
import { readBatch } from "./batch.ts";
import type { Access } from "./catalog.ts";
import { insideString, Json, jsonText, strictProblem } from "./json.ts";
import { type Grouping, grouping } from "./latest.ts";
import { part, receipt } from "./one.ts";
import { parsePath, type Path } from "./path.ts";
import { poolJson } from "./pool_json.ts";
import type { Wanted } from "./selection.ts";
import type { PoolStore } from "./store.ts";
import { followed, missing, waitBatch } from "./wait.ts";

/**
 * Steps one filter may take on one message: enough for `test("a.*b")` on a thousand characters, at
 * worst some tens of milliseconds.
 */
const FILTER_STEPS = 1_000_000;

/**
 * The longest wait in milliseconds: clients give a request up after a minute, and what they would
 * have been told is lost to them then.
 */
export const LONGEST_WAIT = 50_000;

/** What a tool call runs in. */
export interface ToolContext {
  /** Where the pools are. */
  readonly store: PoolStore;
  /** What the peer may do. */
  readonly access: Access;
  /** Aborted when nobody waits for the answer any more. */
  readonly signal: AbortSignal;
  /** Ends waits early, with an answer. */
  readonly ending?: AbortSignal | undefined;
  /** The longest wait, whatever is asked for, in milliseconds; default {@linkcode LONGEST_WAIT}. */
  readonly maxWaitMs?: number | undefined;
  /** When the call arrived, as `performance.now()` tells time; default now. */
  readonly arrivedAt?: number | undefined;
  /** Takes one of a limited number of places for waits; null when there is none. */
  readonly takePlace?: (() => (() => void) | null) | undefined;
}

/** What a tool says when it worked: a line for people, and its result. */
export interface Success {
  readonly summary: string;
  readonly result: { readonly [key: string]: unknown };
  /** What the content has instead of the result, where that would only repeat what was given. */
  readonly shown?: { readonly [key: string]: unknown };
}

/** `1 message`, `2 messages`. */
function count(n: number, word: string): string {
  return `${n} ${word}${n === 1 ? "" : "s"}`;
}

/** Some of the pools in a line. */
function listed(pools: readonly PoolInfo[], total: number, next: string | undefined): string {
  if (total === 0) {
    return "There are no pools yet; plasmite_pool_create or plasmite_feed with create: true makes one.";
  }
  const names = pools.map(({ name }) => name).join(", ");
  if (pools.length === total) return `${count(total, "pool")}: ${names}.`;
  const rest = next === undefined ? "" : ` Pass cursor ${JSON.stringify(next)} for more.`;
  return `${pools.length} of ${count(total, "pool")}: ${names}.${rest}`;
}

function described(info: PoolInfo, name: string, { store }: ToolContext): Json {
  return new Json(jsonText(poolJson(info, name, (path) => store.shown(path))));
}

/** Carries out one tool. */
export type Action = (args: Arguments, context: ToolContext) => Promise<Success>;

/** What each tool does. */
export const ACTIONS: Readonly<Record<string, Action>> = {
  plasmite_pool_list: async (args, context) => {
    const most = args.between("count", 1, 1000, 100);
    const cursor = args.optionalText("cursor") ?? "";
    let total = 0;
    let next: string | undefined;
    const pools = await context.store.list((names) => {
      total = names.length;
      const rest = names.filter((name) => name > cursor);
      if (rest.length > most) next = rest[most - 1];
      return rest.slice(0, most);
    });
    return {
      summary: listed(pools, total, next),
      result: {
        pools: pools.map((info) => described(info, info.name, context)),
        total,
        next_cursor: next,
      },
    };
  },

  plasmite_pool_create: async (args, context) => {
    const name = args.text("name");
    const size = args.optionalWhole("size");
    if (size === 0n) throw new BadArgument("size", "expected a size in bytes, got 0");
    if (size !== undefined && size > LARGEST_POOL) {
      throw new BadArgument("size", `expected at most ${LARGEST_POOL} bytes, got ${size}`);
    }
    const info = await context.store.create(name, size);
    return { summary: `Created pool ${name}.`, result: { pool: described(info, name, context) } };
  },

  plasmite_pool_info: async (args, context) => {
    const name = args.text("pool");
    const info = await context.store.info(name);
    return { summary: `Pool ${name}.`, result: { pool: described(info, name, context) } };
  },

  plasmite_pool_delete: async (args, { store }) => {
    const name = args.text("pool");
    await store.remove(name);
    return { summary: `Deleted pool ${name}.`, result: { deleted: { pool: name } } };
  },

  plasmite_feed: async (args, { store }) => {
    const name = args.text("pool");
    const data = args.json("data");
    const tags = args.tags("tags");
    const create = args.flag("create");
    if (!data.trimStart().startsWith("{")) {
      // Of two mistakes the missing pool is reported first (docs/spec/agents.md 5).
      if (!create) await store.info(name);
      throw notObject(data.trim());
    }
    const message = await store.append(name, data, tags, create);
    const { seq } = seqOf(message);
    return {
      summary: `Stored as message ${seq} in ${name}.`,
      result: { message: new Json(message) },
      // The caller has just written the data.
      shown: { message: receipt(message) },
    };
  },

  plasmite_fetch: async (args, { store }) => {
    const name = args.text("pool");
    const seq = args.whole("seq");
    const maxBytes = args.optionalBetween("max_bytes", 1024, 16_777_216);
    const path = pathOf(args);
    let message: string;
    try {
      message = await store.get(name, seq);
    } catch (error) {
      throw PlasmiteError.is(error, ErrorKind.NotFound) && error.seq !== undefined
        ? await notRetained(store, name, error)
        : error;
    }
    const one = inArgument("path", () => part(message, { path, maxBytes }));
    const summary = path === undefined
      ? `Message ${seq} of ${name}.`
      : `${path.given} of message ${seq} of ${name}, as data.`;
    return {
      summary: one.note === undefined ? summary : `${summary} ${one.note}`,
      result: { ...one },
    };
  },

  plasmite_read: async (args, { store, signal }) => {
    const name = args.text("pool");
    const limit = args.between("count", 1, 200, 20);
    const after = args.optionalWhole("after_seq");
    const since = args.since("since");
    const tags = args.tags("tags");
    const latest = groups(args);
    const maxBytes = args.between("max_bytes", 1024, 16_777_216, DEFAULT_BYTES);
    const compiled = await condition(args);
    const wanted: Wanted = { count: limit, maxBytes, after, since, tags, latest, ...compiled };
    const pool = await store.open(name);
    try {
      const batch = await readBatch(pool, wanted, signal);
      const parts = [`${count(batch.messages.length, "message")} from ${name}.`, ...moreOf(batch)];
      return {
        summary: [...parts, ...(batch.note === undefined ? [] : [batch.note])].join(" "),
        result: { ...batch },
      };
    } finally {
      pool.close();
    }
  },

  plasmite_wait: async (args, context) => {
    const { store, signal, ending } = context;
    const name = args.text("pool");
    const given = args.optionalWhole("after_seq");
    const limit = args.between("count", 1, 200, 20);
    const timeout = args.between("timeout_ms", 0, 60_000, 10_000);
    const tags = args.tags("tags");
    const maxBytes = args.between("max_bytes", 1024, 16_777_216, DEFAULT_BYTES);
    const compiling = condition(args);
    // A bad filter is told at once, also while the pool is waited for.
    const bad = new AbortController();
    const until = { deadline: waitUntil(timeout, context), signal, ending };
    const opening = followed(store, name, given, {
      ...until,
      signal: AbortSignal.any([signal, bad.signal]),
    });
    let compiled: Awaited<typeof compiling>;
    try {
      compiled = await compiling;
    } catch (error) {
      bad.abort();
      opening.then(({ pool }) => pool?.close(), () => {});
      throw error;
    }
    const { pool, after } = await opening;
    if (pool === undefined) {
      const batch = missing(name, after);
      return { summary: batch.note ?? "", result: { ...batch } };
    }
    try {
      const wanted = { count: limit, maxBytes, after, tags, ...compiled };
      return waited(name, await waitBatch(pool, wanted, until));
    } finally {
      pool.close();
    }
  },
};

/** What a wait has to say. */
function waited(name: string, batch: Batch): Success {
  const { messages, timed_out, cursor_ahead, next_after_seq, note } = batch;
  const parts: string[] = [];
  if (timed_out !== true) parts.push(`${count(messages.length, "message")} from ${name}.`);
  else if (cursor_ahead !== true) {
    parts.push(`Nothing arrived in ${name} in time; wait again with after_seq ${next_after_seq}.`);
  }
  return {
    summary: [...parts, ...moreOf(batch), ...(note === undefined ? [] : [note])].join(" "),
    result: { ...batch },
  };
}

/** When a wait that begins now is over, as `performance.now()` tells time. */
function waitUntil(
  timeoutMs: number,
  { arrivedAt, maxWaitMs = LONGEST_WAIT }: ToolContext,
): number {
  const now = performance.now();
  return Math.min(now + timeoutMs, (arrivedAt ?? now) + maxWaitMs);
}

/** What a reader of the summary line should know about the cursor. */
function moreOf(batch: Batch): string[] {
  const { has_more, fell_behind, next_after_seq, cursor_ahead, newest_available_seq } = batch;
  const parts: string[] = [];
  if (cursor_ahead === true) {
    parts.push(
      `after_seq is ahead of the newest message there was (${
        newest_available_seq ?? "none"
      } now): ` +
        "the pool was probably made anew; start over without after_seq, or with 0 for all of it.",
    );
  }
  if (has_more === true) parts.push(`More: after_seq ${next_after_seq}.`);
  if (fell_behind) parts.push("Older messages were overwritten before they were read.");
  return parts;
}

/** The sequence number of an envelope that we printed: near its end, behind the data. */
function seqOf(envelope: string): { seq: string } {
  return { seq: /"seq":(\d+),"time":"[^"]*"\}$/.exec(envelope)?.[1] ?? "" };
}

/** Why data is no object, and how it becomes one. */
function notObject(text: string): PlasmiteError {
  const string = text.startsWith('"') ? JSON.parse(text) as string : undefined;
  const inner = string?.trim() ?? "";
  const refused = (hint: string): PlasmiteError =>
    new PlasmiteError("Usage", "data must be object", {
      hint: `A message's data is a JSON object.${hint}`,
    });
  if (inner.startsWith("{")) return refused(` ${problemOf(inner)} Send the object itself.`);
  const value = insideString(inner, "[") ?? text;
  return refused(value.length > 60 ? "" : ` Wrap it, as in {"value": ${value}}.`);
}

/** Why a string that begins like an object holds none. */
function problemOf(text: string): string {
  let problem = strictProblem(text);
  try {
    JSON.parse(text);
  } catch (error) {
    problem = messageOf(error);
  }
  return `This is a string whose text begins like one but is no JSON: ${problem}.`;
}

async function notRetained(
  store: PoolStore,
  name: string,
  error: PlasmiteError,
): Promise<PlasmiteError> {
  const { bounds } = await store.info(name);
  const range = bounds.oldestSeq === null
    ? "the pool is empty"
    : `${bounds.oldestSeq} to ${bounds.newestSeq} are retained`;
  return new PlasmiteError("NotFound", error.message, {
    seq: error.seq,
    hint: `In ${name} ${range}; call plasmite_read to see that range.`,
    cause: error,
  });
}

/** The compiled `where`, and what is strange about it. */
async function condition(args: Arguments): Promise<Pick<Wanted, "where" | "strangeKey">> {
  const expression = args.optionalText("where");
  if (expression === undefined) return {};
  const { compileWhere } = await import("../lib/filter/where.ts");
  const { readsNoMember } = await import("../lib/filter/diagnose.ts");
  try {
    const where = await compileWhere(expression, { maxSteps: FILTER_STEPS });
    return { where, strangeKey: readsNoMember(expression) };
  } catch (error) {
    if (!(error instanceof PlasmiteError) || error.kind !== ErrorKind.Usage) throw error;
    throw new BadArgument("where", `${error.message}. ${error.hint ?? ""}`.trim());
  }
}

function groups(args: Arguments): Grouping | undefined {
  const by = args.optionalText("latest_by");
  return by === undefined ? undefined : inArgument("latest_by", () => grouping(by));
}

function pathOf(args: Arguments): { readonly given: string; readonly steps: Path } | undefined {
  const given = args.optionalText("path");
  if (given === undefined) return undefined;
  return inArgument("path", () => ({ given, steps: parsePath(given) }));
}

/** Runs some work whose mistakes are those of one argument. */
function inArgument<T>(name: string, work: () => T): T {
  try {
    return work();
  } catch (error) {
    if (!PlasmiteError.is(error, ErrorKind.Usage)) throw error;
    throw new BadArgument(name, [error.message, error.hint ?? ""].filter(Boolean).join(". "));
  }
}
