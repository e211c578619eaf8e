/**
 * Detects that a pool may have changed, with one shared watcher per pool in a process.
 *
 * It watches the pool file (our writers) and the reference's semaphore file (its writers store
 * through a mapping, which raises no event on the pool; docs/spec/format.md 6). A notification may
 * be lost or come too early, so there is a second check shortly after each, and a slow timer:
 * correctness never depends on a notification.
 *
 * @module
 */

import { isGranted } from "../environment.ts";
import { every, startTimer, waitFor } from "../timers.ts";
import { anySemaphores, semaphoreExists, semaphorePath } from "./semaphore.ts";

/**
 * How often an idle follower checks without a notification, in milliseconds: rarely on Linux, where
 * every append causes one; often elsewhere, where the reference's stores cause none.
 */
const SLOW_TICK = Deno.build.os === "linux" ? 1000 : 50;
/** The same where watching is not possible. */
const BLIND_TICK = 50;
/**
 * How long after a notification to check once more, in milliseconds. Our writers publish with a
 * write that causes a notification itself; the reference's semaphore may change before its store is
 * visible.
 */
const ECHO = 2;
/** With polling only: the shortest and longest pause between two checks, in milliseconds. */
const FIRST_PAUSE = 1;
const LAST_PAUSE = 50;

/** Waits for changes of one pool. */
export interface PoolWatch {
  /** Increases with every notification; read it before checking the pool. */
  readonly version: number;
  /**
   * Waits for a notification later than `seen`.
   *
   * @param ms give up after this many milliseconds; undefined waits without a limit
   * @returns false on time-out
   */
  wait(seen: number, ms?: number, signal?: AbortSignal): Promise<boolean>;
  /** Reports that something new was found: polling becomes fast again. */
  found(): void;
  /** Starts watching; true if it was not watching before, so the pool must be checked again. */
  begin?(): boolean;
  /** Whether it also checks that the path still refers to the pool; `failed` has the result. */
  readonly checksIdentity?: boolean;
  /** Whether the path no longer refers to the watched file. */
  readonly failed?: boolean;
  /** Watches the file that the path refers to now; for callers that find their pool unchanged. */
  renew?(): Promise<void>;
  /** Ends waiting and releases everything. */
  close(): void;
}

let links: string | undefined;

/**
 * The path of the link through which a file is watched, always the same for the same file.
 *
 * The system has one watch per file and process, however many links lead to it, but Deno counts its
 * users by path: under two names, the first that is closed would end the watch of the other, and
 * closing takes a moment. The time of birth is part of the name because the number of a deleted file
 * is given to a new one.
 */
function linkFor(file: string): string {
  if (links === undefined) {
    links = Deno.makeTempFileSync({ prefix: "plasmite-watch-" });
    Deno.removeSync(links);
  }
  const { dev, ino, birthtime } = Deno.statSync(file);
  return `${links}-${dev}-${ino ?? crypto.randomUUID()}-${birthtime?.getTime() ?? 0}`;
}

/**
 * Watches files through symbolic links that are removed before the first event arrives.
 *
 * Deno 2.9 compares the path of every event with the watched one by opening both, and each of these
 * opens wakes every other watcher of that file: eight followers of one pool woke one another more
 * than a hundred times per message. A path that no longer exists cannot be opened, and the watch
 * itself stays with the file. Without permission to create links, the file is watched directly.
 */
function watchQuietly(paths: readonly string[]): { watcher: Deno.FsWatcher; names: string[] } {
  const made: string[] = [];
  try {
    // Without these permissions Deno would prompt on a terminal.
    if (!isGranted({ name: "read" }) || !isGranted({ name: "write" })) throw new Error("no links");
    for (const path of paths) {
      const link = linkFor(path);
      Deno.symlinkSync(Deno.realPathSync(path), link);
      made.push(link);
    }
    return { watcher: Deno.watchFs(made, { recursive: false }), names: made };
  } catch {
    return { watcher: Deno.watchFs([...paths], { recursive: false }), names: [...paths] };
  } finally {
    for (const link of made) {
      try {
        Deno.removeSync(link);
      } catch {
        // Removed by somebody who tidies up.
      }
    }
  }
}

class SharedWatch {
  version = 0;
  users = 0;
  #wakers = new Set<() => void>();
  #watcher: Deno.FsWatcher | null = null;
  readonly #stopTicking: () => void;
  #echo: ReturnType<typeof setTimeout> | null = null;
  #unanswered = false;
  readonly #path: string;
  /** The path of the semaphore, once the reference has any. */
  #semaphore: string | null | undefined;
  #semaphoreSeen = false;

