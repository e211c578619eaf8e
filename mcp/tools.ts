/**
 * Runs the tools: arguments in, result or error with a way out of it.
 *
 * @module
 */

import type { PoolInfo } from "../lib/client/info.ts";
import { refusedByDeno } from "../lib/environment.ts";
import { ErrorKind, messageOf, PlasmiteError } from "../lib/errors.ts";
import type { Where } from "../lib/filter/where.ts";
import { Arguments, BadArgument } from "./args.ts";
import { type Batch, DEFAULT_BYTES } from "./answer.ts";
import { readBatch } from "./batch.ts";
import { type Access, allowed, NEEDS, tools } from "./catalog.ts";
import { Json, jsonText, wrap } from "./json.ts";
import { type Grouping, grouping } from "./latest.ts";
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

/** The result of a tool call as the protocol has it. */
export interface ToolResult {
  content: { type: "text"; text: string }[];
  structuredContent: { [key: string]: unknown };
  isError?: boolean;
  [key: string]: unknown;
}

/** What a tool says when it worked: a line for people, and its result. */
interface Success {
  readonly summary: string;
  readonly result: { readonly [key: string]: unknown };
}

function answer(summary: string, result: { readonly [key: string]: unknown }): ToolResult {
  const json = jsonText(result);
  return {
    // Older hosts show the content only, so the result is there too (docs/spec/agents.md 5).
    content: [{ type: "text", text: summary }, { type: "text", text: json }],
    structuredContent: wrap(json),
  };
}

function failure(text: string, facts: { readonly [key: string]: unknown }): ToolResult {
  return {
    content: [{ type: "text", text }],
    isError: true,
    structuredContent: wrap(jsonText(facts)),
  };
}

/** Runs a tool, or returns undefined when there is none of that name. */
export async function runTool(
  name: string,
  given: { readonly [name: string]: unknown },
  context: ToolContext,
): Promise<ToolResult | undefined> {
  const run = Object.hasOwn(TOOLS, name) ? TOOLS[name] : undefined;
  if (run === undefined) return undefined;
  if (!allowed(name, context.access)) {
    return failure(`${name} is not permitted on this server.`, {
      tool: name,
      error_kind: "Permission",
      hint: `This server is ${context.access}; it offers no tools that ${NEEDS[name]}.`,
    });
  }
  const place = name === "plasmite_wait" ? context.takePlace?.() : undefined;
  if (place === null) {
    return failure("Too many waits are running on this server.", {
      tool: name,
      error_kind: "Busy",
      hint: "Try again in a moment, or use plasmite_read with after_seq, which needs no place.",
    });
  }
  try {
    const known = Object.keys(
      tools().find((tool) => tool.name === name)?.inputSchema["properties"] ?? {},
    );
    const { summary, result } = await run(new Arguments(given, known), context);
    return answer(summary, result);
  } catch (error) {
    if (context.signal.aborted) throw error;
    return explain(name, given, error, context);
  } finally {
    place?.();
  }
}

/** An exception as an error result. */
function explain(
  tool: string,
  given: { readonly [name: string]: unknown },
  error: unknown,
  { store }: ToolContext,
): ToolResult {
  if (error instanceof BadArgument) {
    const { field, detail } = error;
    return failure(`Bad argument ${field} of ${tool}: ${detail}.`, {
      tool,
      error_kind: "Usage",
      field,
      detail,
    });
  }
  const known = error instanceof PlasmiteError
    ? error
    : refusedByDeno(error) ?? new PlasmiteError("Internal", messageOf(error));
  const { kindName, message, path, seq, offset } = known;
  const hint = hintFor(tool, given, known);
  return failure(hint === undefined ? message : `${message}. ${hint}`, {
    tool,
    error_kind: kindName,
    message,
    hint,
    path: path === undefined ? undefined : store.shown(path),
    seq,
    offset,
  });
}

