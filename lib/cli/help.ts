/**
 * Help pages, made from the command table and the guides (docs/spec/command-line.md 1.10). Loaded
 * only to print help.
 *
 * @module
 */

import { StandardStream } from "../stdio.ts";
import { positionalLabel } from "./args.ts";
import type { Parsed } from "./parsed.ts";
import { colors } from "./context.ts";
import { Output } from "./output.ts";
import { type CommandSpec, type FlagSpec, globalFlags } from "./table.ts";

const WIDTH = 100;
/** The largest number of lines of the short help, for the smallest usual terminal. */
const NARROW = 80;

/** Handles `-h`, `--help`, `help CMD`, `-V` and a command without its required arguments. */
export async function answer(parsed: Parsed): Promise<number> {
  if (parsed.action === "version") {
    const { VERSION } = await import("./version.ts");
    new Output(StandardStream.stdout).text(`plasmite ${VERSION}\n`);
    return 0;
  }
  if (parsed.action === "manual") {
    const { manual } = await import("./man.ts");
    new Output(StandardStream.stdout).text(manual());
    return 0;
  }
  const root = parsed.at.length === 1;
  const asked = parsed.action !== "empty" || (root && await calledAsPls());
  const isLong = parsed.action === "help" || (root && parsed.action === "empty");
  const plain = await helpText(parsed.at, isLong ? "long" : "short");
  const stream = new Output(asked ? StandardStream.stdout : StandardStream.stderr);
  const text = colors(stream, parsed.globals.color) ? withBoldHeadings(plain) : plain;
  // The last lines are what a person sees first after a bare `plasmite`.
  const tail = root && !asked ? "\nUsage: plasmite [OPTIONS] <COMMAND>\n" : "";
  stream.text(text + tail);
  return asked ? 0 : 2;
}

/**
 * Whether the program was started as `pls`, which by itself prints its help
 * (docs/spec/command-line.md 1.1). Only the name it was called by tells, and reading that loads
 * `node:process`: so only without arguments.
 */
async function calledAsPls(): Promise<boolean> {
  const { default: process } = await import("node:process");
  return /(^|[/\\])pls(\.exe)?$/i.test(process.argv0);
}

/** The help of a command, given its table entries from the root. */
export async function helpText(
  at: readonly CommandSpec[],
  length: "short" | "long",
): Promise<string> {
  const { guide, rootGuide } = await import("./guides.ts");
  const spec = at.at(-1);
  if (spec === undefined) return "";
  if (at.length === 1) {
    return length === "long" ? rootHelp(spec, rootGuide()) : shortRootHelp(spec);
  }
  const name = at.slice(1).map((one) => one.name).join(" ");
  const parts = [`${spec.about}.\n`, `Usage: plasmite ${name} ${usage(spec)}`.trimEnd() + "\n"];
  const commands = visibleCommands(spec);
  if (commands.length > 0) {
    parts.push("Commands:\n" + columns(commands.map((one) => [one.name, one.about])));
  }
  if (spec.args !== undefined && spec.args.length > 0) {
    const rows = spec.args.map((arg): Row => [
      positionalLabel(arg),
      arg.help + values(arg.values),
    ]);
    parts.push("Arguments:\n" + columns(rows));
  }
  for (const [group, flags] of groups(spec)) {
    parts.push(`${group}:\n` + columns(flags.map((flag) => flagRow(flag, length))));
  }
  const more = guide(name);
  if (more !== undefined) {
    parts.push(length === "long" ? more : `More and examples: plasmite ${name} --help\n`);
  }
  return parts.join("\n");
}

type Row = readonly [left: string, right: string];

/** The part of the usage line after the name of the command. */
export function usage(spec: CommandSpec): string {
  if (spec.usage !== undefined) return spec.usage;
  const args = (spec.args ?? []).map(positionalLabel);
  if (spec.commands !== undefined) args.push(spec.runs ? "[COMMAND]" : "<COMMAND>");
  return ["[OPTIONS]", ...args].join(" ");
}

