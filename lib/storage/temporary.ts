/**
 * Temporary files that are created next to their destination and then moved or linked to it.
 *
 * @module
 */

import { isOsError, osError } from "./os_error.ts";

/** The directory of a path. */
export function parentOf(path: string): string {
  const at = path.lastIndexOf("/");
  return at < 0 ? "." : at === 0 ? "/" : path.slice(0, at);
}

/** An unused name in `dir`; short, so that it fits wherever the final name fits. */
export function temporaryName(dir: string): string {
  return `${dir}/.plasmite-${crypto.randomUUID().slice(0, 18)}.tmp`;
}

/** Whether there is something at a path, be it a link that leads nowhere or what may not be seen. */
export function isThere(path: string): boolean {
  try {
    Deno.lstatSync(path);
    return true;
  } catch (error) {
    return !(error instanceof Deno.errors.NotFound);
  }
}

/** Removes a file that may not exist. */
export function removeQuietly(path: string): void {
  try {
    Deno.removeSync(path);
  } catch {
    // Never created, or already removed.
  }
}

/** Writes all of `bytes` where the file is positioned: one call may take only some of them. */
export function writeAll(file: Deno.FsFile, bytes: Uint8Array): void {
  for (let done = 0; done < bytes.length;) done += file.writeSync(bytes.subarray(done));
}

/**
 * Replaces a small private file atomically; the new one is on disk before this returns.
 *
 * @throws {PlasmiteError} Io, Permission
 */
export function replaceFile(path: string, text: string): void {
  const dir = parentOf(path);
  const fresh = temporaryName(dir);
  try {
    {
      using file = Deno.openSync(fresh, { write: true, createNew: true, mode: 0o600 });
      writeAll(file, new TextEncoder().encode(text));
      file.syncSync();
    }
    Deno.renameSync(fresh, path);
    syncDirectory(dir);
  } catch (error) {
    removeQuietly(fresh);
    throw osError(error, { path });
  }
}

/** Makes a rename durable. */
function syncDirectory(dir: string): void {
  if (Deno.build.os === "windows") return; // A directory cannot be opened there.
  using directory = Deno.openSync(dir);
  directory.syncSync();
}

/**
 * Checks that a file of `size` bytes can be created in `dir`, using an unlinked file: beyond
 * `ulimit -f` the system kills the process, and then nothing must be left behind.
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
      if (!linksUnsupported(error)) throw error;
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
    // Some network file systems cannot access an unlinked file; the check is skipped there.
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
}

/**
 * Whether a failed `link` means that hard links are not supported here: EPERM (Linux), ENOTSUP and
 * EOPNOTSUPP (macOS, network file systems), ENOSYS (FUSE), EACCES (where a policy forbids them),
 * EMLINK and EINVAL (file systems with one name a file), and what Windows says on FAT.
 */
export function linksUnsupported(error: unknown): boolean {
  switch (Deno.build.os) {
    case "windows":
      return isOsError(error, 1, 50, 1142);
    case "darwin":
      return isOsError(error, 1, 13, 22, 31, 45, 78, 102);
    default:
      return isOsError(error, 1, 13, 22, 31, 38, 95);
  }
}
