/**
 * The definition of a tool: everything that hosts, callers, rights and tests need, in one value. A
 * tool without one of its parts does not compile.
 *
 * @module
 */

import type { Need } from "../lib/types.ts";
import { Arguments } from "./args.ts";
import type { Input, Values } from "./input.ts";
import type { GrantedPools } from "./pools.ts";
import { closed, FAILURE, type Output, type Result, type Schema } from "./schema.ts";

/** The context of a tool call. */
export interface ToolContext {
  /** The pools for the caller. */
  readonly pools: GrantedPools;
  /** Aborted when the answer is no longer needed. */
  readonly signal: AbortSignal;
  /** Ends waits early, with an answer. */
  readonly ending?: AbortSignal | undefined;
  /** The longest wait, in milliseconds; default 50000. */
  readonly maxWaitMs?: number | undefined;
  /** The arrival of the call in `performance.now()` time; default now. */
  readonly arrivedAt?: number | undefined;
  /** Takes a slot for a wait; null if none is free. */
  readonly takePlace?: (() => (() => void) | null) | undefined;
}

/** The result of a successful call, with a line for people. */
export interface Success<R = { readonly [key: string]: unknown }> {
  readonly summary: string;
  readonly result: R;
  /** Shown in the content instead of the result, where that would repeat the input. */
  readonly shown?: { readonly [key: string]: unknown };
}

/** Hints for hosts about the effects of a call. */
export interface Hints {
  /** Whether it changes nothing. */
  readonly readOnly: boolean;
  /** Whether it can destroy something. */
  readonly destructive: boolean;
  /** Whether repeating the call changes nothing more. */
  readonly idempotent: boolean;
}

/** A tool. */
export interface ToolDefinition<I extends Input, O extends Output> {
  /** Its name. */
  readonly name: string;
  /** Its title for people. */
  readonly title: string;
  /** Its description, for a model that has never seen a pool. */
  readonly description: string;
  /** The right that a caller needs, on the pool or on any pool. */
  readonly needs: Need;
  /** A second right that a caller needs. */
  readonly also?: Need;
  /** Whether it takes a slot for waits. */
  readonly waits: boolean | ((given: { readonly [name: string]: unknown }) => boolean);
  /** Hints about its effects. */
  readonly hints: Hints;
  /** Its arguments. */
  readonly input: I;
  /** The argument that names the pool. */
  readonly pool: (keyof I & string) | null;
  /** The advice for a missing pool, after "No pool NAME; ". */
  readonly missing: string;
  /** Its result. */
  readonly output: O;
  /** Runs it. */
  run(values: Values<I>, context: ToolContext): Promise<Success<Result<O>>>;
}

/** A tool in `tools/list`. */
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

/** A tool with any arguments and result. */
export interface Tool extends Omit<ToolDefinition<Input, Output>, "run"> {
  /** Its entry in `tools/list`. */
  readonly entry: ToolEntry;
  /**
   * Checks the arguments and runs it.
   *
   * @throws {BadArgument}
   */
  call(given: { readonly [name: string]: unknown }, context: ToolContext): Promise<Success>;
}

/** Makes a tool from its definition. */
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
      // A result is either of the two; hosts validate it.
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
