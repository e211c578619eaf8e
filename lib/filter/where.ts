/**
 * `--where`: a jq expression on the whole envelope, `{data, meta: {tags}, seq, time}`, compiled
 * once and evaluated for every message.
 *
 * A message matches when at least one output is `true`. An output that is not a boolean is a Usage
 * error; a runtime error only means that the message does not match. Unlike plain jq, a missing
 * key, an index out of range or a step into null *is* a runtime error, and `?` turns it into no
 * output (docs/spec/command-line.md 5.3): pools mix messages of many shapes, and `.data.t < 5` must
 * not match all those without `t`. `jqtext.ts` lists the exceptions.
 *
 * The common expressions run on the bytes of the message (`predicate.ts`, `native.ts`); all others
 * run in jq itself (`jq.ts`), with the same rules.
 *
 * @module
 */

import { Buf } from "../bytes.ts";
import { attempt, PlasmiteError, type Suggestion } from "../errors.ts";
import type { MessageView } from "../lite3/message.ts";
import type { FrameBytes, StoredBytes } from "../types.ts";
import { printEnvelope } from "../text/envelope.ts";
import type { Node } from "./ast.ts";
import type { Part } from "./combinators.ts";
import { Context, ERROR, ROOT, Signal } from "./context.ts";
import { hopelessPart, neverBoolean } from "./hopeless.ts";
import type { JqFilter, Verdict } from "./jq.ts";
import { compileNative } from "./native.ts";
import { FilterSyntaxError, parse } from "./parser.ts";
import { compilePredicate, FAILED, FALSE, type Predicate, TRUE, TRUTHY } from "./predicate.ts";
import { invalid, InvalidFilter, notBoolean, suggestionFor, syntaxAdvice } from "./refusal.ts";
import { describe, type Value } from "./values.ts";

/** Messages that are evaluated together; see {@linkcode Where.batch}. */
export interface WhereBatch {
  /** The number of messages in the batch. */
  readonly size: number;
  /** The approximate number of bytes in the batch. */
  readonly bytes: number;
  /** Adds a message; the view is not kept. */
  add(message: MessageView): void;
  /**
   * Evaluates and empties the batch. Returns the results in order, with an error at the position of
   * the message that caused it; throw it after handling the messages before.
   */
  run(): readonly (boolean | PlasmiteError)[];
}

/** A filter that is evaluated elsewhere. */
export interface Deferred {
  /**
   * Evaluates the first messages: as many as one turn allows, and at least one.
   *
   * @returns the results for the first messages, in order; the last one may be an error
   * @throws the signal's reason; {@linkcode PlasmiteError} Io or Busy if it cannot be evaluated at
   *   all
   */
  evaluate(
    messages: readonly (FrameBytes | StoredBytes)[],
    signal?: AbortSignal,
  ): Promise<readonly (boolean | PlasmiteError)[]>;
}

/** A compiled filter. Not re-entrant, and not to be shared between threads. */
export interface Where {
  /** The expression as given. */
  readonly expression: string;
  /**
   * The number of messages so far that did not match because of a runtime error: a missing key or a
   * value of the wrong type.
   */
  readonly failed: number;
  /** Whether it runs on the bytes; if not, evaluating messages in batches is much faster. */
  readonly isNative: boolean;
  /** Whether a server may be asked to evaluate it: on the bytes, and not in vain. */
  readonly isForServers?: boolean;
  /**
   * Set if it is evaluated elsewhere, as on servers: then `matches` and `batch` cannot be used.
   */
  readonly deferred?: Deferred | undefined;
  /**
   * Whether the message matches.
   *
   * @throws {PlasmiteError} Usage, if an output is not a boolean or the budget is used up; Corrupt,
   *   if the message cannot be read
   */
  matches(message: MessageView): boolean;
  /** Starts a batch. */
  batch(): WhereBatch;
}

/** Limits for filters from remote callers. */
export interface WhereOptions {
  /** The steps allowed per message; default no limit. */
  maxSteps?: number;
}

/**
 * Compiles a filter.
 *
 * @throws {PlasmiteError} Usage `invalid filter expression`; Io if jq is needed and cannot be loaded
 *
 * @example
 * ```ts ignore
 * const where = await compileWhere('.data.level == "error" and .data.value > 50000');
 * if (where.matches(view)) print(view);
 * ```
 */
export async function compileWhere(expression: string): Promise<Where> {
  let problem: string;
  try {
    const native = compileWhereSync(expression);
    if (native !== undefined) return native;
    const node = parse(expression);
    const { unknownFunction } = await import("./diagnose.ts");
    const unknown = unknownFunction(node);
    const { JqFilter } = await import("./jq.ts");
    const compiled = await JqFilter.compile(expression, node);
    if (compiled instanceof JqFilter) {
      return new JqWhere(expression, compiled, await suggestionFor(expression, node));
    }
    problem = unknown ?? compiled.problem;
  } catch (error) {
    if (!(error instanceof InvalidFilter)) throw error;
    problem = error.problem;
  }
  const { suggest } = await import("./suggest.ts");
  throw invalid(expression, problem, suggest(expression));
}

