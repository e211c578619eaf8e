/**
 * Runs the tools: arguments in, result or error with a way out of it.
 *
 * @module
 */

import { refusedByDeno } from "../lib/environment.ts";
import { ErrorKind, messageOf, PlasmiteError } from "../lib/errors.ts";
import { ACTIONS, type Success, type ToolContext } from "./actions.ts";
import { Arguments, BadArgument } from "./args.ts";
import { allowed, NEEDS, tools } from "./catalog.ts";
import { jsonText, wrap } from "./json.ts";

/** The result of a tool call as the protocol has it. */
export interface ToolResult {
  content: { type: "text"; text: string }[];
  structuredContent: { [key: string]: unknown };
  isError?: boolean;
  [key: string]: unknown;
}

function answer({ summary, result, shown }: Success): ToolResult {
  const json = jsonText(result);
  return {
    // Older hosts show the content only, so the result is there too (docs/spec/agents.md 5).
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

/** Runs a tool, or returns undefined when there is none of that name. */
export async function runTool(
  name: string,
  given: { readonly [name: string]: unknown },
  context: ToolContext,
): Promise<ToolResult | undefined> {
  const run = Object.hasOwn(ACTIONS, name) ? ACTIONS[name] : undefined;
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
    return answer(await run(new Arguments(given, known), context));
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
  { kind, message, hint, seq }: PlasmiteError,
): string | undefined {
  const pool = String(given["pool"] ?? given["name"] ?? "");
  if (kind === ErrorKind.AlreadyExists) return `The pool ${pool} is there; use it as-is.`;
  if (kind === ErrorKind.NotFound && seq === undefined) {
    if (message.endsWith("a different file")) {
      return `The pool ${pool} was deleted and made anew; start over without after_seq.`;
    }
    return tool === "plasmite_feed"
      ? `No pool ${pool}; check the name, or pass create: true to make it.`
      : `No pool ${pool}; call plasmite_pool_list to see what exists.`;
  }
  return hint;
}
