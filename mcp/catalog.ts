/**
 * The tools as hosts see them: names, descriptions, schemas, annotations; and the instructions.
 *
 * Names, arguments and result fields are what hosts and prompts rely on (docs/spec/agents.md 5);
 * the words are for a model that has never seen a pool.
 *
 * @module
 */

import { ErrorKind } from "../lib/errors.ts";
import type { Access } from "../lib/types.ts";

export type { Access };

/** A piece of JSON Schema. */
export type Schema = { readonly [key: string]: unknown };

/** A tool as `tools/list` shows it. */
export interface ToolEntry {
  readonly name: string;
  readonly title: string;
  readonly description: string;
  readonly inputSchema: { readonly type: "object"; readonly [key: string]: unknown };
  readonly outputSchema: { readonly type: "object"; readonly [key: string]: unknown };
  readonly annotations: {
    readonly readOnlyHint: boolean;
    readonly destructiveHint: boolean;
    readonly idempotentHint: boolean;
    readonly openWorldHint: boolean;
  };
}

/** Whether a tool reads or writes. */
export const NEEDS: Readonly<Record<string, "read" | "write">> = {
  plasmite_pool_list: "read",
  plasmite_pool_create: "write",
  plasmite_pool_info: "read",
  plasmite_pool_delete: "write",
  plasmite_feed: "write",
  plasmite_fetch: "read",
  plasmite_read: "read",
  plasmite_wait: "read",
};

/** Whether the access mode lets a tool run. */
export function allowed(name: string, access: Access): boolean {
  return access === "read-write" || access === `${NEEDS[name]}-only`;
}

/** What a client is told about the whole server. */
export const INSTRUCTIONS = [
  "Plasmite pools are named, persistent, append-only message logs of a fixed size: when a pool is",
  "full, its oldest messages are overwritten. Other programs and agents write to the same pools.",
  "The tools you see are what this server permits; one that is missing is forbidden.",
  "Pool unknown: call plasmite_pool_list first; without it take the name from the task;",
  "plasmite_feed with create true makes a missing pool. Create or delete pools only when the task",
  "calls for it. A message is data (a JSON object), optional tags, a time and an automatic sequence",
  "number that most callers can ignore. plasmite_fetch gets one message by number; plasmite_read",
  "gets recent messages, a time window (since), the newest message per agent or tag (latest_by), or",
  "a range to resume (after_seq). plasmite_wait sleeps until a message comes: without after_seq only",
  "future ones count. Wait instead of reading again and again. A tag filter needs all given tags;",
  'where is a jq condition such as .data.status == "failed". For a loop pass next_after_seq back as',
  "after_seq; fell_behind means that messages in between were overwritten. Failures have isError and",
  "a structured error_kind with a hint. plasmite_feed is not idempotent: after an unclear failure",
  "repeat it only if the data carries its own stable id.",
].join(" ");

const WHOLE = { type: "integer", minimum: 0 };
const WHOLE_OR_NULL = { type: ["integer", "null"], minimum: 0 };
const TEXT = { type: "string" };

const POOL_NAME = "Name of the pool; plasmite_pool_list shows what exists.";
const TAGS_FILTER =
  "Only messages that carry all of these tags (exact match). Tags are trimmed; empty ones are refused.";
const WHERE =
  'Only messages for which this jq condition on {data, meta: {tags}, seq, time} is true, such as .data.level == "error" and .data.code >= 500. A message that lacks a key which the condition reads does not match, whatever the comparison; where_failed counts such messages, and (.data.done? // false) != true gives a missing key a value.';
const MAX_BYTES =
  "Most bytes of JSON in the answer, default 65536. What does not fit is left out or cut, and the answer says how to get it.";

function input(
  properties: { readonly [name: string]: Schema },
  required: readonly string[] = [],
): ToolEntry["inputSchema"] {
  return {
    type: "object",
    properties,
    ...(required.length > 0 ? { required } : {}),
    additionalProperties: false,
  };
}

function closed(
  properties: { readonly [name: string]: Schema },
  optional: readonly string[] = [],
): Schema {
  const required = Object.keys(properties).filter((name) => !optional.includes(name));
  return { type: "object", properties, required, additionalProperties: false };
}

