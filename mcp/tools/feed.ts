/**
 * `plasmite_feed`.
 *
 * @module
 */

import { messageOf, PlasmiteError } from "../../lib/errors.ts";
import { append, requirePool } from "../append.ts";
import { flag, object, pool, tags } from "../input.ts";
import { Json } from "../../lib/text/json_exact.ts";
import { insideString, strictProblem } from "../json.ts";
import { receipt } from "../one.ts";
import { field, MESSAGE } from "../schema.ts";
import { tool } from "../tool.ts";

/** The sequence number in an envelope printed by us, where it comes after the data. */
function seqOf(envelope: string): string {
  return /"seq":(\d+),"time":"[^"]*"\}$/.exec(envelope)?.[1] ?? "";
}

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
    "Append one message to a pool. It never changes earlier messages, and repeating it may store the message twice. The pool must exist unless create is true.",
  needs: "append",
  waits: false,
  hints: { readOnly: false, destructive: false, idempotent: false },
  input: {
    pool: pool("Name of the pool to append to."),
    data: object("The message: any JSON object."),
    tags: tags("Tags for readers to filter by. Trimmed; empty ones are refused."),
    create: flag("Make the pool (1 MiB) if it is missing"),
  },
  pool: "pool",
  missing: "check the name, or pass create: true to make it.",
  output: { message: field(MESSAGE) },
  run: async ({ pool, data, tags, create }, { pools }) => {
    if (!data.trimStart().startsWith("{")) {
      // A missing pool is reported before any other mistake (docs/spec/agents.md 5).
      if (!create) await requirePool(pools, pool);
      throw notObject(data.trim());
    }
    const message = await append(pools, { pool, data, tags, create });
    return {
      summary: `Stored as message ${seqOf(message)} in ${pool}.`,
      result: { message: new Json(message) },
      // The caller has just written the data.
      shown: { message: receipt(message) },
    };
  },
});
