/**
 * `plasmite help --man`: the manual page plasmite(1), made from the command table and the guides.
 *
 * @module
 */

import { positionalLabel } from "./args.ts";
import { type Node, nodes, spellings } from "./completion.ts";
import { guide, rootGuide } from "./guides.ts";
import { usage } from "./help.ts";
import { type FlagSpec, globalFlags } from "./table.ts";
import { VERSION } from "./version.ts";

/** The page in roff, for `man -l` or a package. */
export function manual(): string {
  const all = nodes();
  const [program] = all;
  if (program === undefined) return "";
  const guideText = rootGuide();
  return `.TH PLASMITE 1 "" "plasmite ${VERSION}" "User Commands"\n` +
    `.SH NAME\nplasmite, pls \\- ${text(program.spec.about)}\n` +
    `.SH SYNOPSIS\n.B plasmite\n[OPTIONS] <COMMAND>\n` +
    `.SH DESCRIPTION\n${literal(guideText.intro)}` +
    `.SH OPTIONS\n${globalFlags.map(flag).join("")}` +
    `.SH COMMANDS\n${
      all.slice(1).filter((node) => node.spec.runs || node.commands.length === 0).map(command).join(
        "",
      )
    }` +
    `.SH NOTES\n${literal(guideText.outro)}`;
}

function command({ path, spec, args }: Node): string {
  const words = args.map((arg) => `.TP\n.I ${text(positionalLabel(arg))}\n${text(arg.help)}\n`);
  const more = guide(path);
  return `.SS "plasmite ${text(`${path} ${usage(spec)}`)}"\n${text(spec.about)}.\n` +
    words.join("") + (spec.flags ?? []).filter((one) => !one.hidden).map(flag).join("") +
    (more === undefined ? "" : literal(more));
}

function flag(spec: FlagSpec): string {
  const names = spellings(spec).map((name) => `\\fB${text(name)}\\fR`).join(", ");
  const value = spec.value === undefined ? "" : ` \\fI${text(spec.value)}\\fR`;
  const notes = [
    spec.more,
    spec.default === undefined ? undefined : `Default: ${spec.default}.`,
    spec.values === undefined ? undefined : `One of: ${spec.values.join(", ")}.`,
  ].filter((note) => note !== undefined);
  return `.TP\n${names}${value}\n${text([`${spec.help}.`, ...notes].join(" "))}\n`;
}

function literal(block: string): string {
  return `.PP\n.nf\n${block.trimEnd().split("\n").map(text).join("\n")}\n.fi\n`;
}

/** Escapes text for roff: backslashes, hyphens, and control characters at the start of a line. */
function text(line: string): string {
  const escaped = line.replaceAll("\\", "\\e").replaceAll("-", "\\-").replaceAll("…", "\\[u2026]");
  return /^[.']/.test(escaped) ? `\\&${escaped}` : escaped;
}