const FAILURE: Schema = {
  type: "object",
  properties: {
    tool: TEXT,
    error_kind: {
      type: "string",
      enum: Object.keys(ErrorKind),
    },
  },
  required: ["tool", "error_kind"],
};

const POOL: Schema = {
  type: "object",
  properties: {
    name: TEXT,
    path: TEXT,
    file_size: WHOLE,
    bounds: {
      type: "object",
      properties: { oldest: WHOLE, newest: WHOLE },
      additionalProperties: false,
    },
    metrics: { type: "object" },
  },
  required: ["name", "path", "file_size", "bounds"],
  additionalProperties: true,
};

const MESSAGE: Schema = closed({
  seq: WHOLE,
  time: TEXT,
  meta: closed({ tags: { type: "array", items: TEXT } }),
  data: {},
});

const CUT: Schema = { type: "array", items: closed({ seq: WHOLE, bytes: WHOLE }) };

const ADDED = [
  "has_more",
  "cursor_ahead",
  "window_incomplete",
  "where_failed",
  "cut",
  "omitted",
  "latest",
  "note",
];

function batch(more: { readonly [name: string]: Schema }): Schema {
  return closed({
    messages: { type: "array", items: MESSAGE },
    next_after_seq: WHOLE_OR_NULL,
    last_returned_seq: WHOLE_OR_NULL,
    oldest_available_seq: WHOLE_OR_NULL,
    newest_available_seq: WHOLE_OR_NULL,
    fell_behind: { type: "boolean" },
    ...more,
    has_more: { type: "boolean" },
    cursor_ahead: { type: "boolean" },
    window_incomplete: { type: "boolean" },
    where_failed: WHOLE,
    cut: CUT,
    omitted: WHOLE,
    latest: { type: "array", items: closed({ key: TEXT, seq: WHOLE }) },
    note: TEXT,
  }, ADDED);
}

function output(success: Schema): ToolEntry["outputSchema"] {
  return { type: "object", oneOf: [success, FAILURE] };
}

type Hints = "reads" | "creates" | "deletes" | "appends";

function tool(
  name: string,
  title: string,
  hints: Hints,
  description: string,
  inputSchema: ToolEntry["inputSchema"],
  success: Schema,
): ToolEntry {
  return {
    name,
    title,
    description,
    inputSchema,
    outputSchema: output(success),
    annotations: {
      readOnlyHint: hints === "reads",
      destructiveHint: hints === "deletes",
      idempotentHint: hints !== "appends",
      openWorldHint: false,
    },
  };
}

let entries: readonly ToolEntry[] | undefined;

