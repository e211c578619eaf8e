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

/** A program that runs in jq. */
class Program {
  readonly #expression: string;
  readonly #program: string;
  readonly #jq: Jq;

  constructor(expression: string, program: string, jq: Jq) {
    this.#expression = expression;
    this.#program = program;
    this.#jq = jq;
  }

  /** Runs it on lines of JSON. */
  run(input: string) {
    try {
      return this.#jq.raw(input, this.#program, ["-c"]);
    } catch (error) {
      // out of memory or stack: this instance is of no use any more
      shared = undefined;
      throw this.broken(messageOf(error));
    }
  }

  broken(detail: string): PlasmiteError {
    return new PlasmiteError("Usage", "filter expression failed in jq", {
      hint: `Simplify ${this.#expression}: it ran out of memory or ended jq.`,
      causes: detail === "" ? [] : [detail],
    });
  }
}

/** The program for one text: one line, `{"text":…}` or `{"problem":…}`. */
export function jqTextProgram(node: Node): string {
  return `${PRELUDE}def __text: ${toJq(node)};
try ([__text] | if length != 1 then {problem: (if length == 0 then "no value" else "\\(length) values" end)}
  else .[0] | if type == "string" then {text: .} elif type == "number" then {text: tojson}
  else {problem: (tojson | .[0:200])} end end)
catch {problem: "an error, such as a missing key"}`;
}

/** An expression for a text that runs in jq, synchronously once it is compiled. */
export class JqText {
  readonly #program: Program;

  private constructor(program: Program) {
    this.#program = program;
  }

  /** Loads jq if necessary; the expression is known to be valid. */
  static async compile(expression: string, node: Node): Promise<JqText> {
    return new JqText(new Program(expression, jqTextProgram(node), await loadShared()));
  }

  /** Evaluates it on one message, given as JSON text. */
  evaluate(json: string): { readonly text: string } | { readonly problem: string } {
    const { stdout, stderr } = this.#program.run(json);
    if (stdout === "") throw this.#program.broken(stderr.split("\n")[0] ?? "");
    return JSON.parse(stdout);
  }
}

/** A filter that runs in jq, synchronously once it is compiled. */
export class JqFilter {
  readonly #program: Program;

  private constructor(program: Program) {
    this.#program = program;
  }

  /** Loads jq if necessary and checks the program with it; the problem if it is invalid. */
  static async compile(
    expression: string,
    node: Node,
  ): Promise<JqFilter | { readonly problem: string }> {
    const program = new Program(expression, jqProgram(node), await loadShared());
    const { exitCode, stderr } = program.run("");
    return exitCode === 0 ? new JqFilter(program) : { problem: compileErrors(stderr) };
  }

  /** Evaluates messages given as JSON text, one per line. */
  evaluate(lines: string, count: number): Verdict[] {
    const { stdout, stderr } = this.#program.run(lines);
    const verdicts = stdout === "" ? [] : stdout.split("\n").map(readVerdict);
    if (verdicts.length === count) return verdicts;
    throw this.#program.broken(stderr.split("\n")[0] ?? "");
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
export function compileErrors(stderr: string): string {
  const errors = stderr.split("\n").flatMap((line) => {
    const match = /^jq: error: (.*?)(?: at <top-level>.*)?$/.exec(line);
    return match?.[1] === undefined ? [] : [match[1]];
  });
  return errors.length === 0 ? stderr.trim() : errors.join("; ");
}
