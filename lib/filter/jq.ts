/**
 * Filters that only jq itself can run: jq 1.8 compiled to WebAssembly, loaded when the first such
 * filter is compiled. A run costs about a millisecond plus ten microseconds per message, so
 * messages are batched where possible.
 *
 * @module
 */

import type { Jq } from "jq-wasm/inline";
import { messageOf, PlasmiteError } from "../errors.ts";
import type { Node } from "./ast.ts";
import { PRELUDE, toJq } from "./jqtext.ts";

/**
 * The result for one message: whether it matches, a runtime error, or the value that is not a
 * boolean.
 */
export type Verdict = boolean | "failed" | { readonly notBoolean: string };

let shared: Promise<Jq> | undefined;

/** The program for one filter: for each input one line, `true`, `false`, `null` or `["VALUE"]`. */
export function jqProgram(node: Node): string {
  // A runtime error at any place becomes "e", whatever the filter itself threw.
  return `${PRELUDE}def __where: ${toJq(node)};
try (reduce (try __where catch error("e")) as $__x (false;
  if ($__x | type) == "boolean" then . or $__x else error([$__x | tojson | .[0:200]]) end))
catch (if type == "array" then . else null end)`;
}

/** A filter that runs in jq, synchronously once it is compiled. */
export class JqFilter {
  readonly #expression: string;
  readonly #program: string;
  readonly #jq: Jq;

  private constructor(expression: string, program: string, jq: Jq) {
    this.#expression = expression;
    this.#program = program;
    this.#jq = jq;
  }

  /**
   * Loads jq if necessary and checks the program with it; `fail` creates the error for an invalid
   * one.
   */
  static async compile(
    expression: string,
    node: Node,
    fail: (detail: string) => PlasmiteError,
  ): Promise<JqFilter> {
    const filter = new JqFilter(expression, jqProgram(node), await loadShared());
    const { exitCode, stderr } = filter.#run("");
    if (exitCode !== 0) throw fail(compileErrors(stderr));
    return filter;
  }

  /** Evaluates messages given as JSON text, one per line. */
  evaluate(lines: string, count: number): Verdict[] {
    const { stdout, stderr } = this.#run(lines);
    const verdicts = stdout === "" ? [] : stdout.split("\n").map(readVerdict);
    if (verdicts.length === count) return verdicts;
    throw this.#broken(stderr.split("\n")[0] ?? "");
  }

  #run(input: string) {
    try {
      return this.#jq.raw(input, this.#program, ["-c"]);
    } catch (error) {
      // out of memory or stack: this instance is of no use any more
      shared = undefined;
      throw this.#broken(messageOf(error));
    }
  }

  #broken(detail: string): PlasmiteError {
    return new PlasmiteError("Usage", "filter expression failed in jq", {
      hint: `Simplify ${this.#expression}: it ran out of memory or ended jq.`,
      causes: detail === "" ? [] : [detail],
    });
  }
}

async function loadShared(): Promise<Jq> {
  shared ??= import("jq-wasm/inline").then(({ loadJq }) => loadJq());
  try {
    return await shared;
  } catch (error) {
    shared = undefined;
    throw new PlasmiteError("Io", "failed to load jq", {
      hint: "This filter expression needs the npm package jq-wasm: run it once with a network " +
        "connection, or use a simpler expression.",
      causes: [messageOf(error)],
      cause: error,
    });
  }
}

function readVerdict(line: string): Verdict {
  if (line === "true" || line === "false") return line === "true";
  if (line === "null") return "failed";
  const value: unknown = JSON.parse(line);
  return { notBoolean: Array.isArray(value) ? String(value[0]) : line };
}

/** jq's error messages without its program text, which is not what the user wrote. */
function compileErrors(stderr: string): string {
  const errors = stderr.split("\n").flatMap((line) => {
    const match = /^jq: error: (.*?)(?: at <top-level>.*)?$/.exec(line);
    return match?.[1] === undefined ? [] : [match[1]];
  });
  return errors.length === 0 ? stderr.trim() : errors.join("; ");
}
