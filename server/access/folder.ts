/**
 * The folder `.plasmite-serve` of a pool directory: private files, replaced atomically, and a lock
 * (docs/spec/sharing.md 1.4).
 *
 * @module
 */

import { PlasmiteError } from "../../lib/errors.ts";
import { osError } from "../../lib/storage/os_error.ts";
import { replaceFile } from "../../lib/storage/temporary.ts";
import { pause } from "../../lib/timers.ts";

/** The folder's name. */
export const STATE_FOLDER = ".plasmite-serve";

/** The maximum size of a file in the folder, in bytes. */
const LARGEST = 16 << 20;
/** How long to wait for a lock that is held only for a change, in milliseconds. */
const PATIENCE = 1_000;
/** The interval between attempts to take the lock, in milliseconds. */
const TRY_EVERY = 20;
/** The permission bits of everyone but the owner. */
const OTHERS = 0o077;

/** A held lock. */
export interface HeldLock {
  /** Releases it. */
  release(): void;
}

function isPrivate({ mode }: Deno.FileInfo): boolean {
  return Deno.build.os === "windows" || ((mode ?? 0) & OTHERS) === 0;
}

function unsafe(path: string, what: string): PlasmiteError {
  return new PlasmiteError("Permission", `server state must be private: ${what}`, {
    path,
    hint: "Only its owner may have access, and it must not be a link: it holds the private key. " +
      `Run \`chmod -R go-rwx\` on the folder ${STATE_FOLDER} after checking who could use it.`,
  });
}

/** The file information of a path, without following links; null if it does not exist. */
function look(path: string): Deno.FileInfo | null {
  try {
    return Deno.lstatSync(path);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return null;
    throw osError(error, { path });
  }
}

/** The state folder of one pool directory. */
export class StateFolder {
  /** The folder's path. */
  readonly path: string;

  private constructor(path: string) {
    this.path = path;
  }

  /**
   * The folder of a pool directory, or null if there is none.
   *
   * @throws {PlasmiteError} Permission if others have access to it or it is a link
   */
  static find(poolDir: string): StateFolder | null {
    const path = `${poolDir}/${STATE_FOLDER}`;
    const info = look(path);
    if (info === null) return null;
    if (info.isSymlink) throw unsafe(path, "the folder is a link");
    if (!info.isDirectory) throw unsafe(path, "there is something else in place of the folder");
    if (!isPrivate(info)) throw unsafe(path, "others have access to the folder");
    return new StateFolder(path);
  }

  /**
   * The folder of a pool directory; both are created if missing.
   *
   * @throws {PlasmiteError} Permission, Io
   */
  static make(poolDir: string): StateFolder {
    const found = StateFolder.find(poolDir);
    if (found !== null) return found;
    const path = `${poolDir}/${STATE_FOLDER}`;
    try {
      Deno.mkdirSync(poolDir, { recursive: true });
      Deno.mkdirSync(path, { mode: 0o700 });
    } catch (error) {
      if (!(error instanceof Deno.errors.AlreadyExists)) throw osError(error, { path });
    }
    return StateFolder.find(poolDir) ?? StateFolder.make(poolDir);
  }

  /**
   * The text of a file, or null if it does not exist.
   *
   * @throws {PlasmiteError} Permission if others have access to it or it is a link, Corrupt, Io
   */
  read(name: string): string | null {
    const path = `${this.path}/${name}`;
    const seen = look(path);
    if (seen === null) return null;
    if (!seen.isFile) throw unsafe(path, "a file is a link");
    try {
      using file = Deno.openSync(path);
      const info = file.statSync();
      // It may have been replaced in between, but only by rename, so check the opened file.
      if (!info.isFile || !isPrivate(info)) throw unsafe(path, "others have access to a file");
      if (info.size > LARGEST) throw damaged(path, "it is too large");
      const bytes = new Uint8Array(info.size);
      let got = 0;
      while (got < bytes.length) {
        const n = file.readSync(bytes.subarray(got));
        if (n === null) break;
        got += n;
      }
      return new TextDecoder("utf-8", { fatal: true }).decode(bytes.subarray(0, got));
    } catch (error) {
      if (PlasmiteError.is(error)) throw error;
      if (error instanceof TypeError) throw damaged(path, "it is not UTF-8");
      if (error instanceof Deno.errors.NotFound) return null;
      throw osError(error, { path });
    }
  }

  /**
   * Replaces a file atomically; it is on disk before this returns.
   *
   * @throws {PlasmiteError} Io, Permission
   */
  write(name: string, text: string): void {
    replaceFile(`${this.path}/${name}`, text);
  }

  /**
   * Takes the lock. Waits for a holder that is only making a change.
   *
   * @throws {PlasmiteError} Busy if a server holds it
   */
  async lock(patienceMs: number = PATIENCE): Promise<HeldLock> {
    const path = `${this.path}/lock`;
    const seen = look(path);
    if (seen !== null && !seen.isFile) throw unsafe(path, "a file is a link");
    if (seen !== null && !isPrivate(seen)) throw unsafe(path, "others have access to a file");
    let file: Deno.FsFile;
    try {
      file = Deno.openSync(path, { read: true, write: true, create: true, mode: 0o600 });
    } catch (error) {
      throw osError(error, { path });
    }
    const until = performance.now() + patienceMs;
    try {
      while (!file.tryLockSync(true)) {
        if (performance.now() >= until) throw owned(path);
        await pause(TRY_EVERY);
      }
    } catch (error) {
      file.close();
      throw PlasmiteError.is(error) ? error : osError(error, { path });
    }
    return { release: () => file.close() };
  }
}

function owned(path: string): PlasmiteError {
  return new PlasmiteError("Busy", "another server owns this pool directory", {
    path,
    hint: "Stop the server that shares this directory, or use that one.",
  });
}

/** The error for an unusable file in the folder. */
export function damaged(path: string, problem: string): PlasmiteError {
  return new PlasmiteError("Corrupt", `server state is damaged: ${problem}`, {
    path,
    hint: "Restore the file from a backup, or remove it: then keys or rights that are only in it " +
      "are gone.",
  });
}

/**
 * Reads a file in the folder as JSON; null if it does not exist.
 *
 * @throws {PlasmiteError} Corrupt, Permission, Io
 */
export function readJson(folder: StateFolder, name: string): unknown {
  const text = folder.read(name);
  if (text === null) return null;
  try {
    return JSON.parse(text);
  } catch {
    throw damaged(`${folder.path}/${name}`, "it is not JSON");
  }
}
