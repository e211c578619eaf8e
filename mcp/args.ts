/**
 * The arguments of a tool call. They are checked in a fixed order, and errors name the argument and
 * what it should be (docs/spec/agents.md 5, argument rules).
 *
 * @module
 */

import { U64_MAX } from "../lib/client/options.ts";
import { readSince } from "../lib/text/time.ts";
import { jsonText } from "../lib/text/json_exact.ts";
import { insideString, wrapped } from "./json.ts";

/** An invalid argument. */
export class BadArgument extends Error {
  /** Its name. */
  readonly field: string;
  /** The problem, and what the argument should be. */
  readonly detail: string;

  /** Creates an error about `field`. */
  constructor(field: string, detail: string) {
    super(`${field}: ${detail}`);
    this.name = "BadArgument";
    this.field = field;
    this.detail = detail;
  }
}

/** The arguments of one call. Every reader throws {@linkcode BadArgument}. */
export class Arguments {
  readonly #given: { readonly [name: string]: unknown };

  /**
   * Refuses unknown names, the first one in alphabetical order.
   *
   * @param known the names of the tool
   */
  constructor(given: { readonly [name: string]: unknown }, known: readonly string[]) {
    this.#given = given;
    const [unknown] = Object.keys(given).filter((name) => !known.includes(name)).sort();
    if (unknown === undefined) return;
    const list = known.length === 0 ? "none" : known.join(", ");
    throw new BadArgument(unknown, `unknown argument; this tool takes ${list}`);
  }

  /** The value, undefined for null or absent. */
  #value(name: string): unknown {
    return (Object.hasOwn(this.#given, name) ? this.#given[name] : undefined) ?? undefined;
  }

  #fail(name: string, expected: string): never {
    const value = this.#value(name);
    if (value === undefined) throw new BadArgument(name, `missing; expected ${expected}`);
    const text = wrapped(value) ?? jsonText(value);
    const shown = text.length > 80 ? `${text.slice(0, 80)}…` : text;
    throw new BadArgument(name, `expected ${expected}, got ${shown}`);
  }

  /** A required text. */
  text(name: string): string {
    const value = this.#value(name);
    return typeof value === "string" ? value : this.#fail(name, "a string");
  }

  /** An optional text. */
  optionalText(name: string): string | undefined {
    return this.#value(name) === undefined ? undefined : this.text(name);
  }

  /** A boolean; false if absent. */
  flag(name: string): boolean {
    const value = this.#value(name) ?? false;
    return typeof value === "boolean" ? value : this.#fail(name, "true or false");
  }

  /** A required integer from 0 to 2^64 - 1. */
  whole(name: string): bigint {
    const value = this.#value(name);
    if (typeof value === "bigint" && value >= 0n && value <= U64_MAX) return value;
    if (typeof value === "number" && Number.isSafeInteger(value) && value >= 0) {
      return BigInt(value);
    }
    return this.#fail(name, "a whole number, 0 or greater");
  }

  /** An optional integer. */
  optionalWhole(name: string): bigint | undefined {
    return this.#value(name) === undefined ? undefined : this.whole(name);
  }

  /** An integer within limits; `other` if absent. */
  between(name: string, least: number, most: number, other: number): number {
    const value = this.#value(name);
    if (value === undefined) return other;
    const ok = typeof value === "number" && Number.isInteger(value) && value >= least &&
      value <= most;
    return ok ? value : this.#fail(name, `a whole number from ${least} to ${most}`);
  }

  /** An optional integer within limits. */
  optionalBetween(name: string, least: number, most: number): number | undefined {
    return this.#value(name) === undefined ? undefined : this.between(name, least, most, least);
  }

  /** Tags, trimmed; none if absent. A string that contains an array is accepted. */
  tags(name: string): string[] {
    if (this.#value(name) === undefined) return [];
    return this.texts(name).map((item, i) => {
      const tag = item.trim();
      if (tag === "") throw new BadArgument(name, `entry ${i + 1} is empty`);
      return tag;
    });
  }

  /** Required texts. A string that contains an array is accepted. */
  texts(name: string): string[] {
    const given = this.#value(name);
    const inside = typeof given === "string" ? insideString(given, "[") : undefined;
    const value: unknown = inside === undefined ? given : JSON.parse(inside);
    if (!Array.isArray(value)) this.#fail(name, "an array of strings");
    const items: readonly unknown[] = value;
    return items.map((item, i) => {
      if (typeof item !== "string") {
        throw new BadArgument(name, `expected strings only, entry ${i + 1} is none`);
      }
      return item;
    });
  }

  /** A time in nanoseconds since 1970. */
  since(name: string): bigint | undefined {
    const text = this.optionalText(name);
    if (text === undefined) return undefined;
    const digits = /^\s*(\d+)[smhd]\s*$/i.exec(text)?.[1];
    const since = digits === undefined || BigInt(digits) <= U64_MAX ? readSince(text) : undefined;
    if (since !== undefined) return since;
    throw new BadArgument(
      name,
      "expected how long ago with a unit s, m, h or d, such as 10m, or a time such as " +
        `2026-02-01T10:00:00Z, got ${JSON.stringify(text)}`,
    );
  }

  /**
   * The text of a required JSON value, which may be null. If it is a string that contains an
   * object, the text of the object.
   */
  json(name: string): string {
    const value = Object.hasOwn(this.#given, name) ? this.#given[name] : undefined;
    if (value === undefined) return this.#fail(name, "a JSON object");
    const text = wrapped(value) ?? jsonText(value);
    const string = text.trimStart().startsWith('"') ? JSON.parse(text) as string : "";
    return insideString(string, "{") ?? text;
  }
}
