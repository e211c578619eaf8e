/**
 * Errors about filters, with what may have been meant.
 *
 * @module
 */

import { PlasmiteError, type Suggestion } from "../errors.ts";
import type { Node } from "./ast.ts";
import { hopelessPart, neverBoolean } from "./hopeless.ts";
import { parse } from "./parser.ts";

/** What may have been meant by a filter that never yields a boolean. */
export async function suggestionFor(
  expression: string,
  node: Node,
): Promise<Suggestion | undefined> {
  if (neverBoolean(node) === undefined) return undefined;
  const { suggest } = await import("./suggest.ts");
  return suggest(expression);
}

/**
 * Why a filter that can be compiled cannot match any message; undefined if it may match some.
 *
 * @param node the filter, if it was parsed already
 */
export function whyHopeless(expression: string, node = parse(expression)): string | undefined {
  const part = hopelessPart(node);
  if (part === undefined) return undefined;
  const name = JSON.stringify(part.name).slice(1, -1);
  if (part.kind === "word") return `${name} is a function of jq here, not a text`;
  const place = name === "tags" ? "meta" : "data";
  return `no message has .${name}; did you mean .${place}.${name}?`;
}

/**
 * Refuses what cannot match any message, for callers that get an answer at once. On a command line
 * such a filter is told of, and waits as in 0.8 (docs/spec/command-line.md 1.11).
 */
export async function refuseHopeless(expression: string): Promise<void> {
  const node = parse(expression);
  const why = whyHopeless(expression, node);
  const yields = neverBoolean(node);
  if (why === undefined && yields === undefined) return;
  const { suggest } = await import("./suggest.ts");
  const suggestion = suggest(expression);
  if (why === undefined) throw notBoolean(expression, yields ?? "", suggestion);
  throw new PlasmiteError("Usage", "filter expression matches no message", {
    hint: `Check the jq expression ${JSON.stringify(expression)}: ${why}${meant(suggestion)}`,
    suggestion,
  });
}

/** A filter that cannot be compiled. */
export class InvalidFilter extends PlasmiteError {
  /** The reason. */
  readonly problem: string;

  /** Creates the error of {@linkcode invalid} without a suggestion. */
  constructor(expression: string, problem: string) {
    const { message, hint } = invalid(expression, problem);
    super("Usage", message, { hint });
    this.problem = problem;
  }
}

/** Advice for syntax of other languages. */
const SYNTAX: readonly (readonly [RegExp, string])[] = [
  [/'/, "strings take double quotes"],
  [/&&/, "write `and`"],
  [/\|\|/, "write `or`"],
  [/===/, "write `==`"],
  [/=~/, 'write `.data.text | test("…")`'],
  [/!(?!=)/, "write `| not`"],
];

/** Advice about what is wrong in another way than the parser says. */
export function syntaxAdvice(expression: string): string {
  const found = SYNTAX.find(([wrong]) => wrong.test(expression));
  return found === undefined ? "" : `; ${found[1]}`;
}

/**
 * The error for an expression that cannot be compiled.
 *
 * @param detail the problem and where it is
 */
export function invalid(
  expression: string,
  detail: string,
  suggestion?: Suggestion,
): PlasmiteError {
  const more = suggestion === undefined
    ? `. One that works: '.data.level == "error"'.`
    : meant(suggestion);
  return new PlasmiteError("Usage", "invalid filter expression", {
    hint: `Check the jq expression ${JSON.stringify(expression)}: ${detail}${more}`,
    suggestion,
  });
}

/** The end of a hint that tells what may have been meant. */
function meant(suggestion: Suggestion | undefined): string {
  if (suggestion === undefined) return ".";
  const { expression, why } = suggestion;
  return `. Perhaps you meant '${expression}': ${why}.`;
}

/** The error for a filter that yields something else. */
export function notBoolean(
  expression: string,
  value: string,
  suggestion?: Suggestion,
): PlasmiteError {
  const more = suggestion === undefined
    ? `; compare it with something, as in '.data.level == "error"'.`
    : meant(suggestion);
  return new PlasmiteError("Usage", "filter expression must yield booleans", {
    hint: `${JSON.stringify(expression)} yielded ${value}${more}`,
    suggestion,
  });
}
