/**
 * The reference's wake-up: a POSIX named semaphore, which on Linux is a small file (6).
 *
 * Its followers poll that semaphore every few milliseconds, so adding one to its value wakes them;
 * its writers open and close the file at every append, which our followers can watch. It is touched
 * only where it exists and where Deno lets us: correctness never depends on it.
 *
 * @module
 */

import { hasEveryPermission } from "../environment.ts";
import { startTimer } from "../timers.ts";
import { sha256Hex } from "./sha256.ts";

/** Posts pile up while nobody waits: more than this many are of no use to anyone. */
const ENOUGH_POSTS = 64;

/** Whether Deno lets this program near /dev/shm without asking at a terminal. */
function allowed(): boolean {
  return Deno.build.os === "linux" && hasEveryPermission();
}

/**
 * The semaphore file of the pool at `path`, or null where there can be none.
 *
 * @param path any path of the pool; symbolic links are resolved
 */
export function semaphorePath(path: string): string | null {
  let real = path;
  try {
    real = Deno.realPathSync(path);
  } catch {
    // 6: the bytes as given if resolving fails.
  }
  const name = `/dev/shm/sem.plsm-${sha256Hex(new TextEncoder().encode(real))}`;
  return allowed() ? name : null;
}

/**
 * Whether there is any semaphore of the reference on this machine. Most have none, and one look
 * into the directory is cheaper than the hash of a path in a program that has just begun.
 */
function anySemaphores(): boolean {
  try {
    if (!allowed()) return false;
    for (const entry of Deno.readDirSync("/dev/shm")) {
      if (entry.name.startsWith("sem.plsm-")) return true;
    }
  } catch {
    // No such directory (macOS), or no right to look: no semaphores for us.
  }
  return false;
}

/** Whether the semaphore file exists now. */
export function semaphoreExists(path: string): boolean {
  try {
    Deno.statSync(path);
    return true;
  } catch {
    return false; // Missing, or NotCapable with narrow permissions: no semaphore for us.
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

  /** For the pool at this path; nothing is touched yet. */
  constructor(pool: string) {
    this.#pool = pool;
  }

  /** Wakes the reference's followers; at most once a millisecond, the last post is never lost. */
  post(): void {
    const now = performance.now();
    if (now - this.#postedAt >= 1) {
      this.#postedAt = now;
      this.#postNow(now);
    } else if (this.#timer === null && this.#file !== null) {
      this.#timer = startTimer(() => this.flush(), 1);
      Deno.unrefTimer(this.#timer);
    }
  }

  /** Makes up for a post that was put off. */
  flush(): void {
    if (this.#timer === null) return;
    clearTimeout(this.#timer);
    this.#timer = null;
    this.#postedAt = performance.now();
    this.#postNow(this.#postedAt);
  }

  #postNow(now: number): void {
    if (this.#file === null) {
      // A follower of the reference looks at the pool every 50 ms anyway.
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
