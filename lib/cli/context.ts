/**
 * The context of a command: its values, the directory of pools, output and notices.
 *
 * A command module exports `run(context): number | Promise<number>` (the exit code) and is listed
 * in `cli.ts`; its name and options are in `table.ts`.
 *
 * @module
 */

import { Buf } from "../bytes.ts";
import { defaultPoolDir } from "../backend/refs.ts";
import { optionalVariable } from "../environment.ts";
import { PlasmiteError } from "../errors.ts";
import { StandardStream } from "../stdio.ts";
import type { Globals, Parsed } from "./parsed.ts";
import type { Args } from "./values.ts";
import { type Json, Output, toJson } from "./output.ts";
import type { CommandSpec } from "./table.ts";

/** A command: returns the exit code or throws `PlasmiteError`. */
export interface CommandModule {
  /** Runs the command; `modules` are the additional modules that `cli.ts` loads for it. */
  run(context: CommandContext, ...modules: readonly unknown[]): number | Promise<number>;
}

/**
 * The requested output format (docs/spec/command-line.md 1.12). `json` is `--format json|jsonl`,
 * `--jsonl` and, where 0.8 had no `--json`, that too. `document` is `--json` where 0.8 had it, and
 * on `feed` (receipts): compact in a pipe, indented on a terminal or with `--color always`.
 */
export type Format = "pretty" | "json" | "document" | "yaml" | "line" | "lite3" | "lite3-raw";

/**
 * The format of errors and notices on stderr; by default it depends on whether it is a terminal.
 */
export type StderrForm = "text" | "json" | "yaml" | undefined;

/** Appends the JSON value in `json[start, end)` in another format. */
export type JsonPrinter = (
  json: Uint8Array,
  start: number,
  end: number,
  out: Buf,
  color?: boolean,
) => void;

/** The context of a command. */
export class CommandContext {
  /** The command's words: `pool create`. */
  readonly name: string;
  /** Its table entries from the root. */
  readonly at: readonly CommandSpec[];
  /** Its values. */
  readonly args: Args;
  /** `--dir` as typed, or undefined. */
  readonly dirGiven: string | undefined;
  /** The global options that were typed, by name. */
  readonly globalsTyped: ReadonlyMap<string, string>;
  /** `--color`. */
  readonly color: Globals["color"];
  /** The requested output format, if any. */
  readonly format: Format | undefined;
  /** The format of errors and notices. */
  readonly stderrForm: StderrForm;
  /** Standard output. */
  readonly stdout: Output = new Output(StandardStream.stdout);
  /** Standard error. */
  readonly stderr: Output = new Output(StandardStream.stderr);
  #yaml: JsonPrinter | undefined;
  #indent: JsonPrinter | undefined;

  /** Checks the options that all commands share. Throws Usage. */
  constructor(parsed: Parsed) {
    const spec = parsed.at.at(-1);
    if (spec === undefined) throw new Error("a command line has at least its root");
    this.name = parsed.name;
    this.at = parsed.at;
    this.args = parsed.args;
    this.dirGiven = parsed.globals.dir;
    this.globalsTyped = parsed.globalsTyped;
    this.color = parsed.globals.color;
    this.stderrForm = stderrForm(parsed.globals, spec);
    if (parsed.globals.dirConflict) {
      throw new PlasmiteError(
        "Usage",
        "conflicting --dir values select different pool directories",
        {
          hint: "Give one --dir.",
        },
      );
    }
    this.format = chooseFormat(spec, parsed);
  }

  /** The directory of pools: `--dir`, or `~/.plasmite/pools`. */
  get dir(): string {
    return this.dirGiven === undefined ? defaultPoolDir() : this.dirGiven || ".";
  }

  /**
   * Whether JSON on stdout is coloured (docs/spec/command-line.md 1.7); `--format json` never is.
   */
  get colored(): boolean {
    if (this.format === "json" || this.format === "yaml") return false;
    return colors(this.stdout, this.color);
  }

  /** Whether JSON documents on stdout are indented (docs/spec/command-line.md 1.6, 5.1). */
  get indented(): boolean {
    const { format, color } = this;
    const messages = this.at.at(-1)?.messages === true;
    if (format === "pretty" && messages) return true;
    if (format === undefined && (this.name === "follow" || this.name === "duplex")) return true;
    if (format !== undefined && format !== "pretty" && format !== "document") return false;
    return color === "always" || this.stdout.isTerminal;
  }

  /**
   * Whether a report, which is JSON in a pipe, is text: on a terminal, or on request
   * (docs/spec/command-line.md 1.12).
   */
  get isForPeople(): boolean {
    const { format, stdout } = this;
    return format === "pretty" || (format === undefined && stdout.isTerminal);
  }

