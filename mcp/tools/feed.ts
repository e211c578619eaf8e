/**
 * `plasmite_feed`.
 *
 * @module
 */

import { messageOf, PlasmiteError } from "../../lib/errors.ts";
import { append, requirePool } from "../append.ts";
import { seqOf } from "../envelope.ts";
import { flag, object, optionalSequence, optionalText, pool, tags } from "../input.ts";
import { Json } from "../../lib/text/json_exact.ts";
import { insideString, strictProblem } from "../json.ts";
import { receipt } from "../one.ts";
import { field, FLAG, maybe, MESSAGE } from "../schema.ts";
import { tool } from "../tool.ts";

/** The error for data that is not an object, with advice. */
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

/** The problem with a string that starts like an object. */
function problemOf(text: string): string {
  let problem = strictProblem(text);
  try {
    JSON.parse(text);
  } catch (error) {
    problem = messageOf(error);
  }
  return `This is a string whose text begins like one but is no JSON: ${problem}.`;
}

/** Appends a message. */
export const feed = tool({
  name: "plasmite_feed",
  title: "Append a message",
  description:
    "Append one message to a pool. It never changes earlier messages, and repeating it may store the message twice, unless it has an id. expect stores only if nobody else appended in between; otherwise the error is Conflict with actual. The pool must exist unless create is true.",
  needs: "append",
  waits: false,
  hints: { readOnly: false, destructive: false, idempotent: false },
  input: {
    pool: pool("Name of the pool to append to."),
    data: object("The message: any JSON object."),
    tags: tags("Tags for readers to filter by. Trimmed; empty ones are refused."),
    create: flag("Make the pool (1 MiB) if it is missing"),
    expect: optionalSequence(
      "Store only if this is the number of the pool's newest message, or with key of the newest with that key; 0 for none.",
    ),
    key: optionalText(
      "What the message is about; plasmite_read with key gets the newest. Stored as the tag key:KEY.",
    ),
    id: optionalText(
      "A name for this message alone: if it is stored already (among the last 4096 messages), nothing is stored and duplicate is true, so a call may be repeated. Other data under the same id is a Conflict.",
    ),
  },
  pool: "pool",
  missing: "check the name, or pass create: true to make it.",
  output: { message: field(MESSAGE), duplicate: maybe(FLAG) },
  run: async ({ pool, data, create, tags, ...conditions }, { pools }) => {
    if (!data.trimStart().startsWith("{")) {
      // A missing pool is reported before any other mistake (docs/spec/agents.md 5).
      if (!create) await requirePool(pools, pool);
      throw notObject(data.trim());
    }
    const { message, duplicate } = await append(pools, { pool, data, tags, create, ...conditions });
    const seq = seqOf(message);
    return {
      summary: duplicate
        ? `Already stored as message ${seq} in ${pool}.`
        : `Stored as message ${seq} in ${pool}.`,
      result: { message: new Json(message), ...(duplicate ? { duplicate } : {}) },
      // The caller has just written the data.
      shown: { message: receipt(message), ...(duplicate ? { duplicate } : {}) },
    };
  },
});
