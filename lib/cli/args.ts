/**
 * The parser of the command line, with the grammar of docs/spec/command-line.md 1.1 and the
 * commands of the table.
 *
 * @module
 */

import { workingDirectory } from "../environment.ts";
import type { Globals, Parsed, ProblemDetail } from "./parsed.ts";
import {
  type CommandSpec,
  type FlagSpec,
  globalFlags,
  type PositionalSpec,
  root,
  type ValueType,
} from "./table.ts";
import { Args, numberProblem } from "./values.ts";

/** A problem with a command line; `usage.ts` turns it into an error with advice. */
export class ParseProblem extends Error {
  /** The commands entered so far, outermost first. */
  readonly at: readonly CommandSpec[];
  /** The index in `argv` of the last word that was read. */
  readonly index: number;
  /** The wrong word, and suggestions. */
  readonly detail: ProblemDetail;

  /** Creates a problem with its final message. */
  constructor(
    message: string,
    at: readonly CommandSpec[],
    index: number,
    detail: ProblemDetail,
  ) {
    super(message);
    this.at = at;
    this.index = index;
    this.detail = detail;
  }
}

/** A flag in messages: `--tail <TAIL>`. */
function flagLabel(flag: FlagSpec): string {
  return flag.value === undefined ? `--${flag.name}` : `--${flag.name} <${flag.value}>`;
}

/** A positional in messages: `<POOL>`, `[DATA]`, `<NAME>...`. */
export function positionalLabel(arg: PositionalSpec): string {
  const name = arg.required ? `<${arg.name}>` : `[${arg.name}]`;
  return arg.repeat ? `${name}...` : name;
}

/** Parses `argv`, the words after the program name. Throws {@linkcode ParseProblem}. */
export function parse(argv: readonly string[]): Parsed {
  return new Parser(argv).run();
}

