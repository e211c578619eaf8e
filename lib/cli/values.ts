/**
 * The values of options and positionals, as text and as numbers.
 *
 * @module
 */

import type { ValueType } from "./table.ts";

/** The values of one command level. Names are those of the table; asking for others is a bug. */
export class Args {
  readonly #values = new Map<string, string[]>();
  /** The values of the command above, e.g. `serve` for `serve check`. */
  readonly parent: Args | undefined;

  /** Makes an empty set of values below `parent`. */
  constructor(parent?: Args) {
    this.parent = parent;
  }

  /** Stores one value; for the parser. */
  add(name: string, value: string): void {
    const list = this.#values.get(name);
    if (list === undefined) this.#values.set(name, [value]);
    else list.push(value);
  }

  /** Whether the option or positional was given. */
  has(name: string): boolean {
    return this.#values.has(name);
  }

  /** Its value as typed, or undefined. */
  text(name: string): string | undefined {
    return this.#values.get(name)?.[0];
  }

  /** All its values, in order. */
  texts(name: string): readonly string[] {
    return this.#values.get(name) ?? [];
  }

  /** The value of a required positional. */
  required(name: string): string {
    const value = this.text(name);
    if (value === undefined) throw new Error(`argument ${name} is not required by the table`);
    return value;
  }

  /** An unsigned integer; beyond 2^53 - 1 it is 2^53 - 1. For counts. */
  count(name: string): number | undefined {
    const value = this.text(name);
    return value === undefined ? undefined : Math.min(Number(value), Number.MAX_SAFE_INTEGER);
  }

  /** An unsigned 64-bit integer, exactly. For sequence numbers. */
  integer(name: string): bigint | undefined {
    const value = this.text(name);
    return value === undefined ? undefined : BigInt(value.replace("+", ""));
  }

  /** A floating-point number, possibly infinite or NaN. */
  float(name: string): number | undefined {
    const value = this.text(name);
    return value === undefined ? undefined : parseFloatText(value);
  }

  /** Names given, in command-line order. */
  names(): string[] {
    return [...this.#values.keys()];
  }
}

/**
 * Why the text is not a number of that type, in the words of docs/spec/command-line.md 1.4;
 * undefined when it is.
 */
export function numberProblem(text: string, type: Exclude<ValueType, "text">): string | undefined {
  if (type === "float") {
    if (text === "") return "cannot parse float from empty string";
    return parseFloatText(text) === undefined ? "invalid float literal" : undefined;
  }
  if (text === "") return "cannot parse integer from empty string";
  if (!/^\+?[0-9]+$/.test(text)) return "invalid digit found in string";
  const value = BigInt(text.replace("+", ""));
  if (type === "u32" && value > 0xffff_ffffn) return `${value} is not in 0..=4294967295`;
  return value > 0xffff_ffff_ffff_ffffn ? "number too large to fit in target type" : undefined;
}

function parseFloatText(text: string): number | undefined {
  if (/^[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)(e[+-]?[0-9]+)?$/i.test(text)) return Number(text);
  const sign = text.startsWith("-") ? -1 : 1;
  const word = text.replace(/^[+-]/, "").toLowerCase();
  if (word === "inf" || word === "infinity") return sign * Infinity;
  return word === "nan" ? NaN : undefined;
}