  /** Loads what {@linkcode printJson} needs, so that printing is synchronous. */
  async prepare(): Promise<this> {
    if (this.format === "yaml" || this.stderrForm === "yaml") {
      this.#yaml = (await import("../text/yaml_out.ts")).printYaml;
    }
    if (this.indented) this.#indent = (await import("../text/pretty.ts")).printPretty;
    return this;
  }

  /**
   * Appends one JSON document to `out` in the requested format: a compact line, indented (and
   * possibly coloured) JSON, or a YAML document; each ends with a newline.
   */
  printJson(json: Uint8Array, start: number, end: number, out: Buf): void {
    if (this.format === "yaml" && this.#yaml !== undefined) {
      this.#yaml(json, start, end, out);
      return;
    }
    if (this.#indent !== undefined) this.#indent(json, start, end, out, this.colored);
    else {
      out.reserve(end - start);
      out.u8.set(json.subarray(start, end), out.len);
      out.len += end - start;
    }
    out.reserve(1);
    out.u8[out.len++] = 0x0a;
  }

  /** The printer of YAML, if the format is YAML. */
  get yaml(): JsonPrinter | undefined {
    return this.#yaml;
  }

  /** Prints a document of the program. */
  document(value: Json): void {
    const json = new TextEncoder().encode(toJson(value));
    const out = new Buf(2 * json.length + 1);
    this.printJson(json, 0, json.length, out);
    this.stdout.write(out.bytes());
  }

  /**
   * Prints a report: text unless a document format is requested (docs/spec/command-line.md 1.12).
   */
  report(value: () => Json, text: () => string): void {
    if (this.format === undefined || this.format === "pretty") this.stdout.text(text());
    else this.document(value());
  }
}

/** Whether labels or JSON on that stream are coloured (docs/spec/command-line.md 1.2, 1.7). */
export function colors(stream: Output, color: Globals["color"]): boolean {
  if (color !== "auto") return color === "always";
  return stream.isTerminal && !optionalVariable("NO_COLOR");
}

/**
 * `--format json` and `yaml` reach stderr too; binary and `line` get text
 * (docs/spec/command-line.md 1.8).
 */
export function stderrForm(globals: Globals, spec: CommandSpec | undefined): StderrForm {
  if (globals.yaml || globals.format === "yaml") return "yaml";
  if (globals.format === "json") return "json";
  if (globals.json && spec !== undefined && !hadJson(spec)) return "json";
  return globals.format?.startsWith("lite3") || globals.format === "line" ? "text" : undefined;
}

/** The commands where `--json` is older than `--format` and keeps its meaning. */
function hadJson(spec: CommandSpec): boolean {
  return spec.report === true || spec.name === "feed";
}

function chooseFormat(spec: CommandSpec, parsed: Parsed): Format | undefined {
  const { format, json, yaml } = parsed.globals;
  const jsonl = parsed.args.has("jsonl");
  if (Number(format !== undefined) + Number(json) + Number(yaml) + Number(jsonl) > 1) {
    throw new PlasmiteError("Usage", "conflicting output options", {
      hint: "Use one of --format jsonl, --jsonl, --json and --yaml.",
    });
  }
  if (yaml) return "yaml";
  if (jsonl) return "json";
  if (json) return hadJson(spec) ? "document" : "json";
  switch (format) {
    case undefined:
      return undefined;
    case "jsonl":
    case "json":
      return "json";
    case "yaml":
      return "yaml";
    case "line":
      return line(spec);
    case "lite3":
    case "lite3-raw":
      return binary(spec, format);
    default:
      return "pretty";
  }
}

function line(spec: CommandSpec): "line" {
  if (["follow", "duplex", "latest"].includes(spec.name)) return "line";
  throw new PlasmiteError("Usage", "line output requires follow or duplex", {
    hint: "Use --format json or --format pretty here.",
  });
}

function binary(spec: CommandSpec, format: "lite3" | "lite3-raw"): Format {
  if (!spec.messages) {
    throw new PlasmiteError("Usage", "binary output requires a message command", {
      hint: "Use --format json; binary formats are for feed, fetch, follow and duplex.",
    });
  }
  if (format === "lite3" || spec.name === "fetch") return format;
  throw spec.name === "feed"
    ? new PlasmiteError("Usage", "raw Lite3 output requires fetch", {
      hint: "Use --format lite3 for a framed stream.",
    })
    : new PlasmiteError("Usage", `${spec.name} does not support --format lite3-raw`, {
      hint: "Use --format lite3 for a framed stream.",
    });
}
