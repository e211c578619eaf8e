/**
 * Errors and notices on stderr: text for people, JSON or YAML for programs
 * (docs/spec/command-line.md 1.8, 1.11).
 *
 * @module
 */

import { Buf } from "../bytes.ts";
import { refusedByDeno, workingDirectory } from "../environment.ts";
import { messageOf, PlasmiteError } from "../errors.ts";
import type { Globals } from "./parsed.ts";
import type { JsonPrinter } from "./context.ts";
import type { Notice } from "./notices.ts";
import { escapeControls } from "../visible.ts";
import { type Json, toJson } from "./output.ts";

/** The format of a report. */
export type Form = "text" | "json" | "yaml";

/** One notice, ready to print. */
export function renderNotice(
  notice: Notice & { cmd: string },
  form: Form,
  color: boolean,
  yaml?: JsonPrinter,
): string {
  if (form === "text") {
    const pool = notice.cmd === "feed" ? "" : ` (pool: ${notice.pool})`;
    return `${label("notice:", 33, color)} ${escapeControls(notice.message + pool)}\n`;
  }
  const { cmd, details, kind, message, pool } = notice;
  const json = toJson({ notice: { cmd, details, kind, message, pool, time: now() } });
  return form === "yaml" && yaml !== undefined ? reprint(json, yaml) : `${json}\n`;
}

/**
 * Removes the secrets of access keys from a text: a key may have been pasted in place of an address
 * or a name, and stderr often goes to logs.
 */
function withoutKeys(text: string): string {
  return text.replaceAll(/(\bpk1\.[0-9a-f]{1,8})[0-9a-f]*\.[0-9a-f]{8,}/gi, "$1…");
}

/** One error, ready to print; access keys in it are cut short. */
export function renderError(
  error: PlasmiteError,
  form: Form,
  color: boolean,
  yaml?: JsonPrinter,
): string {
  return withoutKeys(errorForm(error, form, color, yaml));
}

function errorForm(
  error: PlasmiteError,
  form: Form,
  color: boolean,
  yaml: JsonPrinter | undefined,
): string {
  if (form === "text") return errorText(error, color);
  const json = toJson({ error: errorJson(error) });
  return form === "yaml" && yaml !== undefined ? reprint(json, yaml) : `${json}\n`;
}

function reprint(json: string, printer: JsonPrinter): string {
  const bytes = new TextEncoder().encode(json);
  const out = new Buf(2 * bytes.length);
  printer(bytes, 0, bytes.length, out);
  return new TextDecoder().decode(out.bytes());
}

/** The details in an error document (docs/spec/coordination.md 13.1). */
const FACTS = [
  "actual",
  "cursor",
  "expected",
  "holder",
  "host",
  "id",
  "key",
  "pid",
  "seq",
  "token",
  "until",
  "other_record",
  "record",
];

/** The members of an error document; also used inside reports of several pools. */
export function errorJson(error: PlasmiteError): { [key: string]: Json | undefined } {
  const facts = FACTS.filter((name) => Object.hasOwn(error.details, name));
  return {
    ...Object.fromEntries(facts.map((name) => [name, error.details[name]])),
    kind: error.kindName,
    message: error.message,
    hint: error.hint,
    suggestion: suggestionOf(error),
    path: error.path,
    ...(error.seq === undefined ? {} : { seq: error.seq }),
    offset: error.offset,
    causes: error.causes,
  };
}

function suggestionOf({ suggestion }: PlasmiteError): Json | undefined {
  return suggestion === undefined
    ? undefined
    : { expression: suggestion.expression, why: suggestion.why };
}

function errorText(error: PlasmiteError, color: boolean): string {
  const lines = [[label("error:", 31, color), error.message]];
  const add = (name: string, value: string | bigint | undefined): void => {
    if (value !== undefined) lines.push([label(name, 33, color), String(value)]);
  };
  add("hint:", error.hint);
  add("path:", error.path === undefined ? undefined : fromHere(error.path));
  add("seq:", error.seq);
  add("offset:", error.offset);
  add("caused by:", error.causes?.[0]);
  return lines.map(([name, value]) => `${name} ${escapeControls(value ?? "")}\n`).join("");
}

function label(text: string, code: number, color: boolean): string {
  return color ? `\x1b[${code}m${text}\x1b[0m` : text;
}

/** A path inside the working directory is shown as `./rel`. */
function fromHere(path: string): string {
  const here = workingDirectory();
  return here !== undefined && path.startsWith(`${here}/`) ? `.${path.slice(here.length)}` : path;
}

/** Converts any exception to a PlasmiteError; keeps the kind of a refusal by the system. */
export function asPlasmiteError(error: unknown): PlasmiteError {
  if (error instanceof PlasmiteError) {
    if (error.kindName === "Permission") return error;
    // Whatever wraps it, the cause is a missing permission flag.
    const { message, path, causes } = error;
    return refusedByDeno(error, message, { path, causes }) ?? error;
  }
  const refused = refusedByDeno(error);
  if (refused !== undefined) return refused;
  const message = messageOf(error);
  const context = { causes: [message], cause: error };
  const { NotFound, PermissionDenied, AlreadyExists } = Deno.errors;
  if (error instanceof NotFound) return new PlasmiteError("NotFound", "not found", context);
  if (error instanceof PermissionDenied) {
    return new PlasmiteError("Permission", "permission denied", context);
  }
  if (error instanceof AlreadyExists) {
    return new PlasmiteError("AlreadyExists", "already exists", context);
  }
  const io = error instanceof Error && "code" in error && typeof error.code === "string" &&
    /^E[A-Z0-9]+$/.test(error.code);
  return new PlasmiteError(io ? "Io" : "Internal", io ? "i/o error" : "internal error", context);
}

/**
 * The output options of a line that could not be parsed: `--format` anywhere before `--`
 * (docs/spec/command-line.md 1.8), and automatic colour (docs/spec/command-line.md 1.7).
 */
export function guessGlobals(argv: readonly string[]): Globals {
  const end = argv.indexOf("--");
  const words = end < 0 ? argv : argv.slice(0, end);
  let format: string | undefined;
  for (const [i, word] of words.entries()) {
    if (word === "--format") format = words[i + 1];
    else if (word.startsWith("--format=")) format = word.slice("--format=".length);
  }
  const yaml = words.includes("--yaml");
  return { dir: undefined, dirConflict: false, color: "auto", format, json: false, yaml };
}

/** RFC 3339 UTC without trailing zeros in the fraction (docs/spec/command-line.md 1.6). */
function now(): string {
  return new Date().toISOString().replace(/\.?0*Z$/, "Z");
}
