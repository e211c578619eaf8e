/**
 * `plasmite completion SHELL`: prints a script, made from the command table, that completes
 * commands, options and their values, and asks the program for names of pools and tags
 * (docs/spec/command-line.md 12).
 *
 * @module
 */

import type { CommandContext } from "./context.ts";
import {
  type CommandSpec,
  type FlagSpec,
  globalFlags,
  type PositionalSpec,
  root,
} from "./table.ts";

/** A command for the generators of scripts. */
export interface Node {
  /** Its words: `pool create`; empty for the program. */
  readonly path: string;
  /** Its table entry. */
  readonly spec: CommandSpec;
  /** Its visible options, including global ones. */
  readonly flags: readonly FlagSpec[];
  /** Its positionals. */
  readonly args: readonly PositionalSpec[];
  /** The commands below it. */
  readonly commands: readonly CommandSpec[];
}

/** All visible commands, each before its subcommands. */
export function nodes(): Node[] {
  const result: Node[] = [];
  const visit = (spec: CommandSpec, path: string): void => {
    const commands = Object.values(spec.commands ?? {}).map((make) => make())
      .filter((one) => !one.hidden);
    const flags = [...(spec.flags ?? []), ...globalFlags].filter((flag) => !flag.hidden);
    result.push({ path, spec, flags, args: spec.args ?? [], commands });
    for (const one of commands) visit(one, path === "" ? one.name : `${path} ${one.name}`);
  };
  visit(root(), "");
  return result;
}

/** The spellings of an option: `-n` and `--tail`. */
export function spellings(flag: FlagSpec): string[] {
  return flag.short === undefined ? [`--${flag.name}`] : [`-${flag.short}`, `--${flag.name}`];
}

/** All spellings of options that have a value in every command that has them. */
export function valued(all: readonly Node[]): string[] {
  const some = spelled(all, (flag) => flag.value !== undefined);
  return [...some.difference(spelled(all, (flag) => flag.value === undefined))];
}

/** Spellings that have a value in some commands only, each behind its command: `feed -i`. */
export function valuedIn(all: readonly Node[]): string[] {
  const switches = spelled(all, (flag) => flag.value === undefined);
  return all.flatMap(({ path, flags }) =>
    flags.filter((flag) => flag.value !== undefined).flatMap(spellings)
      .filter((name) => switches.has(name)).map((name) => `${path} ${name}`)
  );
}

function spelled(all: readonly Node[], which: (flag: FlagSpec) => boolean): Set<string> {
  return new Set(all.flatMap(({ flags }) => flags.filter(which).flatMap(spellings)));
}

/** A word for a POSIX shell. */
export function quote(text: string): string {
  return `'${text.replaceAll("'", `'\\''`)}'`;
}

/** Runs `completion`. */
export async function run(context: CommandContext): Promise<number> {
  context.stdout.text(await script(context.args.required("SHELL")));
  return 0;
}

/** The script for one of the shells of the table. */
export async function script(shell: string): Promise<string> {
  switch (shell) {
    case "bash":
      return (await import("./completion_bash.ts")).bash(nodes());
    case "zsh":
      return (await import("./completion_zsh.ts")).zsh(nodes());
    case "fish":
      return (await import("./completion_fish.ts")).fish(nodes());
    case "powershell":
      return (await import("./completion_words.ts")).powershell(nodes());
    case "elvish":
      return (await import("./completion_words.ts")).elvish(nodes());
    default:
      throw new Error(`no completion for ${shell}`);
  }
}
