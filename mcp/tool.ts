/**
 * What a tool is: everything that hosts, callers, rights and tests need to know of it, as one value.
 * A tool without one of its parts does not compile.
 *
 * @module
 */

import type { Need } from "../lib/types.ts";
import { Arguments } from "./args.ts";
import type { Input, Values } from "./input.ts";
import type { GrantedPools } from "./pools.ts";
import { closed, FAILURE, type Output, type Result, type Schema } from "./schema.ts";

/** What a tool call runs in. */
export interface ToolContext {
  /** The pools that the caller may use. */
  readonly pools: GrantedPools;
  /** Aborted when nobody waits for the answer any more. */
  readonly signal: AbortSignal;
  /** Ends waits early, with an answer. */
  readonly ending?: AbortSignal | undefined;
  /** The longest wait, whatever is asked for, in milliseconds; default 50000. */
  readonly maxWaitMs?: number | undefined;
  /** When the call arrived, as `performance.now()` tells time; default now. */
  readonly arrivedAt?: number | undefined;
  /** Takes one of a limited number of places for waits; null when there is none. */
  readonly takePlace?: (() => (() => void) | null) | undefined;
}

/** What a tool says when it worked: a line for people, and its result. */
export interface Success<R = { readonly [key: string]: unknown }> {
  readonly summary: string;
  readonly result: R;
  /** What the content has instead of the result, where that would only repeat what was given. */
  readonly shown?: { readonly [key: string]: unknown };
}

/** What hosts are told of the consequences of a call. */
export interface Hints {
  /** Whether it changes nothing. */
  readonly readOnly: boolean;
  /** Whether it can destroy something. */
  readonly destructive: boolean;
  /** Whether the same call again changes nothing more. */
  readonly idempotent: boolean;
}

/** A tool. */
export interface ToolDefinition<I extends Input, O extends Output> {
  /** What it is called by. */
  readonly name: string;
  /** What people see. */
  readonly title: string;
  /** For a model that has never seen a pool. */
  readonly description: string;
  /** What a caller must be allowed to do, on the pool concerned or on any. */
  readonly needs: Need;
  /** Whether it takes one of the places for waits. */
  readonly waits: boolean;
  /** What hosts are told of the consequences. */
  readonly hints: Hints;
  /** What it takes. */
  readonly input: I;
  /** The argument that names the pool concerned. */
  readonly pool: (keyof I & string) | null;
  /** What to do when that pool is missing, behind "No pool NAME". */
  readonly missing: string;
  /** What it returns when it worked. */
  readonly output: O;
  /** Carries it out. */
  run(values: Values<I>, context: ToolContext): Promise<Success<Result<O>>>;
}

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

/** A tool of any arguments and results. */
export interface Tool extends Omit<ToolDefinition<Input, Output>, "run"> {
  /** What hosts are told. */
  readonly entry: ToolEntry;
  /**
   * Checks the arguments and carries it out.
   *
   * @throws {BadArgument}
   */
  call(given: { readonly [name: string]: unknown }, context: ToolContext): Promise<Success>;
}

/** Makes a tool of its definition. */
export function tool<const I extends Input, const O extends Output>(
  definition: ToolDefinition<I, O>,
): Tool {
  const { input, output, hints, name, title, description } = definition;
  return {
    ...definition,
    entry: {
      name,
      title,
      description,
      inputSchema: inputSchema(input),
      // An answer is one of the two; hosts check it.
      outputSchema: { type: "object", oneOf: [closed(output), FAILURE] },
      annotations: {
        readOnlyHint: hints.readOnly,
        destructiveHint: hints.destructive,
        idempotentHint: hints.idempotent,
        openWorldHint: false,
      },
    },
    call: async (given, context) => {
      const { summary, result, shown } = await definition.run(valuesOf(input, given), context);
      return { summary, result: { ...result }, ...(shown === undefined ? {} : { shown }) };
    },
  };
}

function inputSchema(input: Input): ToolEntry["inputSchema"] {
  const all = Object.entries(input);
  const properties: { [name: string]: Schema } = {};
  for (const [name, { schema }] of all) properties[name] = schema;
  const required = all.filter(([, argument]) => argument.required).map(([name]) => name);
  return {
    type: "object",
    properties,
    ...(required.length > 0 ? { required } : {}),
    additionalProperties: false,
  };
}

function valuesOf<I extends Input>(
  input: I,
  given: { readonly [name: string]: unknown },
): Values<I> {
  const args = new Arguments(given, Object.keys(input));
  const values: { [name: string]: unknown } = {};
  for (const [name, argument] of Object.entries(input)) values[name] = argument.read(args, name);
  return values as Values<I>;
}
