/**
 * The options of an installed server: typed ones replace saved ones, and no secret is kept
 * (docs/spec/sharing.md 6.2).
 *
 * @module
 */

import { workingDirectory } from "../../environment.ts";
import { PlasmiteError } from "../../errors.ts";
import { parse } from "../args.ts";
import type { CommandSpec, FlagSpec } from "../table.ts";
import type { Args } from "../values.ts";

const SERVER = "SERVER";

/** Two names of which the later one counts. */
const INSTEAD: Readonly<Record<string, string>> = {
  [SERVER]: "shared-address",
  "shared-address": SERVER,
};

/** Options with their values, by name. */
type Options = Map<string, readonly string[]>;

function optionsOf(args: Args | undefined, flags: readonly FlagSpec[]): Options {
  const names = [...flags.map(({ name }) => name), SERVER];
  return new Map(
    names.flatMap((name) => args?.has(name) ? [[name, args.texts(name)] as const] : []),
  );
}

/** A value as the service, which starts somewhere else, understands it. */
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

/** The options as words. */
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
 * The words for `serve`: what is saved, with what was typed in its place.
 *
 * @param serve the command `serve` of the table
 * @param saved words that were saved before
 * @param typed before `install`, and behind it
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