/** All tools, in the order hosts show them. */
export function tools(): readonly ToolEntry[] {
  return entries ??= [
    tool(
      "plasmite_pool_list",
      "List pools",
      "reads",
      "List pools by name with size, bounds and age of their messages, 100 unless asked otherwise. Start here when the pool's name is unknown.",
      input({
        count: {
          type: "integer",
          minimum: 1,
          maximum: 1000,
          description: "Most pools in the answer, 1 to 1000, default 100.",
        },
        cursor: {
          ...TEXT,
          description: "Where to go on: the next_cursor of the answer before.",
        },
      }),
      closed(
        { pools: { type: "array", items: POOL }, total: WHOLE, next_cursor: TEXT },
        ["next_cursor"],
      ),
    ),
    tool(
      "plasmite_pool_create",
      "Create a pool",
      "creates",
      "Make a pool: a ring of fixed size whose oldest messages are overwritten when it is full. On AlreadyExists nothing changed; use the pool as it is.",
      input({
        name: { ...TEXT, description: "Name of the new pool, without slashes." },
        size: {
          type: "integer",
          description: "Size of the whole file in bytes, default 1048576 (1 MiB), at most 1 TiB.",
        },
      }, ["name"]),
      closed({ pool: POOL }),
    ),
    tool(
      "plasmite_pool_info",
      "Describe a pool",
      "reads",
      "Describe one pool: capacity, retained sequence numbers, use of the ring, age of its messages.",
      input({ pool: { ...TEXT, description: POOL_NAME } }, ["pool"]),
      closed({ pool: POOL }),
    ),
    tool(
      "plasmite_pool_delete",
      "Delete a pool",
      "deletes",
      "Delete a pool with all its messages, for everyone and for good. Only when the task asks for it.",
      input({ pool: { ...TEXT, description: POOL_NAME } }, ["pool"]),
      closed({ deleted: closed({ pool: TEXT }) }),
    ),
    tool(
      "plasmite_feed",
      "Append a message",
      "appends",
      "Append one message to a pool. It never changes earlier messages, and repeating it may store the message twice. The pool must exist unless create is true.",
      input({
        pool: { ...TEXT, description: "Name of the pool to append to." },
        data: { type: "object", description: "The message: any JSON object." },
        tags: {
          type: "array",
          items: TEXT,
          description: "Tags for readers to filter by. Trimmed; empty ones are refused.",
        },
        create: {
          type: "boolean",
          description: "Make the pool (1 MiB) if it is missing; default false.",
        },
      }, ["pool", "data"]),
      closed({ message: MESSAGE }),
    ),
    tool(
      "plasmite_fetch",
      "Get one message",
      "reads",
      "Get one retained message by its sequence number: whole, or the part of its data that path leads to. To look around use plasmite_read.",
      input({
        pool: { ...TEXT, description: POOL_NAME },
        seq: { ...WHOLE, description: "Sequence number of the message." },
        path: {
          ...TEXT,
          description:
            'Only this part of the data, such as .data.log or .data.items[0]["odd name"]; the answer has it as the data of the message.',
        },
        max_bytes: {
          type: "integer",
          minimum: 1024,
          maximum: 16_777_216,
          description:
            "Most bytes of JSON in the answer, without a limit by default. Larger data is cut to its beginning.",
        },
      }, ["pool", "seq"]),
      closed({ message: MESSAGE, path: TEXT, cut: CUT, note: TEXT }, ["path", "cut", "note"]),
    ),
    tool(
      "plasmite_read",
      "Read messages",
      "reads",
      "Read messages, oldest first: by default the latest 20. Use since for a time window, tags and where to filter, latest_by for the newest message per agent or tag, and after_seq (advanced) to resume behind a known message. It does not wait; plasmite_wait does.",
      input({
        pool: { ...TEXT, description: POOL_NAME },
        count: {
          type: "integer",
          minimum: 1,
          maximum: 200,
          description: "Most messages in the answer, 1 to 200, default 20.",
        },
        after_seq: {
          ...WHOLE,
          description:
            "Read the first messages behind this sequence number; pass the next_after_seq of the previous answer.",
        },
        since: {
          ...TEXT,
          description:
            "Only messages at or after this time: how long ago (30s, 10m, 2h, 1d) or RFC 3339 (2026-02-01T10:00:00Z).",
        },
        tags: { type: "array", items: TEXT, description: TAGS_FILTER },
        where: { ...TEXT, description: WHERE },
        latest_by: {
          ...TEXT,
          description:
            "Only the newest message of each group: the beginning of a tag, such as agent: (one group for each such tag), or a path such as .data.agent or .data.files[0]. The field latest of the answer names the groups.",
        },
        max_bytes: {
          type: "integer",
          minimum: 1024,
          maximum: 16_777_216,
          description: MAX_BYTES,
        },
      }, ["pool"]),
      batch({}),
    ),
    tool(
      "plasmite_wait",
      "Wait for messages",
      "reads",
      "Wait for messages: returns as soon as at least one matches, or with timed_out true. Omit after_seq to wait for future messages only; in a loop pass the previous next_after_seq.",
      input({
        pool: { ...TEXT, description: POOL_NAME },
        after_seq: {
          ...WHOLE,
          description: "Messages behind this sequence number count, those already there too.",
        },
        count: {
          type: "integer",
          minimum: 1,
          maximum: 200,
          description:
            "Most messages in the answer, 1 to 200, default 20; it does not wait for so many.",
        },
        timeout_ms: {
          type: "integer",
          minimum: 0,
          maximum: 60_000,
          description:
            "How long to wait in milliseconds, 0 to 60000, default 10000. After 50000 the answer is timed_out true in any case; wait again.",
        },
        tags: { type: "array", items: TEXT, description: TAGS_FILTER },
        where: { ...TEXT, description: WHERE },
        max_bytes: {
          type: "integer",
          minimum: 1024,
          maximum: 16_777_216,
          description: MAX_BYTES,
        },
      }, ["pool"]),
      batch({ timed_out: { type: "boolean" } }),
    ),
  ];
}
