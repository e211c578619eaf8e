/**
 * `plasmite completion SHELL`: a script made from the command table that completes commands,
 * options and their values, and asks the program itself for pool names and tags
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

/** One command as the script writers see it. */
export interface Node {
  /** Its words: `pool create`; empty for the program. */
  readonly path: string;
  /** Its table entry. */
  readonly spec: CommandSpec;
  /** All its visible options, the global ones too. */
  readonly flags: readonly FlagSpec[];
  /** Its positionals. */
  readonly args: readonly PositionalSpec[];
  /** The commands below it. */
  readonly commands: readonly CommandSpec[];
}

/** All visible commands, each before those below it. */
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

/** How an option may be typed: `-n` and `--tail`. */
export function spellings(flag: FlagSpec): string[] {
  return flag.short === undefined ? [`--${flag.name}`] : [`-${flag.short}`, `--${flag.name}`];
}

/** Every spelling of an option that takes a value; a name means the same in all commands. */
export function valued(all: readonly Node[]): string[] {
  const flags = all.flatMap((node) => node.flags).filter((flag) => flag.value !== undefined);
  return [...new Set(flags.flatMap(spellings))];
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
