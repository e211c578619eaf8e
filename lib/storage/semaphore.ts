/**
 * The reference's wake-up: a POSIX named semaphore, which on Linux is a small file
 * (docs/spec/format.md 6).
 *
 * Its followers poll that semaphore every few milliseconds, so adding one to its value wakes them;
 * its writers open and close the file at every append, which our followers can watch. It is used
 * only where it exists and Deno has the permissions: correctness never depends on it.
 *
 * @module
 */

import { hasEveryPermission, mayTrySystemFiles } from "../environment.ts";
import { sha256Hex } from "./sha256.ts";

/** Posts accumulate while no one waits; beyond this value no more are added. */
const ENOUGH_POSTS = 64;

/** Whether this program may access /dev/shm without a permission prompt. */
function allowed(): boolean {
  return Deno.build.os === "linux" && hasEveryPermission();
}

/**
 * The semaphore file of the pool at `path`, or null on systems without such files.
 *
 * @param path any path of the pool; symbolic links are resolved
 */
export function semaphorePath(path: string): string | null {
  if (!allowed()) return null;
  let real = path;
  try {
    real = Deno.realPathSync(path);
  } catch {
    // docs/spec/format.md 6: the path as given if resolving fails.
  }
  return `${PLACE}/sem.plsm-${sha256Hex(new TextEncoder().encode(real))}`;
}

/** Where semaphores are. */
const PLACE = "/dev/shm";
/** How old the last change must be, in milliseconds, for a list not to have missed one. */
const SETTLED = 50;

/** What the last list of {@linkcode PLACE} showed, when it was made and when the place had changed. */
let listed = { any: false, at: 0, changed: Infinity };

/**
 * Whether the reference has any semaphore on this machine. Usually there is none, and listing the
 * directory is cheaper than hashing a path: V8 compiles the hash as hot code, and its compiler alone
 * takes 5 MB of an idle follower's memory. It is listed again when it has changed: browsers keep
 * hundreds of files there, and a server asks once a second for each followed pool.
 */
export function anySemaphores(): boolean {
  try {
    if (Deno.build.os !== "linux" || !mayTrySystemFiles()) return false;
    const changed = Deno.statSync(PLACE).mtime?.getTime() ?? Infinity;
    if (changed === listed.changed && listed.at - changed > SETTLED) return listed.any;
    const at = Date.now();
    const entries = [...Deno.readDirSync(PLACE)];
    listed = { any: entries.some(({ name }) => name.startsWith("sem.plsm-")), at, changed };
    return listed.any;
  } catch {
    // No such directory (macOS), or no permission to list it: no semaphores.
  }
  return false;
}

/** Whether the semaphore file exists now. */
export function semaphoreExists(path: string): boolean {
  try {
    Deno.statSync(path);
    return true;
  } catch {
    return false; // Missing, or NotCapable with narrow permissions: no semaphore.
  }
}

/** Posts to one pool's semaphore. */
export class Semaphore {
  readonly #pool: string;
  #path: string | null | undefined;
  #file: Deno.FsFile | null = null;
  #lookedAt = -Infinity;
  #postedAt = -Infinity;
  #timer: ReturnType<typeof setTimeout> | null = null;

  /** For the pool at `pool`; opens nothing yet. */
  constructor(pool: string) {
    this.#pool = pool;
  }

  /** Wakes the reference's followers, at most once per millisecond; the last post is never lost. */
  post(): void {
    const now = performance.now();
    if (now - this.#postedAt >= 1) {
      this.#postedAt = now;
      this.#postNow(now);
    } else if (this.#timer === null && this.#file !== null) {
      this.#timer = setTimeout(() => this.flush(), 1);
      Deno.unrefTimer(this.#timer);
    }
  }

  /** Sends a post that was deferred. */
  flush(): void {
    if (this.#timer === null) return;
    clearTimeout(this.#timer);
    this.#timer = null;
    this.#postedAt = performance.now();
    this.#postNow(this.#postedAt);
  }

  #postNow(now: number): void {
    if (this.#file === null) {
      // Followers of the reference check the pool every 50 ms anyway.
      if (now - this.#lookedAt < 50) return;
      this.#lookedAt = now;
      if (this.#path === undefined) {
        if (!anySemaphores()) return;
        this.#path = semaphorePath(this.#pool);
      }
      if (this.#path === null || !semaphoreExists(this.#path)) return;
      try {
        this.#file = Deno.openSync(this.#path, { read: true, write: true });
      } catch {
        this.#path = null; // Another user's (mode 0600): they poll, as the reference does.
        return;
      }
    }
    try {
      const bytes = new Uint8Array(4);
      const view = new DataView(bytes.buffer);
      this.#file.seekSync(0, Deno.SeekMode.Start);
      if (this.#file.readSync(bytes) !== 4) return;
      const value = view.getUint32(0, true);
      if (value >= ENOUGH_POSTS) return;
      view.setUint32(0, value + 1, true);
      this.#file.seekSync(0, Deno.SeekMode.Start);
      this.#file.writeSync(bytes);
    } catch {
      // A lost post only delays a poller by its interval.
    }
  }

  /** Releases the file. */
  close(): void {
    this.flush();
    this.#file?.close();
    this.#file = null;
  }
}
