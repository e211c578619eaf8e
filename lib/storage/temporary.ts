/**
 * Files that are made beside their place and then put there.
 *
 * @module
 */

import { isOsError } from "./os_error.ts";

/** The directory of a path. */
export function parentOf(path: string): string {
  const at = path.lastIndexOf("/");
  return at < 0 ? "." : at === 0 ? "/" : path.slice(0, at);
}

/** A free name in `dir`: short, because the name of the file that is to be made may be the longest. */
export function temporaryName(dir: string): string {
  return `${dir}/.plasmite-${crypto.randomUUID().slice(0, 18)}.tmp`;
}

/** Removes a file that may not be there. */
export function removeQuietly(path: string): void {
  try {
    Deno.removeSync(path);
  } catch {
    // Never made, or gone already: nothing is left to remove.
  }
}

/**
 * Makes sure that a file of `size` bytes may be made in `dir`, with a file that has no name: over the
 * limit of `ulimit -f` the system ends the process, and nothing must be left behind then.
 *
 * @returns whether the directory's file system has hard links
 */
export function probe(dir: string, size: number): boolean {
  const name = temporaryName(dir);
  const other = temporaryName(dir);
  const file = Deno.openSync(name, { write: true, createNew: true, mode: 0o600 });
  let links = true;
  try {
    try {
      Deno.linkSync(name, other);
    } catch (error) {
      if (!isNotHere(error)) throw error;
      links = false;
    } finally {
      removeQuietly(name);
      if (links) removeQuietly(other);
    }
    sizeNameless(file, size);
  } finally {
    file.close();
  }
  return links;
}

function sizeNameless(file: Deno.FsFile, size: number): void {
  try {
    file.truncateSync(size);
  } catch (error) {
    // Some network file systems cannot reach a file without a name; then there is nothing to learn.
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
}

/**
 * Whether a failed `link` says that there are no hard links here rather than that something went
 * wrong: EPERM (Linux), ENOTSUP and EOPNOTSUPP (macOS, network file systems), ENOSYS (FUSE), EACCES
 * (where a policy forbids them), EMLINK and EINVAL (file systems with one name a file), and what
 * Windows says on FAT.
 */
export function isNotHere(error: unknown): boolean {
  switch (Deno.build.os) {
    case "windows":
      return isOsError(error, 1, 50, 1142);
    case "darwin":
      return isOsError(error, 1, 13, 22, 31, 45, 78, 102);
    default:
      return isOsError(error, 1, 13, 22, 31, 38, 95);
  }
}