/** What to do next, in the words of the tools. */
function hintFor(
  tool: string,
  given: { readonly [name: string]: unknown },
  { kind, hint, seq }: PlasmiteError,
): string | undefined {
  const pool = String(given["pool"] ?? given["name"] ?? "");
  if (kind === ErrorKind.AlreadyExists) return `The pool ${pool} is there; use it as-is.`;
  if (kind === ErrorKind.NotFound && seq === undefined) {
    return tool === "plasmite_feed"
      ? `No pool ${pool}; check the name, or pass create: true to make it.`
      : `No pool ${pool}; call plasmite_pool_list to see what exists.`;
  }
  return hint;
}

/** `1 message`, `2 messages`. */
function count(n: number, word: string): string {
  return `${n} ${word}${n === 1 ? "" : "s"}`;
}

function described(info: PoolInfo, name: string, { store }: ToolContext): Json {
  return new Json(jsonText(poolJson(info, name, (path) => store.shown(path))));
}

type Tool = (args: Arguments, context: ToolContext) => Promise<Success>;

const TOOLS: Readonly<Record<string, Tool>> = {
  plasmite_pool_list: async (_args, context) => {
    const pools = await context.store.list();
    return {
      summary: pools.length === 0
        ? "There are no pools yet; plasmite_pool_create or plasmite_feed with create: true makes one."
        : `${count(pools.length, "pool")}: ${pools.map(({ name }) => name).join(", ")}.`,
      result: { pools: pools.map((info) => described(info, info.name, context)) },
    };
  },

  plasmite_pool_create: async (args, context) => {
    const name = args.text("name");
    const size = args.optionalWhole("size");
    if (size === 0n) throw new BadArgument("size", "expected a size in bytes, got 0");
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
    };
  },

  plasmite_fetch: async (args, { store }) => {
    const name = args.text("pool");
    const seq = args.whole("seq");
    try {
      const message = await store.get(name, seq);
      return {
        summary: `Message ${seq} of ${name}.`,
        result: { message: new Json(message) },
      };
    } catch (error) {
      throw PlasmiteError.is(error, ErrorKind.NotFound) && error.seq !== undefined
        ? await notRetained(store, name, error)
        : error;
    }
  },

  plasmite_read: async (args, { store, signal }) => {
    const name = args.text("pool");
    const limit = args.between("count", 1, 200, 20);
    const after = args.optionalWhole("after_seq");
    const since = args.since("since");
    const tags = args.tags("tags");
    const latest = groups(args);
    const maxBytes = args.between("max_bytes", 1024, 16_777_216, DEFAULT_BYTES);
    const where = await condition(args);
    const wanted: Wanted = { count: limit, maxBytes, after, since, tags, where, latest };
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
    let where: Where | undefined;
    try {
      where = await compiling;
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
      const wanted = { count: limit, maxBytes, after, tags, where };
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

function notObject(text: string): PlasmiteError {
  const instead = text.length > 60 ? "" : ` Wrap it, as in {"value": ${text}}.`;
  return new PlasmiteError("Usage", "data must be object", {
    hint: `A message's data is a JSON object.${instead}`,
  });
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

/** The compiled `where`. */
async function condition(args: Arguments): Promise<Where | undefined> {
  const expression = args.optionalText("where");
  if (expression === undefined) return undefined;
  const { compileWhere } = await import("../lib/filter/where.ts");
  try {
    return await compileWhere(expression, { maxSteps: FILTER_STEPS });
  } catch (error) {
    if (!(error instanceof PlasmiteError) || error.kind !== ErrorKind.Usage) throw error;
    throw new BadArgument("where", `${error.message}. ${error.hint ?? ""}`.trim());
  }
}

function groups(args: Arguments): Grouping | undefined {
  const by = args.optionalText("latest_by");
  if (by === undefined) return undefined;
  try {
    return grouping(by);
  } catch (error) {
    if (!(error instanceof PlasmiteError)) throw error;
    throw new BadArgument("latest_by", `${error.message}. ${error.hint ?? ""}`);
  }
}
