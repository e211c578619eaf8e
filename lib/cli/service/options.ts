/**
 * The options of an installed server: options on the command line override saved ones, and secrets
 * are never saved (docs/spec/sharing.md 6.2).
 *
 * @module
 */

import { workingDirectory } from "../../environment.ts";
import { PlasmiteError } from "../../errors.ts";
import { parse } from "../args.ts";
import type { CommandSpec, FlagSpec } from "../table.ts";
import type { Args } from "../values.ts";

const SERVER = "SERVER";

/** Mutually exclusive options; the later one wins. */
const INSTEAD: Readonly<Record<string, string>> = {
  [SERVER]: "shared-address",
  "shared-address": SERVER,
};

/** Options and their values, by name. */
type Options = Map<string, readonly string[]>;

function optionsOf(args: Args | undefined, flags: readonly FlagSpec[]): Options {
  const names = [...flags.map(({ name }) => name), SERVER];
  return new Map(
    names.flatMap((name) => args?.has(name) ? [[name, args.texts(name)] as const] : []),
  );
}

/** Makes a value independent of the current directory, which differs for the service. */
function lasting({ name, complete }: FlagSpec, value: string): string {
  if (name === "token") {
    throw new PlasmiteError("Usage", "a token cannot be saved in a service", {
      hint: "Use --token-file: a unit holds the path of a file, never a token.",
    });
  }
  if (name === "mount" && /^[^=]*=nats[^/]*:\/\/[^/?#]*@/.test(value)) {
    throw new PlasmiteError("Usage", "a password cannot be saved in a service", {
      hint: "Use --mount-creds or --mount-token-file instead of a password in --mount.",
    });
  }
  if (complete !== "file" || value.startsWith("/")) return value;
  return `${workingDirectory() ?? ""}/${value}`;
}

/** Converts options to command-line arguments. */
function wordsOf(options: Options, flags: readonly FlagSpec[]): string[] {
  const words: string[] = [];
  for (const flag of flags) {
    for (const value of options.get(flag.name) ?? []) {
      const name = `--${flag.name}`;
      if (flag.value === undefined) words.push(name);
      else words.push(`${name}=${lasting(flag, value)}`);
    }
  }
  return [...words, ...options.get(SERVER) ?? []];
}

/**
 * The arguments for `serve`: the saved ones, overridden by those on the command line.
 *
 * @param serve the `serve` entry of the command table
 * @param saved previously saved arguments
 * @param typed the arguments before and after `install`
 * @throws {PlasmiteError} Usage for secrets
 */
export function mergedOptions(
  serve: CommandSpec,
  saved: readonly string[],
  typed: readonly (Args | undefined)[],
): readonly string[] {
  const flags = serve.flags ?? [];
  const merged = optionsOf(parse(["serve", ...saved]).args, flags);
  for (const args of typed) {
    for (const [name, values] of optionsOf(args, flags)) {
      merged.set(name, values);
      merged.delete(INSTEAD[name] ?? "");
    }
  }
  return wordsOf(merged, flags);
}
