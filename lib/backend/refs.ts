/**
 * Resolves pool references to file paths.
 *
 * @module
 */

import { environmentVariable } from "../environment.ts";
import { PlasmiteError } from "../errors.ts";

const SUFFIX = ".plasmite";

/**
 * The default pool directory: `$HOME/.plasmite/pools`, or the relative path `.plasmite/pools`
 * without a home directory.
 *
 * @returns a path that may not exist yet
 * @throws {PlasmiteError} Usage when the variable is not UTF-8
 *
 * @example Find the default directory
 * ```ts
 * import { Client, defaultPoolDir } from "@plasmite/core";
 *
 * using client = new Client();
 * console.assert(client.poolDir === defaultPoolDir());
 * ```
 */
export function defaultPoolDir(): string {
  const home = environmentVariable("HOME") ||
    (Deno.build.os === "windows" ? environmentVariable("USERPROFILE") : "") || "";
  return home === "" ? ".plasmite/pools" : `${home}/.plasmite/pools`;
}

/** Whether a reference is a path rather than a name. */
export function isPathRef(ref: string): boolean {
  return ref.includes("/") || (Deno.build.os === "windows" && ref.includes("\\"));
}

/** Whether text cannot be a name: it contains control characters or lone surrogates. */
function isNoName(text: string): boolean {
  // No regular expression: the first one of a process takes longer than all of this.
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i);
    if (code < 0x20 || code === 0x7f) return true;
  }
  return !text.isWellFormed();
}

/** Whether a reference is a URL and not the name or path of a local pool. */
export function isUrl(ref: string): boolean {
  return ref.includes("://");
}

/** Whether a reference is the address of a NATS server, or of a stream there. */
export function isNats(ref: string): boolean {
  return /^nats(\+tls)?:/.test(ref);
}

/**
 * The file of a local pool (docs/spec/command-line.md 1.3): a path is used unchanged, a name refers
 * to a file in `dir`.
 *
 * @throws {PlasmiteError} Usage for an empty name, control characters and anything with `://`
 */
export function poolPath(ref: string, dir: string): string {
  if (typeof ref !== "string") {
    throw new PlasmiteError("Usage", "pool name is not a string", {
      hint: "Pass a name such as `demo`, or the path of a pool file.",
    });
  }
  if (ref === "" || isNoName(ref) || !dir.isWellFormed()) {
    throw new PlasmiteError("Usage", ref === "" ? "pool name is empty" : "invalid pool name", {
      hint: "Use a name without control characters, such as `demo`, or a path to a pool file.",
    });
  }
  if (ref.includes("://")) {
    throw new PlasmiteError("Usage", "local client accepts pool names or paths only", {
      hint: "Use RemoteClient for pools on a server.",
    });
  }
  if (isPathRef(ref)) return ref;
  return `${dir}/${ref.endsWith(SUFFIX) ? ref : ref + SUFFIX}`;
}

/** The name of the pool in a file: without directory and suffix. */
export function poolName(path: string): string {
  const base = path.slice(path.lastIndexOf("/") + 1);
  return base.endsWith(SUFFIX) && base.length > SUFFIX.length
    ? base.slice(0, -SUFFIX.length)
    : base;
}

/**
 * The error for a file of {@linkcode poolFiles} that cannot be found; undefined if it was deleted
 * in the meantime.
 */
export function listedButMissing(path: string): PlasmiteError | undefined {
  if (!path.includes("\ufffd")) return undefined;
  // If a name is not UTF-8, Deno lists a converted name that it cannot open.
  return new PlasmiteError("Io", "file name is not UTF-8", {
    path,
    hint: "Rename the file, for example with `mv`.",
  });
}

/** Whether an entry of a directory may be a pool. */
export function isPoolFile({ name, isDirectory }: Deno.DirEntry): boolean {
  return name.endsWith(SUFFIX) && name !== SUFFIX && !isDirectory;
}

/** Paths of all pool files in a directory, sorted by name; empty for a missing directory. */
export function poolFiles(dir: string): string[] {
  return poolFileNames(dir).map((name) => `${dir}/${name}`);
}

/** The names of the files of {@linkcode poolFiles}. */
export function poolFileNames(dir: string): string[] {
  // A name that is not UTF-8 can be listed identically to one with U+FFFD: keep only one.
  const names = new Set<string>();
  try {
    for (const entry of Deno.readDirSync(dir)) if (isPoolFile(entry)) names.add(entry.name);
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
  // By UTF-16 code unit, like all sorted output of the program.
  return [...names].sort();
}