/** The visible subcommands of a command. */
function visibleCommands(spec: CommandSpec): CommandSpec[] {
  return Object.values(spec.commands ?? {}).map((make) => make()).filter((one) => !one.hidden);
}

/** The options of a command under their headings, the global ones last. */
export function groups(spec: CommandSpec): Map<string, FlagSpec[]> {
  const result = new Map<string, FlagSpec[]>();
  const global = globalFlags.map((flag) => ({ ...flag, group: "Global options" }));
  for (const flag of [...(spec.flags ?? []), ...global]) {
    if (flag.hidden) continue;
    const group = flag.group ?? "Options";
    const list = result.get(group);
    if (list === undefined) result.set(group, [flag]);
    else list.push(flag);
  }
  return result;
}

function flagRow(flag: FlagSpec, length: "short" | "long"): Row {
  const short = flag.short === undefined ? "    " : `-${flag.short}, `;
  const value = flag.value === undefined ? "" : ` <${flag.value}>`;
  const more = length === "long" && flag.more !== undefined ? `. ${flag.more}` : "";
  const fallback = flag.default === undefined ? "" : ` [default: ${flag.default}]`;
  return [
    `${short}--${flag.name}${value}${flag.repeat ? "..." : ""}`,
    flag.help + more + fallback + values(flag.values),
  ];
}

function values(list: readonly string[] | undefined): string {
  return list === undefined ? "" : ` [possible values: ${list.join(", ")}]`;
}

/** Formats two columns; long texts are wrapped within the second one. */
function columns(rows: readonly Row[], width = WIDTH): string {
  const left = Math.max(...rows.map(([name]) => name.length)) + 4;
  return rows.map(([name, text]) => {
    const lines = wrap(text, width - left);
    const [first = "", ...rest] = lines;
    const head = `  ${name}`.padEnd(left) + first;
    return [head.trimEnd(), ...rest.map((line) => " ".repeat(left) + line)].join("\n") + "\n";
  }).join("");
}

function wrap(text: string, width: number): string[] {
  const lines: string[] = [];
  let line = "";
  for (const word of text.split(" ")) {
    if (line !== "" && line.length + 1 + word.length > width) {
      lines.push(line);
      line = word;
    } else line = line === "" ? word : `${line} ${word}`;
  }
  return [...lines, line];
}

/** Colours headings: words in capitals, or a title with a colon, alone on their line. */
const HEADING = /^(?:[A-Z][A-Z ]+|[A-Z][A-Za-z/ ]+:)$/gm;

function withBoldHeadings(text: string): string {
  return text.replaceAll(HEADING, "\x1b[1m$&\x1b[0m");
}

/** The short help, which fits on one screen. */
function shortRootHelp(spec: CommandSpec): string {
  const commands = visibleCommands(spec).map(({ name, about }): Row => [name, about]);
  const options = globalFlags.map(({ name, short, value }) => {
    const long = `--${name}${value === undefined ? "" : ` <${value}>`}`;
    // A no-break space, so that a line is not wrapped inside an option.
    return (short === undefined ? long : `-${short},\u00a0${long}`).replaceAll(" ", "\u00a0");
  });
  const lines = wrap(options.join(" "), NARROW - 2).map((line) =>
    `  ${line.replaceAll("\u00a0", " ")}\n`
  );
  return `${spec.about}.\n\n` +
    `USAGE\n  plasmite [OPTIONS] <COMMAND>\n\n` +
    `COMMANDS\n${columns(commands, NARROW)}\n` +
    `OPTIONS\n${lines.join("")}\n` +
    "More and examples: plasmite --help, plasmite <COMMAND> --help\n";
}

function rootHelp(spec: CommandSpec, guide: { intro: string; outro: string }): string {
  const commands = columns(visibleCommands(spec).map((one) => [one.name, one.about]));
  const options = columns(globalFlags.map((flag) => flagRow(flag, "short")));
  return `${spec.about}.\n\n${guide.intro}\n` +
    `USAGE\n  plasmite [OPTIONS] <COMMAND>\n\n` +
    `COMMANDS\n${commands}\n` +
    `OPTIONS\n${options}\n` +
    guide.outro;
}
