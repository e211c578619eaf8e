/**
 * Advice for a command line that did not parse: what was meant, what is allowed, the command that
 * would work, where to read on (docs/spec/command-line.md 1.10). Loaded only then.
 *
 * @module
 */

import { PlasmiteError } from "../errors.ts";
import type { ParseProblem } from "./args.ts";
import type { ProblemDetail } from "./parsed.ts";
import { type CommandSpec, type FlagSpec, globalFlags } from "./table.ts";
import { changesPool, closest, token } from "./words.ts";

/** A longer command line is not repeated in a hint. */
const LONGEST = 300;

/** Stand-ins for what was left out, by the name that help gives the value. */
const EXAMPLES: Readonly<Record<string, string>> = {
  POOL: "chat",
  NAME: "chat",
  SEQ: "1",
  SHELL: "bash",
  TAG: "build",
  SINCE: "5m",
  TIMEOUT: "5s",
  WHERE: '.data.level == "error"',
  SIZE: "8M",
  CREATE_SIZE: "8M",
  RETRY_DELAY: "50ms",
  DURABILITY: "flush",
  BIND: "127.0.0.1:9700",
  ME: "alice",
};

/** What other programs call our commands. */
const SYNONYMS: Readonly<Record<string, string>> = {
  ls: "list",
  rm: "delete",
  remove: "delete",
  new: "create",
  show: "info",
  get: "fetch",
  read: "fetch",
  tail: "follow",
  watch: "follow",
  append: "feed",
  send: "feed",
  write: "feed",
  chat: "duplex",
  check: "doctor",
  repair: "doctor",
  server: "serve",
};

/** The names that help gives to values which never begin with a dash. */
const UNDASHED: ReadonlySet<string> = new Set([
  "ACK_WAIT",
  "AGE",
  "ALLOW_HOST",
  "BIND",
  "CORS_ORIGIN",
  "COUNT",
  "CREATE_SIZE",
  "DURABILITY",
  "DURATION",
  "EXPIRES",
  "FROM",
  "N",
  "REMOTE",
  "REMOTE_BIND",
  "RETRY_DELAY",
  "SEQ",
  "SHARED_ADDRESS",
  "SINCE",
  "SIZE",
  "TIMEOUT",
  "TTL",
  "WAIT",
]);
/** Those of them for which the number without its sign is something else. */
const PLACES: ReadonlySet<string> = new Set(["FROM", "SEQ"]);

/** Whether a value that begins with a dash is refused in any case. */
function refusesDash({ complete, type = "text", value = "", values }: FlagSpec): boolean {
  return type !== "text" || values !== undefined || UNDASHED.has(value) ||
    complete === "cursor" || complete === "group";
}

/** What was meant by a value that may not begin with a dash; undefined if that is not clear. */
function withoutDash(word: string, { value = "", values }: FlagSpec): string | undefined {
  const rest = word.slice(1);
  if (values !== undefined) return closest(rest, values);
  return /^[0-9]+[a-z]{0,2}$/i.test(rest) && !PLACES.has(value) ? rest : undefined;
}

/** The problem of parsing `argv` as a Usage error with a one-line hint. */
export function explain(problem: ParseProblem, argv: readonly string[]): PlasmiteError {
  const hint = [...advice(problem), ...command(corrected(problem, argv)), tryHelp(problem)];
  return new PlasmiteError("Usage", problem.message, { hint: hint.join(" ") });
}

/** The command line that would have parsed, where one word makes the difference. */
function corrected(problem: ParseProblem, argv: readonly string[]): readonly string[] | undefined {
  const { at, index, detail } = problem;
  const spec = at.at(-1);
  const word = detail.word ?? "";
  const typed = argv[index] ?? "";
  if (spec === undefined) return undefined;
  const replaced = (by: string): string[] => argv.with(index, by);
  switch (detail.kind) {
    case "flag": {
      const { flag } = detail;
      if (flag !== undefined) {
        const value = refusesDash(flag) ? withoutDash(word, flag) : word;
        return value === undefined
          ? undefined
          : argv.toSpliced(index, 2, `--${flag.name}=${value}`);
      }
      const meant = word.startsWith("--") ? closest(word, flagNames(spec)) : undefined;
      return meant === undefined ? undefined : replaced(meant + typed.slice(word.length));
    }
    case "command": {
      const meant = meantCommand(word, spec);
      return meant === undefined ? undefined : replaced(meant);
    }
    case "value": {
      const value = closest(word, detail.values ?? []) ?? detail.values?.[0] ?? "1";
      return typed.endsWith(word)
        ? replaced(typed.slice(0, typed.length - word.length) + value)
        : undefined;
    }
    case "none": {
      const { flag, surplus } = detail;
      if (surplus !== undefined) return without(argv, surplus);
      const value = flag && (flag.values?.[0] ?? example(flag.value, flag.type));
      return value === undefined ? undefined : argv.toSpliced(index + 1, 0, value);
    }
    case "missing": {
      const words = (detail.missing ?? []).map((arg) => example(arg.name, arg.type));
      // A pool of the name that stands for any may well be there, and somebody else's.
      const path = at.slice(1).map(({ name }) => name).join(" ");
      if (changesPool(path) || spec.name === "follow") return undefined;
      if (words.length === 0 || words.includes(undefined)) return undefined;
      return [...argv, ...words.filter((one) => one !== undefined)];
    }
    case "word":
      if (spec.name === "tap") return argv.toSpliced(index, 0, "--");
      return spec.name === "feed" ? undefined : argv.toSpliced(index, 1);
  }
}