/** Like {@linkcode compileWhere} where jq is not needed; undefined if it is. */
export function compileWhereSync(
  expression: string,
  options: WhereOptions = {},
): Where | undefined {
  let node: Node;
  try {
    node = parse(expression);
  } catch (error) {
    if (!(error instanceof FilterSyntaxError)) throw error;
    const advice = syntaxAdvice(expression);
    const problem = `${error.message} at character ${error.offset + 1}${advice}`;
    throw new InvalidFilter(expression, problem);
  }
  const context = new Context(options.maxSteps ?? Infinity);
  const predicate = compilePredicate(node, context);
  // every filter with a fast form also has a general one, compiled only when needed
  const part = predicate === undefined ? compileNative(node, context) : undefined;
  if (predicate === undefined && part === undefined) return undefined;
  return new NativeWhere(expression, node, context, predicate, part);
}

/** A batch of a filter that runs on the bytes: nothing is gained by waiting. */
export function oneByOne(where: Pick<Where, "matches">): WhereBatch {
  let answers: (boolean | PlasmiteError)[] = [];
  return {
    get size() {
      return answers.length;
    },
    bytes: 0,
    add: (message) => {
      answers.push(attempt(() => where.matches(message)));
    },
    run: () => {
      const done = answers;
      answers = [];
      return done;
    },
  };
}

/** Runs on the bytes. */
class NativeWhere implements Where {
  readonly expression: string;
  readonly isNative = true;
  readonly isForServers: boolean;
  failed = 0;
  readonly #node: Node;
  readonly #context: Context;
  readonly #predicate: Predicate | undefined;
  #part: Part | undefined;

  constructor(
    expression: string,
    node: Node,
    context: Context,
    predicate: Predicate | undefined,
    part: Part | undefined,
  ) {
    this.expression = expression;
    // servers refuse what matches nothing (docs/spec/http-api.md 12)
    this.isForServers = hopelessPart(node) === undefined && neverBoolean(node) === undefined;
    this.#node = node;
    this.#context = context;
    this.#predicate = predicate;
    this.#part = part;
  }

  matches(message: MessageView): boolean {
    const context = this.#context;
    context.open(message);
    if (this.#predicate !== undefined && context.hasTagArray) {
      const outcome = this.#predicate(ROOT);
      if (outcome === TRUE) return true;
      if (outcome === FAILED) this.failed++;
      // FAILED and NOTHING do not match either; anything else is a value that is not a boolean
      if (outcome < TRUTHY || outcome === FALSE) return false;
    }
    return this.#slow();
  }

  #slow(): boolean {
    const part = this.#part ??= compileNative(this.#node, this.#context);
    if (part === undefined) throw new PlasmiteError("Internal", "filter has no slow form");
    const { one, many } = part;
    const input = this.#context.value(ROOT);
    if (one !== undefined) {
      const outcome = one(input);
      if (outcome === ERROR) this.failed++;
      return outcome instanceof Signal ? false : this.#boolean(outcome);
    }
    const outputs: Value[] = [];
    const fine = many(input, outputs);
    let matched = false;
    for (const output of outputs) if (this.#boolean(output)) matched = true;
    if (!fine) this.failed++;
    return matched && fine;
  }

  #boolean(value: Value): boolean {
    if (typeof value === "boolean") return value;
    throw notBoolean(this.expression, describe(value));
  }

  batch(): WhereBatch {
    return oneByOne(this);
  }
}

/** Runs in jq, on JSON text. */
class JqWhere implements Where {
  readonly expression: string;
  readonly isNative = false;
  failed = 0;
  readonly #jq: JqFilter;
  readonly #suggestion: Suggestion | undefined;
  readonly #out = new Buf(4096);

  constructor(expression: string, jq: JqFilter, suggestion: Suggestion | undefined) {
    this.expression = expression;
    this.#jq = jq;
    this.#suggestion = suggestion;
  }

  matches(message: MessageView): boolean {
    this.#out.clear();
    printEnvelope(message, this.#out);
    return this.#answer(this.#evaluate(this.#out, 1)[0] ?? false);
  }

  batch(): WhereBatch {
    const out = new Buf(65536);
    let waiting: (PlasmiteError | undefined)[] = [];
    return {
      get size() {
        return waiting.length;
      },
      get bytes() {
        return out.len;
      },
      add: (message) => {
        const result = attempt(() => printEnvelope(message, out));
        waiting.push(result instanceof PlasmiteError ? result : undefined);
        if (result instanceof PlasmiteError) return;
        out.reserve(1);
        out.dv.setUint8(out.len++, 0x0a);
      },
      run: () => {
        const done = waiting;
        waiting = [];
        const count = done.filter((error) => error === undefined).length;
        const verdicts = count === 0 ? [] : this.#evaluate(out, count);
        out.clear();
        let next = 0;
        return done.map((error) => {
          if (error !== undefined) return error;
          const verdict = verdicts[next++] ?? false;
          return attempt(() => this.#answer(verdict));
        });
      },
    };
  }

  #evaluate(out: Buf, count: number): Verdict[] {
    return this.#jq.evaluate(new TextDecoder().decode(out.bytes()), count);
  }

  #answer(verdict: Verdict): boolean {
    if (verdict === "failed") this.failed++;
    if (typeof verdict !== "object") return verdict === true;
    throw notBoolean(this.expression, verdict.notBoolean, this.#suggestion);
  }
}