  constructor(path: string) {
    this.#path = path;
    this.#start();
    const slow = (): void => this.#slow();
    if (this.#watcher !== null) this.#stopTicking = every(SLOW_TICK, slow);
    else {
      // Nothing else keeps a process of Node alive.
      const timer = setInterval(slow, BLIND_TICK);
      this.#stopTicking = () => clearInterval(timer);
    }
  }

  #start(): void {
    const paths = [this.#path];
    const semaphore = this.#findSemaphore();
    this.#semaphoreSeen = semaphore !== null;
    if (semaphore !== null) paths.push(semaphore);
    try {
      const { watcher, names } = watchQuietly(paths);
      this.#watcher = watcher;
      this.#listen(watcher, names[0] ?? "").catch(() => {}); // If it fails, the slow timer remains.
    } catch {
      // No watches left, or no permission: the slow timer remains.
    }
  }

  /** The path of the pool's semaphore, if it exists now. */
  #findSemaphore(): string | null {
    if (!anySemaphores()) return null;
    if (this.#semaphore === undefined) this.#semaphore = semaphorePath(this.#path);
    return this.#semaphore !== null && semaphoreExists(this.#semaphore) ? this.#semaphore : null;
  }

  async #listen(watcher: Deno.FsWatcher, pool: string): Promise<void> {
    for await (const { paths } of watcher) {
      if (paths[0] !== pool) this.#unanswered = true;
      this.notify();
    }
  }

  /** A follower found the change behind the last notification: no second check is needed. */
  found(): void {
    this.#unanswered = false;
  }

  /**
   * Nothing was found after a notification, which may have come too early: check once more soon.
   */
  #expectEcho(): void {
    if (!this.#unanswered || this.#echo !== null) return;
    this.#unanswered = false;
    this.#echo = startTimer(() => {
      this.#echo = null;
      this.notify();
    }, ECHO);
  }

  #slow(): void {
    // It appears with the reference's first append. Watching its directory would not tell: through a
    // link that was removed, Deno reports nothing of a directory's files.
    if (!this.#semaphoreSeen && this.#findSemaphore() !== null) {
      this.#watcher?.close();
      this.#start();
    }
    this.notify();
  }

  notify(): void {
    this.version++;
    const wakers = [...this.#wakers];
    this.#wakers.clear();
    for (const wake of wakers) wake();
  }

  sleep(wake: () => void): void {
    this.#expectEcho();
    this.#wakers.add(wake);
  }

  forget(wake: () => void): void {
    this.#wakers.delete(wake);
  }

  close(): void {
    this.#watcher?.close();
    this.#stopTicking();
    if (this.#echo !== null) clearTimeout(this.#echo);
    this.notify();
  }
}

const watches = new Map<string, SharedWatch>();

/** The version before anything is watched. */
const BEFORE = -1;

/**
 * Watches the pool at `path`, with one watcher shared by all users in this process. Watching starts
 * with `begin` or with the first wait, which returns immediately so that its caller checks the pool
 * again. A reader that never has to wait starts no watcher.
 */
export function watchPool(path: string): PoolWatch {
  let shared: SharedWatch | null = null;
  let open = true;
  const begin = (): boolean => {
    if (shared !== null || !open) return false;
    shared = watches.get(path) ?? new SharedWatch(path);
    watches.set(path, shared);
    shared.users++;
    return true;
  };
  return {
    get version() {
      return shared?.version ?? BEFORE;
    },
    wait: (seen, ms, signal) => {
      begin();
      const mine = open ? shared : null;
      return mine === null || mine.version !== seen
        ? Promise.resolve(true)
        : waitFor((wake) => mine.sleep(wake), (wake) => mine.forget(wake), ms, signal);
    },
    found: () => shared?.found(),
    begin,
    close: () => {
      if (!open) return;
      open = false;
      if (shared === null) return;
      if (--shared.users > 0) return shared.notify();
      watches.delete(path);
      shared.close();
    },
  };
}

/** Polls with growing pauses and uses no watcher (`--no-notify`). */
export function pollPool(): PoolWatch {
  let pause = FIRST_PAUSE;
  let version = 0;
  let wakeNow: (() => void) | null = null;
  return {
    get version() {
      return version;
    },
    wait: async (_seen, ms, signal) => {
      const last = ms !== undefined && ms <= pause;
      await waitFor(
        (wake) => wakeNow = wake,
        () => wakeNow = null,
        last ? ms : pause,
        signal,
      );
      version++;
      pause = Math.min(pause * 2, LAST_PAUSE);
      return !last;
    },
    found: () => {
      pause = FIRST_PAUSE;
    },
    close: () => wakeNow?.(),
  };
}
