/**
 * Writes several files that belong together: all of them are new afterwards, or all are as they were.
 *
 * @module
 */

import { messageOf, PlasmiteError } from "../lib/errors.ts";
import {
  linksUnsupported,
  parentOf,
  probe,
  removeQuietly,
  temporaryName,
} from "../lib/storage/temporary.ts";

/** One file of a set. */
export interface NewFile {
  /** Where it goes; an absolute path. */
  readonly path: string;
  /** What it contains. */
  readonly text: string;
  /** Its mode, whatever the umask. */
  readonly mode: number;
}

/** How far one file has come. */
interface Stage {
  readonly file: NewFile;
  /** The new file beside its place. */
  readonly fresh: string;
  /** Whether something has the name already. */
  readonly taken: boolean;
  /** Where the old file is kept while others may still fail. */
  kept: string | null;
  /** Whether the new file has its place. */
  placed: boolean;
}

/**
 * Writes the files.
 *
 * @param overwrite whether there may be old ones of the same names
 * @throws {PlasmiteError} Io with the path of the file that failed, or AlreadyExists; then the old files
 *   are there as before
 */
export function writeSet(files: readonly NewFile[], overwrite: boolean): void {
  const stages: Stage[] = [];
  const made: string[] = [];
  let at = "";
  let lock: Deno.FsFile | null = null;
  try {
    for (const file of files) {
      at = file.path;
      made.push(...makeDirectories(parentOf(at)));
      lock ??= lockDirectory(parentOf(at));
      stages.push(begin(file, overwrite));
    }
    for (const stage of stages) {
      at = stage.file.path;
      if (stage.taken) keep(stage);
    }
    for (const stage of stages) {
      at = stage.file.path;
      place(stage);
    }
  } catch (cause) {
    const lost = stages.toReversed().flatMap(takeBack);
    for (const dir of made.reverse()) removeQuietly(dir); // One that somebody uses by now stays.
    throw failure(at, cause, lost);
  } finally {
    lock?.close();
  }
  for (const { kept } of stages) if (kept !== null) removeQuietly(kept);
}

/** Makes a directory and those above it; returns the new ones. */
function makeDirectories(dir: string): string[] {
  const missing: string[] = [];
  for (let at = dir; kindOf(at) === "nothing"; at = parentOf(at)) missing.unshift(at);
  if (missing.length > 0) Deno.mkdirSync(dir, { recursive: true, mode: 0o700 });
  return missing;
}

/** Two that write the same set at once do it one after the other. */
function lockDirectory(dir: string): Deno.FsFile | null {
  if (Deno.build.os === "windows") return null; // A directory cannot be opened there.
  const file = Deno.openSync(dir);
  try {
    file.lockSync(true);
  } catch {
    // A file system without locks: then nothing keeps others out.
  }
  return file;
}

function kindOf(path: string): "nothing" | "directory" | "other" {
  try {
    return Deno.lstatSync(path).isDirectory ? "directory" : "other";
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return "nothing";
    throw error;
  }
}

/** Writes the new file beside its place, so that a full disk is found before anything is touched. */
function begin(file: NewFile, overwrite: boolean): Stage {
  const { path, text, mode } = file;
  const kind = kindOf(path);
  if (kind === "directory") throw new Deno.errors.IsADirectory("Is a directory (os error 21)");
  if (kind !== "nothing" && !overwrite) throw alreadyThere(path);
  const dir = parentOf(path);
  const fresh = temporaryName(dir);
  const bytes = new TextEncoder().encode(text);
  probe(dir, bytes.length);
  const out = Deno.openSync(fresh, { write: true, createNew: true, mode });
  try {
    for (let sent = 0; sent < bytes.length;) sent += out.writeSync(bytes.subarray(sent));
    out.syncSync();
    // The mode above is narrowed by the umask; secrets get exactly theirs.
    if (Deno.build.os !== "windows") Deno.chmodSync(fresh, mode);
  } catch (error) {
    removeQuietly(fresh);
    throw error;
  } finally {
    out.close();
  }
  return { file, fresh, taken: kind !== "nothing", kept: null, placed: false };
}

/** Gives the old file a second name, or, without hard links, another one. */
function keep(stage: Stage): void {
  const { path } = stage.file;
  const kept = temporaryName(parentOf(path));
  try {
    Deno.linkSync(path, kept);
  } catch (error) {
    if (!linksUnsupported(error)) throw error;
    Deno.renameSync(path, kept);
  }
  stage.kept = kept;
}

/** Puts the new file in its place; where there was none, only if there still is none. */
function place(stage: Stage): void {
  const { file: { path }, fresh, taken } = stage;
  if (taken) Deno.renameSync(fresh, path);
  else {
    try {
      Deno.linkSync(fresh, path);
    } catch (error) {
      if (!linksUnsupported(error)) throw error;
      Deno.renameSync(fresh, path);
    }
  }
  stage.placed = true;
  removeQuietly(fresh);
}

/** Makes one file as it was; returns what could not be undone, in words. */
function takeBack({ file: { path }, fresh, kept, placed }: Stage): string[] {
  removeQuietly(fresh);
  try {
    if (kept !== null) Deno.renameSync(kept, path);
    else if (placed) Deno.removeSync(path);
  } catch (error) {
    const where = kept === null ? `${path} is a new file` : `the old ${path} is kept as ${kept}`;
    return [`${where}: ${messageOf(error)}`];
  }
  // Two names of one file: renaming one to the other has left both.
  if (kept !== null) removeQuietly(kept);
  return [];
}

function failure(path: string, cause: unknown, lost: readonly string[]): PlasmiteError {
  if (PlasmiteError.is(cause)) return cause;
  return cause instanceof Deno.errors.AlreadyExists
    ? alreadyThere(path, cause)
    : cannotWrite(path, cause, lost);
}

/** The error for a file that cannot be written. */
export function cannotWrite(
  path: string,
  cause: unknown,
  more: readonly string[] = [],
): PlasmiteError {
  return new PlasmiteError("Io", "failed to write serve init artifact", {
    path,
    hint: "Choose a directory that can be written with --output-dir.",
    causes: [messageOf(cause), ...more],
    cause,
  });
}

/** The error for a file that is not to be overwritten. */
export function alreadyThere(path: string, cause?: unknown): PlasmiteError {
  return new PlasmiteError("AlreadyExists", "serve init artifact already exists", {
    path,
    hint: "Use --force to overwrite, or choose another --output-dir.",
    cause,
  });
}
