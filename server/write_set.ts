/**
 * Writes several files that belong together: afterwards all of them are new, or all are unchanged.
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
  writeAll,
} from "../lib/storage/temporary.ts";

/** One file of a set. */
export interface NewFile {
  /** Its absolute path. */
  readonly path: string;
  /** Its content. */
  readonly text: string;
  /** Its mode, independent of the umask. */
  readonly mode: number;
}

/** The progress of one file. */
interface Stage {
  readonly file: NewFile;
  /** The temporary path of the new file. */
  readonly fresh: string;
  /** Whether the path exists already. */
  readonly taken: boolean;
  /** The path of the old file until all files are written. */
  kept: string | null;
  /** Whether the new file has its final name. */
  placed: boolean;
}

/**
 * Writes the files.
 *
 * @param overwrite whether existing files may be replaced
 * @throws {PlasmiteError} Io with the path of the file that failed, or AlreadyExists; the old files
 *   are then unchanged
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
    for (const dir of made.reverse()) removeQuietly(dir); // Fails if it is in use by now.
    throw failure(at, cause, lost);
  } finally {
    lock?.close();
  }
  for (const { kept } of stages) if (kept !== null) removeQuietly(kept);
}

/** Creates a directory and its parents; returns the new ones. */
function makeDirectories(dir: string): string[] {
  const missing: string[] = [];
  for (let at = dir; kindOf(at) === "nothing"; at = parentOf(at)) missing.unshift(at);
  if (missing.length > 0) Deno.mkdirSync(dir, { recursive: true, mode: 0o700 });
  return missing;
}

/** Locks a directory, so that two processes do not write the same set at once. */
function lockDirectory(dir: string): Deno.FsFile | null {
  if (Deno.build.os === "windows") return null; // A directory cannot be opened there.
  const file = Deno.openSync(dir);
  try {
    file.lockSync(true);
  } catch {
    // The file system has no locks.
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

/** Writes the new file under a temporary name: a full disk is noticed before anything changes. */
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
    writeAll(out, bytes);
    out.syncSync();
    // The umask applies to the mode above; set the exact one.
    if (Deno.build.os !== "windows") Deno.chmodSync(fresh, mode);
  } catch (error) {
    removeQuietly(fresh);
    throw error;
  } finally {
    out.close();
  }
  return { file, fresh, taken: kind !== "nothing", kept: null, placed: false };
}

/** Gives the old file a second name, or another name if hard links are not supported. */
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

/** Gives the new file its final name; a new path must still be free. */
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

/** Restores one file; returns a description of what could not be undone. */
function takeBack({ file: { path }, fresh, kept, placed }: Stage): string[] {
  removeQuietly(fresh);
  try {
    if (kept !== null) Deno.renameSync(kept, path);
    else if (placed) Deno.removeSync(path);
  } catch (error) {
    const where = kept === null ? `${path} is a new file` : `the old ${path} is kept as ${kept}`;
    return [`${where}: ${messageOf(error)}`];
  }
  // If both are names of one file, renaming one to the other leaves both.
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

/** The error for a file that must not be overwritten. */
export function alreadyThere(path: string, cause?: unknown): PlasmiteError {
  return new PlasmiteError("AlreadyExists", "serve init artifact already exists", {
    path,
    hint: "Use --force to overwrite, or choose another --output-dir.",
    cause,
  });
}
