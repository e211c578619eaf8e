/**
 * Advice for a command line that did not parse: what was meant, what is allowed, where to read on
 * (cli.md 1.10). Loaded only then.
 *
 * @module
 */

import { PlasmiteError } from "../errors.ts";
import type { ParseProblem } from "./args.ts";
import { type CommandSpec, globalFlags } from "./table.ts";

/** The problem as a Usage error with a one-line hint. */
export function explain(problem: ParseProblem): PlasmiteError {
  const hint = [...advice(problem), tryHelp(problem)].join(" ");
  return new PlasmiteError("Usage", problem.message, { hint });
}

/** Bad values point at the root help, everything else at the command's (cli.md 1.10). */
function tryHelp({ at, detail }: ParseProblem): string {
  const path = detail.kind === "value" ? "plasmite" : at.map((spec) => spec.name).join(" ");
  return `Try \`${path} --help\`.`;
}

function advice({ at, detail }: ParseProblem): string[] {
  const spec = at.at(-1);
  const word = detail.word ?? "";
  if (spec === undefined) return [];
  switch (detail.kind) {
    case "flag":
      return flagAdvice(spec, word, detail.flag?.name);
    case "command": {
      const meant = closest(word, commandNames(spec));
      return meant === undefined
        ? [`Commands: ${commandNames(spec).join(", ")}.`]
        : [`Did you mean \`${at.map((s) => s.name).join(" ")} ${meant}\`?`];
    }
    case "value":
    case "none": {
      if (detail.values === undefined || detail.values.length === 0) return [];
      const meant = closest(word, detail.values);
      const tip = meant === undefined ? [] : [`Did you mean '${meant}'?`];
      return [...tip, `Possible values: ${detail.values.join(", ")}.`];
    }
    case "missing":
      return missingAdvice(spec);
    case "word":
      return wordAdvice(spec, word);
  }
}

function flagAdvice(spec: CommandSpec, word: string, waiting: string | undefined): string[] {
  if (word === "--udp" || word === "--udp-follow") {
    return ["UDP is not offered; share pools over HTTP with `plasmite serve`."];
  }
  if (waiting !== undefined) return [`To pass '${word}' as a value, use '--${waiting}=${word}'.`];
  const names = [...(spec.flags ?? []), ...globalFlags].filter((f) => !f.hidden).map((f) =>
    `--${f.name}`
  );
  const meant = closest(word, names);
  if (meant !== undefined) return [`Did you mean '${meant}'?`];
  return spec.args === undefined ? [] : [`To pass '${word}' as it is, put \`--\` before it.`];
}

function wordAdvice(spec: CommandSpec, word: string): string[] {
  if (spec.name === "tap") {
    return ["Put the command behind `--`: plasmite tap <POOL> -- <COMMAND>..."];
  }
  if (spec.name === "feed") return ["Quote JSON with spaces, or use --file or a pipe."];
  return spec.args?.length === 1 && spec.args[0]?.name === "POOL"
    ? [`One pool at a time: '${word}' is one too many.`]
    : [];
}

function missingAdvice(spec: CommandSpec): string[] {
  if (spec.name === "follow") return ["A pool ref is needed, e.g. plasmite follow chat -n 1."];
  const names = commandNames(spec);
  return names.length === 0 ? [] : [`Commands: ${names.join(", ")}.`];
}

function commandNames(spec: CommandSpec): string[] {
  return Object.entries(spec.commands ?? {}).filter(([, make]) => !make().hidden).map(([n]) => n);
}

/** The candidate a typing mistake away, or the only one that starts so. */
function closest(word: string, candidates: readonly string[]): string | undefined {
  let best: string | undefined;
  let least = Math.max(1, Math.floor(word.replace(/^-+/, "").length / 3)) + 1;
  for (const candidate of candidates) {
    const distance = edits(word, candidate);
    if (distance < least) [best, least] = [candidate, distance];
  }
  if (best !== undefined) return best;
  const starting = candidates.filter((c) =>
    word.replace(/^-+/, "").length > 1 && c.startsWith(word)
  );
  return starting.length === 1 ? starting[0] : undefined;
}

/** Edits between two words, a swap of neighbours counting as one. */
function edits(a: string, b: string): number {
  let before: number[] = [];
  let last = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 1; i <= a.length; i++) {
    const row = [i];
    for (let j = 1; j <= b.length; j++) {
      const same = a[i - 1] === b[j - 1];
      let cost = Math.min(
        (last[j] ?? 0) + 1,
        (row[j - 1] ?? 0) + 1,
        (last[j - 1] ?? 0) + (same ? 0 : 1),
      );
      if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1]) {
        cost = Math.min(cost, (before[j - 2] ?? 0) + 1);
      }
      row.push(cost);
    }
    [before, last] = [last, row];
  }
  return last[b.length] ?? 0;
}