function example(name: string | undefined, type: FlagSpec["type"]): string | undefined {
  return EXAMPLES[name ?? ""] ?? (type === undefined || type === "text" ? undefined : "1");
}

/** The words without the last use of an option, or without the last such word. */
function without(argv: readonly string[], surplus: FlagSpec | string): string[] | undefined {
  if (typeof surplus === "string") {
    const at = argv.lastIndexOf(surplus);
    return at < 0 ? undefined : argv.toSpliced(at, 1);
  }
  const { name, short, value } = surplus;
  const long = `--${name}`;
  const at = argv.findLastIndex((word) =>
    word === long || word.startsWith(`${long}=`) ||
    (short !== undefined && word.startsWith(`-${short}`))
  );
  if (at < 0) return undefined;
  const alone = argv[at] === long || argv[at] === `-${short}`;
  return argv.toSpliced(at, value !== undefined && alone ? 2 : 1);
}

/** As a sentence; a secret is not repeated, nor what no longer fits a line. */
function command(words: readonly string[] | undefined): string[] {
  if (words === undefined || words.some((word) => /^--token(=|$)/.test(word))) return [];
  const line = ["plasmite", ...words.map(token)].join(" ");
  return line.length > LONGEST ? [] : [`Run \`${line}\`.`];
}

/**
 * Bad values point at the root help, everything else at the command's
 * (docs/spec/command-line.md 1.10).
 */
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
      return flagAdvice(spec, word, detail.flag);
    case "command": {
      const meant = meantCommand(word, spec);
      return meant === undefined
        ? [`Commands: ${commandNames(spec).join(", ")}.`]
        : [`Did you mean '${meant}'?`];
    }
    case "value":
    case "none": {
      if (detail.surplus !== undefined) return ["Give only one of them."];
      if (detail.values === undefined || detail.values.length === 0) return [];
      const meant = closest(word, detail.values);
      const tip = meant === undefined ? [] : [`Did you mean '${meant}'?`];
      return [...tip, `Possible values: ${detail.values.join(", ")}.`];
    }
    case "missing":
      return missingAdvice(spec, detail, at.map(({ name }) => name).join(" "));
    case "word":
      return wordAdvice(spec, word);
  }
}

function flagAdvice(spec: CommandSpec, word: string, waiting: FlagSpec | undefined): string[] {
  if (word === "--udp" || word === "--udp-follow") {
    return ["UDP is not offered; share pools over HTTP with `plasmite serve`."];
  }
  if (waiting !== undefined) {
    const { name, values } = waiting;
    if (!refusesDash(waiting)) return [`To pass '${word}' as a value, use '--${name}=${word}'.`];
    const possible = values === undefined ? [] : [`Possible values: ${values.join(", ")}.`];
    return [`No value of --${name} begins with a dash.`, ...possible];
  }
  const meant = closest(word, flagNames(spec));
  if (meant !== undefined) return [`Did you mean '${meant}'?`];
  return spec.args === undefined ? [] : [`To pass '${word}' as it is, put \`--\` before it.`];
}

function flagNames(spec: CommandSpec): string[] {
  return [...(spec.flags ?? []), ...globalFlags].filter((f) => !f.hidden).map((f) => `--${f.name}`);
}

function wordAdvice(spec: CommandSpec, word: string): string[] {
  if (spec.name === "tap" || spec.name === "work") {
    return [`Put the command behind \`--\`: plasmite ${spec.name} <POOL> -- <COMMAND>...`];
  }
  if (spec.name === "feed") return ["Quote JSON with spaces, or use --file or a pipe."];
  return spec.args?.length === 1 && spec.args[0]?.name === "POOL"
    ? [`One pool at a time: '${word}' is one too many.`]
    : [];
}

function missingAdvice(spec: CommandSpec, { missing = [] }: ProblemDetail, path: string): string[] {
  if (spec.name === "follow") return ["A pool ref is needed, e.g. plasmite follow chat -n 1."];
  if (!missing.some(({ name }) => name === "POOL") && spec.args !== undefined) return [];
  if (changesPool(path.replace("plasmite ", ""))) return [`Name the pool: ${path} <POOL>.`];
  const names = commandNames(spec);
  return names.length === 0 ? [] : [`Commands: ${names.join(", ")}.`];
}

function meantCommand(word: string, spec: CommandSpec): string | undefined {
  const names = commandNames(spec);
  const synonym = Object.hasOwn(SYNONYMS, word) ? SYNONYMS[word] : undefined;
  return names.find((name) => name === synonym) ?? closest(word, names);
}

function commandNames(spec: CommandSpec): string[] {
  return Object.entries(spec.commands ?? {}).filter(([, make]) => !make().hidden).map(([n]) => n);
}
