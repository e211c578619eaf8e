/**
 * Runs tools: arguments in, result or error with advice out.
 *
 * @module
 */

import { refusedByDeno } from "../lib/environment.ts";
import { messageOf, PlasmiteError } from "../lib/errors.ts";
import { accessOf } from "../lib/grant.ts";
import { BadArgument } from "./args.ts";
import { hintFor } from "./hints.ts";
import { jsonText } from "../lib/text/json_exact.ts";
import { wrap } from "./json.ts";
import type { Success, Tool, ToolContext } from "./tool.ts";
import { isOffered, TOOLS } from "./tools.ts";

/** The result of a tool call in the protocol. */
export interface ToolResult {
  content: { type: "text"; text: string }[];
  structuredContent: { [key: string]: unknown };
  isError?: boolean;
  [key: string]: unknown;
}

type Given = { readonly [name: string]: unknown };

function answer({ summary, result, shown }: Success): ToolResult {
  const json = jsonText(result);
  return {
    // Older hosts show only the content, so it includes the result (docs/spec/agents.md 5).
    content: [
      { type: "text", text: summary },
      { type: "text", text: shown === undefined ? json : jsonText(shown) },
    ],
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

/** Runs a tool; undefined if there is none of that name. */
export async function runTool(
  name: string,
  given: Given,
  context: ToolContext,
): Promise<ToolResult | undefined> {
  const tool = TOOLS.find((one) => one.name === name);
  if (tool === undefined) return undefined;
  const { grant } = context.pools;
  const { ended } = grant;
  if (ended?.aborted === true) return revoked(tool);
  if (!isOffered(tool, grant)) return notPermitted(tool, context);
  const waits = typeof tool.waits === "function" ? tool.waits(given) : tool.waits;
  const place = waits ? context.takePlace?.() : undefined;
  if (place === null) {
    return failure("Too many waits are running on this server.", {
      tool: name,
      error_kind: "Busy",
      hint: "Try again in a moment, or use plasmite_read with after_seq, which does not wait.",
    });
  }
  // Reads and waits end when the caller loses the right; a change that was allowed is completed.
  const ending = tool.hints.readOnly || waits ? ended : undefined;
  const signal = ending === undefined ? context.signal : AbortSignal.any([context.signal, ending]);
  try {
    const result = answer(await tool.call(given, { ...context, signal }));
    return ending?.aborted === true ? revoked(tool) : result;
  } catch (error) {
    if (context.signal.aborted) throw error;
    if (ending?.aborted === true) return revoked(tool);
    return explain(tool, given, error, context);
  } finally {
    place?.();
  }
}

function revoked({ name }: Tool): ToolResult {
  return failure("These credentials are not valid any more.", {
    tool: name,
    error_kind: "Permission",
    hint: "The key was revoked, or its time is over. Ask for a new one.",
  });
}

function notPermitted({ name, needs, also }: Tool, { pools }: ToolContext): ToolResult {
  const access = accessOf(pools.grant) ?? "closed";
  return failure(`${name} is not permitted on this server.`, {
    tool: name,
    error_kind: "Permission",
    hint: `This server is ${access} for you; it offers no tools that ${
      needs === "read" && also === undefined ? "read" : "write"
    }.`,
  });
}

/** The name of the pool, if it was given. */
function poolOf({ pool }: Tool, given: Given): string {
  const name = pool === null || !Object.hasOwn(given, pool) ? undefined : given[pool];
  return typeof name === "string" ? name : "";
}

/** The error result for an exception. */
function explain(
  tool: Tool,
  given: Given,
  error: unknown,
  { pools }: ToolContext,
): ToolResult {
  if (error instanceof BadArgument) {
    const { field, detail } = error;
    return failure(`Bad argument ${field} of ${tool.name}: ${detail}.`, {
      tool: tool.name,
      error_kind: "Usage",
      field,
      detail,
    });
  }
  const known = error instanceof PlasmiteError
    ? error
    : refusedByDeno(error) ?? new PlasmiteError("Internal", messageOf(error));
  const { kindName, message, path, seq, offset } = known;
  const hint = hintFor(known, poolOf(tool, given), tool.missing);
  return failure(hint === undefined ? message : `${message}. ${hint}`, {
    tool: tool.name,
    error_kind: kindName,
    message,
    hint,
    path: path === undefined ? undefined : pools.shown(path),
    offset,
    ...known.details,
    seq: seq ?? known.details["seq"],
  });
}