class Parser {
  readonly #argv: readonly string[];
  #next = 0;
  #at: CommandSpec[];
  #spec: CommandSpec;
  #args = new Args();
  #positionals: string[] = [];
  #rest: string[] | undefined;
  #seenHere = new Set<string>();
  #dirs: string[] = [];
  readonly #globalsTyped = new Map<string, string>();
  readonly #globals: Globals = {
    dir: undefined,
    dirConflict: false,
    color: "auto",
    format: undefined,
    json: false,
    yaml: false,
  };

  constructor(argv: readonly string[]) {
    this.#argv = argv;
    this.#spec = root();
    this.#at = [this.#spec];
  }

  run(): Parsed {
    const argv = this.#argv;
    if (argv.length === 0) return this.#result("empty");
    while (this.#next < argv.length) {
      let word = argv[this.#next++] ?? "";
      if (word === "---help" || word === "---version") word = word.slice(1);
      if (word === "--") {
        this.#rest = argv.slice(this.#next);
        break;
      }
      if (word.startsWith("--")) {
        const action = this.#long(word);
        if (action !== undefined) return this.#result(action);
      } else if (word.length > 1 && word.startsWith("-")) {
        const action = this.#short(word);
        if (action !== undefined) return this.#result(action);
      } else if (this.#spec.commands !== undefined) {
        if (word === "help") return this.#help();
        if (this.#isPositional(word)) {
          this.#positionals.push(word);
          this.#checkPositional(this.#positionals.length - 1, word);
          continue;
        }
        this.#enter(word);
        if (this.#next === argv.length && this.#spec.helpOnEmpty) return this.#result("empty");
      } else {
        this.#positionals.push(word);
        this.#checkPositional(this.#positionals.length - 1, word);
      }
    }
    this.#finish();
    return this.#result("run");
  }

  #result(action: Parsed["action"]): Parsed {
    const names = this.#at.slice(1).map((spec) => spec.name);
    this.#resolveDir();
    return {
      action,
      at: this.#at,
      name: names.join(" "),
      args: this.#args,
      globals: this.#globals,
      globalsTyped: this.#globalsTyped,
    };
  }

  /** `--dir` may be repeated with the same value; only with `mcp` the inner one wins. */
  #resolveDir(): void {
    const last = this.#dirs.at(-1);
    if (last === undefined) return;
    this.#globals.dir = last;
    if (this.#at[1]?.name === "mcp" || this.#dirs.every((dir) => dir === last)) return;
    const absolute = this.#dirs.map(absoluteDir);
    this.#globals.dirConflict = absolute.some((dir) => dir !== absolute[0]);
  }

  #fail(message: string, detail: ProblemDetail): never {
    throw new ParseProblem(message, this.#at, this.#next - 1, detail);
  }

  #enter(word: string): void {
    const commands = this.#spec.commands ?? {};
    const make = Object.hasOwn(commands, word) ? commands[word] : undefined;
    if (make === undefined) {
      this.#fail(`unrecognized subcommand '${word}'`, { kind: "command", word });
    }
    this.#spec = make();
    this.#at.push(this.#spec);
    this.#args = new Args(this.#args);
    this.#positionals = [];
    this.#seenHere = new Set();
  }

  /**
   * Whether a word at a level with commands is its positional: `serve https://pi.local`. Words that
   * do not look like an address are commands, possibly misspelt.
   */
  #isPositional(word: string): boolean {
    return this.#spec.args !== undefined && /[.:/]/.test(word);
  }

  /** Handles `help [COMMAND]...` at a level with commands; other options are ignored. */
  #help(): Parsed {
    while (this.#next < this.#argv.length) {
      const word = this.#argv[this.#next++] ?? "";
      if (word === "--man") return this.#result("manual");
      if (word === "--format" || word === "--color" || word === "--dir") this.#next++;
      else if (!word.startsWith("-") && word !== "help") this.#enter(word);
    }
    return this.#result("help");
  }

  #long(word: string): Parsed["action"] | undefined {
    const equals = word.indexOf("=");
    const name = equals < 0 ? word.slice(2) : word.slice(2, equals);
    const flag = this.#flags().find((f) => f.name === name);
    if (flag === undefined) {
      this.#fail(`unexpected argument '--${name}' found`, { kind: "flag", word: `--${name}` });
    }
    return this.#take(flag, equals < 0 ? undefined : word.slice(equals + 1), name === "help");
  }

  /** Parses `-n5`, `-n=5`, `-n 5` and combined switches: `-qn5`. */
  #short(word: string): Parsed["action"] | undefined {
    for (let i = 1; i < word.length; i++) {
      const letter = String.fromCodePoint(word.codePointAt(i) ?? 0);
      const flag = this.#flags().find((f) => f.short === letter);
      if (flag === undefined) {
        this.#fail(`unexpected argument '-${letter}' found`, { kind: "flag", word });
      }
      if (flag.value === undefined) {
        const attached = word[i + 1] === "=" ? word.slice(i + 2) : undefined;
        const action = this.#take(flag, attached, false);
        if (action !== undefined) return action;
      } else {
        const rest = word.slice(i + 1);
        const value = rest === "" ? undefined : rest.startsWith("=") ? rest.slice(1) : rest;
        return this.#take(flag, value, false);
      }
    }
    return undefined;
  }

  #flags(): readonly FlagSpec[] {
    return [...(this.#spec.flags ?? []), ...globalFlags];
  }

  #take(
    flag: FlagSpec,
    attached: string | undefined,
    long: boolean,
  ): Parsed["action"] | undefined {
    if (flag.value === undefined) {
      if (attached !== undefined) {
        const message =
          `unexpected value '${attached}' for '--${flag.name}' found; no more were expected`;
        this.#fail(message, { kind: "none" });
      }
      if (flag.name === "help") return long ? "help" : "short-help";
      if (flag.name === "version") return "version";
      this.#once(flag);
      this.#store(flag, "");
      return undefined;
    }
    const value = attached ?? this.#valueOf(flag);
    this.#once(flag);
    this.#checkValue(value, flagLabel(flag), flag.type, flag.values);
    this.#store(flag, value);
    return undefined;
  }

  /** The next word, unless it is an option: `--replay -1` must be `--replay=-1`. */
  #valueOf(flag: FlagSpec): string {
    const value = this.#argv[this.#next];
    if (value !== undefined && value.length > 1 && value.startsWith("-")) {
      const name = value.startsWith("--") ? value.slice(2).split("=")[0] : undefined;
      const known = value === "--" ||
        this.#flags().some((f) => name === undefined ? f.short === value[1] : f.name === name);
      if (!known) {
        this.#fail(`unexpected argument '${value}' found`, { kind: "flag", word: value, flag });
      }
    } else if (value !== undefined) {
      this.#next++;
      return value;
    }
    this.#fail(`a value is required for '${flagLabel(flag)}' but none was supplied`, {
      kind: "none",
      flag,
      values: flag.values ?? [],
    });
  }

  /**
   * Options may be repeated on another level: `--format a follow --format b` takes b
   * (docs/spec/command-line.md 1.1).
   */
  #once(flag: FlagSpec): void {
    if (flag.repeat || flag.name === "dir") return;
    if (this.#seenHere.has(flag.name)) {
      this.#fail(`the argument '${flagLabel(flag)}' cannot be used multiple times`, {
        kind: "none",
        surplus: flag,
      });
    }
    this.#seenHere.add(flag.name);
  }

  #store(flag: FlagSpec, value: string): void {
    const globals = this.#globals;
    if (globalFlags.includes(flag)) this.#globalsTyped.set(flag.name, value);
    switch (flag.name) {
      case "dir":
        this.#dirs.push(value);
        break;
      case "color":
        globals.color = value === "always" ? "always" : value === "never" ? "never" : "auto";
        break;
      case "format":
        globals.format = value;
        break;
      case "json":
        globals.json = true;
        break;
      case "yaml":
        globals.yaml = true;
        break;
      default:
        this.#args.add(flag.name, value);
    }
  }

  /** The table entry of the n-th positional word; fails when there is none. */
  #positional(index: number, word: string): PositionalSpec {
    const specs = (this.#spec.args ?? []).filter((arg) => !arg.trailing);
    const last = specs.at(-1);
    const spec = specs[index] ?? (last?.repeat ? last : undefined);
    if (spec === undefined) {
      this.#fail(`unexpected argument '${word}' found`, { kind: "word", word });
    }
    return spec;
  }

  #checkPositional(index: number, word: string): void {
    const spec = this.#positional(index, word);
    this.#checkValue(word, positionalLabel(spec), spec.type, spec.values);
    this.#args.add(spec.name, word);
  }

  #checkValue(
    value: string,
    label: string,
    type: ValueType | undefined,
    values: readonly string[] | undefined,
  ): void {
    if (values !== undefined) {
      if (values.includes(value)) return;
      this.#fail(`invalid value '${value}' for '${label}'`, { kind: "value", word: value, values });
    }
    const reason = type === undefined || type === "text" ? undefined : numberProblem(value, type);
    if (reason !== undefined) {
      this.#fail(`invalid value '${value}' for '${label}': ${reason}`, {
        kind: "value",
        word: value,
      });
    }
  }

  #finish(): void {
    const spec = this.#spec;
    const trailing = spec.args?.find((arg) => arg.trailing);
    for (const word of this.#rest ?? []) {
      this.#next++;
      if (trailing !== undefined) this.#args.add(trailing.name, word);
      else if (spec.commands !== undefined) {
        this.#fail(`unexpected argument '${word}' found`, { kind: "word", word });
      } else {
        this.#positionals.push(word);
        this.#checkPositional(this.#positionals.length - 1, word);
      }
    }
    if (spec.commands !== undefined && !spec.runs) {
      const path = this.#at.map((s) => s.name).join(" ");
      this.#fail(`'${path}' requires a subcommand but one was not provided`, { kind: "missing" });
    }
    if (this.#seenHere.size > 0) this.#checkConflicts(); // Only options can conflict.
    const args = this.#args;
    const missing = (spec.args ?? []).filter(({ name, required, unless }) =>
      required && !args.has(name) && !(unless !== undefined && args.has(unless))
    );
    const flags = (spec.flags ?? []).filter(({ name, required }) => required && !args.has(name));
    if (missing.length + flags.length > 0) {
      const names = [...missing.map(positionalLabel), ...flags.map(flagLabel)].join(" ");
      this.#fail(`the following required arguments were not provided: ${names}`, {
        kind: "missing",
        missing,
      });
    }
  }

  /** Checks conflicts in the order of the command line. */
  #checkConflicts(): void {
    const given = this.#args.names();
    const label = (name: string): string => {
      const flag = this.#spec.flags?.find((f) => f.name === name);
      const arg = this.#spec.args?.find((a) => a.name === name);
      return flag !== undefined ? flagLabel(flag) : arg !== undefined ? positionalLabel(arg) : name;
    };
    const exclude = (this.#spec.flags ?? []).filter(({ name, conflicts }) =>
      conflicts !== undefined && given.includes(name)
    );
    if (exclude.length === 0) return;
    for (const [i, first] of given.entries()) {
      for (const second of given.slice(i + 1)) {
        const clash = (a: string, b: string): boolean =>
          exclude.some((f) => f.name === a && f.conflicts?.includes(b) === true);
        if (clash(first, second) || clash(second, first)) {
          const message = `the argument '${label(first)}' cannot be used with '${label(second)}'`;
          const flag = this.#spec.flags?.find((f) => f.name === second);
          this.#fail(message, { kind: "none", surplus: flag ?? this.#args.text(second) ?? "" });
        }
      }
    }
  }
}

function absoluteDir(dir: string): string {
  const parts: string[] = [];
  for (
    const part of (dir.startsWith("/") ? dir : `${workingDirectory() ?? ""}/${dir}`).split("/")
  ) {
    if (part === "..") parts.pop();
    else if (part !== "" && part !== ".") parts.push(part);
  }
  return "/" + parts.join("/");
}
