/**
 * Command lines in advice: the current one, reconstructed from its values and the command table,
 * and others about the same pool. Loaded only for advice.
 *
 * @module
 */

import type { Args } from "./values.ts";
import type { CommandContext } from "./context.ts";
import {
  type CommandSpec,
  type FlagSpec,
  globalFlags,
  type PositionalSpec,
  SERVER_ACCESS,
} from "./table.ts";
import { token } from "./words.ts";

/** A parsed command line. */
export type TypedLine = Pick<CommandContext, "at" | "args" | "globalsTyped">;

/** Changes to a command line. */
export interface Changes {
  /** Another pool instead of the first positional. */
  readonly pool?: string;
  /** Words after the pool, as they are printed. */
  readonly add?: readonly string[];
}

/** Whether a word would be parsed as an option. */
function looksLikeOption(word: string): boolean {
  return word.length > 1 && word.startsWith("-");
}

/** One option with its value, in its long form. */
function option({ name, value: takesValue }: FlagSpec, value: string): string[] {
  if (takesValue === undefined) return [`--${name}`];
  if (looksLikeOption(value)) return [`--${name}=${token(value)}`];
  return [`--${name}`, token(value)];
}

/** All occurrences of an option; empty if it was not given, or must not be repeated. */
function typed(flag: FlagSpec, args: Args): string[] {
  if (flag.secret === true) return [];
  return args.texts(flag.name).flatMap((value) => option(flag, value));
}

/** The global options that follow the command. */
function globals(line: TypedLine): string[] {
  return globalFlags.filter(({ name }) => name !== "dir").flatMap((flag) => {
    const value = line.globalsTyped.get(flag.name);
    return value === undefined ? [] : option(flag, value);
  });
}

/** `--dir`, if it was given. */
function directory(line: TypedLine): string[] {
  const dir = line.globalsTyped.get("dir");
  const flag = globalFlags.find(({ name }) => name === "dir");
  return dir === undefined || flag === undefined ? [] : option(flag, dir);
}

/** The words of the last command: its pool, additions, and all other words. */
function wordsOf(line: TypedLine, spec: CommandSpec, changes: Changes): string[] {
  const { args } = line;
  const values = new Map<PositionalSpec, readonly string[]>();
  for (const arg of spec.args ?? []) {
    const given = args.texts(arg.name);
    const replaced = values.size === 0 && changes.pool !== undefined;
    values.set(arg, replaced ? [changes.pool, ...given.slice(1)] : given);
  }
  const trailing = [...values].filter(([arg]) => arg.trailing).flatMap(([, words]) => words);
  const regular = [...values].filter(([arg]) => !arg.trailing);
  // If one looks like an option, all of them come after `--`.
  const isBehind = regular.some(([, words]) => words.some(looksLikeOption));
  const inFront = isBehind ? [] : regular;
  const words = [
    spec.name,
    ...inFront.filter(([arg]) => arg.after === undefined).flatMap(([, given]) => given.map(token)),
    ...(changes.add ?? []),
  ];
  const flags = spec.flags ?? [];
  const lastOutput = flags.findLast(({ output }) => output === true);
  for (const flag of flags) {
    words.push(...typed(flag, args));
    for (const [{ after }, given] of inFront) {
      if (after === flag.name) words.push(...given.map(token));
    }
    if (flag === lastOutput) words.push(...globals(line));
  }
  if (lastOutput === undefined) words.push(...globals(line));
  const rest = isBehind ? regular.flatMap(([, given]) => given) : trailing;
  return rest.length === 0 ? words : [...words, "--", ...rest.map(token)];
}

/** The current command line, with changes. */
export function again(line: TypedLine, changes: Changes = {}): string {
  const { at } = line;
  const words = ["plasmite", ...directory(line)];
  const levels: Args[] = [];
  for (let args: Args | undefined = line.args; args !== undefined; args = args.parent) {
    levels.unshift(args);
  }
  at.slice(1).forEach((spec, i) => {
    if (i < at.length - 2) {
      const args = levels[i + 1];
      words.push(spec.name);
      if (args !== undefined) {
        words.push(...(spec.flags ?? []).flatMap((flag) => typed(flag, args)));
      }
    } else words.push(...wordsOf(line, spec, changes));
  });
  return words.join(" ");
}

/**
 * Another command about a pool, in the same directory or on the same server.
 *
 * @param command its words, such as `pool create`
 * @param pool the pool's name; without one the command is about all pools
 * @param more words after the pool, as they are printed
 * @param dir the place of `--dir`: before the command, or at the end
 */
export function related(
  line: TypedLine,
  command: string,
  pool?: string,
  more: readonly string[] = [],
  dir: "front" | "end" = "front",
): string {
  const access = (line.at.at(-1)?.flags ?? []).filter(({ group }) => group === SERVER_ACCESS);
  const place = directory(line);
  const options = [...more, ...access.flatMap((flag) => typed(flag, line.args))];
  const [first, last] = dir === "front" ? [place, []] : [[], place];
  const isBehind = pool !== undefined && looksLikeOption(pool);
  return [
    "plasmite",
    ...first,
    command,
    ...(pool === undefined || isBehind ? [] : [token(pool)]),
    ...options,
    ...last,
    ...(pool !== undefined && isBehind ? ["--", token(pool)] : []),
  ].join(" ");
}
