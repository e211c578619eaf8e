/**
 * Pool files in memory, with simulated disk and process failures.
 *
 * A *process kill* keeps every completed write and any prefix of the one in progress. A *power
 * loss* keeps what was synced and any subset of the rest, in any order. Both return a new storage
 * to open, as after a restart.
 *
 * @module
 */

import { PlasmiteError } from "../../lib/errors.ts";
import { createInPlace, type CreationPlaces } from "../../lib/storage/create.ts";
import type { PathState, Storage, StorageFile } from "../../lib/storage/storage.ts";

/** Thrown by every call after the planned kill: the process no longer exists. */
export class Killed extends Error {
  /** Creates the error. */
  constructor() {
    super("killed");
    this.name = "Killed";
  }
}

interface Write {
  readonly at: number;
  readonly bytes: Uint8Array<ArrayBuffer>;
}

interface Inode {
  live: Uint8Array<ArrayBuffer>;
  durable: Uint8Array<ArrayBuffer>;
  unsynced: Write[];
  shared: Set<object>;
  exclusive: object | null;
}

/** What fails, and when, counted in mutating calls (writes, syncs, creates, removes). */
export interface Accident {
  /** The process dies after this many more mutating calls. */
  readonly killAfter?: number;
  /** How many bytes of the interrupted write are kept; default 0. */
  readonly torn?: number;
  /** After this many more mutating calls, each one fails with Io, as on a full or broken disk. */
  readonly failAfter?: number;
  /** How many bytes of the first failing write are kept; default 0. */
  readonly failTorn?: number;
}

/** A disk in memory. */
export class MemoryStorage implements Storage {
  readonly #files = new Map<string, Inode>();
  readonly #links: boolean;
  #accident: Accident = {};
  #calls = 0;
  /** All writes so far, oldest first, so that a test can tear each one in turn. */
  readonly log: { at: number; length: number }[] = [];

  /** @param links whether the file system has hard links; default true */
  constructor({ links = true }: { readonly links?: boolean } = {}) {
    this.#links = links;
  }

  /** Schedules a failure, counted from now. */
  plan(accident: Accident): void {
    this.#accident = accident;
    this.#calls = 0;
  }

  /** The number of mutating calls since {@linkcode plan}. */
  get calls(): number {
    return this.#calls;
  }

  #change(write?: () => void, tear?: (bytes: number) => void): void {
    const { killAfter, failAfter, torn = 0, failTorn = 0 } = this.#accident;
    if (killAfter !== undefined && this.#calls > killAfter) throw new Killed();
    if (killAfter !== undefined && this.#calls === killAfter) {
      this.#calls++;
      tear?.(torn);
      throw new Killed();
    }
    if (failAfter !== undefined && this.#calls >= failAfter) {
      if (this.#calls++ === failAfter) tear?.(failTorn);
      throw new PlasmiteError("Io", "i/o error", {
        causes: ["No space left on device (os error 28)"],
      });
    }
    this.#calls++;
    write?.();
  }

  #find(path: string): Inode {
    const inode = this.#files.get(path);
    if (inode === undefined) {
      throw new PlasmiteError("NotFound", "not found", {
        path,
        causes: ["No such file or directory (os error 2)"],
      });
    }
    return inode;
  }

  /** {@inheritDoc Storage.open} */
  open(path: string, { write }: { readonly write: boolean }): StorageFile {
    const inode = this.#find(path);
    const me = {};
    const held = (): "none" | "shared" | "exclusive" =>
      inode.exclusive === me ? "exclusive" : inode.shared.has(me) ? "shared" : "none";
    const state = (size?: number): PathState => {
      const now = this.#files.get(path);
      if (now !== inode) return now === undefined ? "missing" : "replaced";
      return size === undefined || inode.live.length === size ? "same" : "resized";
    };
    return {
      path,
      writable: write,
      opened: { size: inode.live.length, mtimeMs: null },
      readAt: (into, at) => {
        const part = inode.live.subarray(at, at + into.length);
        into.set(part);
        return part.length;
      },
      writeAt: (bytes, at) => {
        if (!write) throw new PlasmiteError("Permission", "permission denied", { path });
        const put = (count: number): void => {
          const kept = bytes.slice(0, count);
          if (kept.length === 0) return;
          inode.live.set(kept, at);
          inode.unsynced.push({ at, bytes: kept });
        };
        this.#change(() => {
          this.log.push({ at, length: bytes.length });
          put(bytes.length);
        }, put);
      },
      tryLock: (exclusive) => {
        const others = inode.shared.size - (inode.shared.has(me) ? 1 : 0);
        if (inode.exclusive !== null && inode.exclusive !== me) return false;
        if (exclusive && others > 0) return false;
        inode.shared.delete(me);
        inode.exclusive = null;
        if (exclusive) inode.exclusive = me;
        else inode.shared.add(me);
        return true;
      },
      unlock: () => {
        if (held() === "exclusive") inode.exclusive = null;
        inode.shared.delete(me);
      },
      sync: () =>
        this.#change(() => {
          inode.durable = inode.live.slice();
          inode.unsynced = [];
        }),
      size: () => inode.live.length,
      allocated: () => inode.live.length,
      quietMs: () => Infinity,
      resize: (size) =>
        this.#change(() => {
          const live = new Uint8Array(size);
          live.set(inode.live.subarray(0, size));
          inode.live = live;
          // Treated as durable at once: no test simulates a power loss during a repair.
          inode.durable = live.slice();
          inode.unsynced = [];
        }),
      pathState: state,
      close: () => {
        if (inode.exclusive === me) inode.exclusive = null;
        inode.shared.delete(me);
      },
    };
  }

  /** {@inheritDoc Storage.create} */
  create(path: string, size: number, head: Uint8Array, takeOver = true): boolean {
    if (!this.#links) return createInPlace(this.#places, path, { size, head, takeOver });
    this.#change(() => {
      if (this.#files.has(path)) {
        throw new PlasmiteError("AlreadyExists", "pool already exists", { path });
      }
      const live = new Uint8Array(size);
      live.set(head);
      this.put(path, live);
    });
    return true;
  }

  readonly #places: CreationPlaces = {
    createEmpty: (path) => {
      if (this.#files.has(path)) return null;
      this.#change(() => this.put(path, new Uint8Array(0)));
      return this.open(path, { write: true });
    },
    open: (path) => this.open(path, { write: true }),
    remove: (path) => this.remove(path),
  };

  /** Paths of the files in `dir`, sorted. */
  files(dir: string): readonly string[] {
    return [...this.#files.keys()].filter((path) => path.startsWith(`${dir}/`)).sort();
  }

  /** {@inheritDoc Storage.remove} */
  remove(path: string): void {
    this.#change(() => {
      this.#find(path);
      this.#files.delete(path);
    });
  }

  /** A copy of a file's bytes, as every process currently sees them. */
  bytes(path: string): Uint8Array<ArrayBuffer> {
    return this.#find(path).live.slice();
  }

  /** Stores a file as given, damaged or not. */
  put(path: string, bytes: Uint8Array): void {
    const live = new Uint8Array(bytes);
    this.#files.set(path, {
      live,
      durable: live.slice(),
      unsynced: [],
      shared: new Set(),
      exclusive: null,
    });
  }

  /** The disk after the process was killed: completed writes are kept, all locks are released. */
  afterKill(): MemoryStorage {
    const next = new MemoryStorage({ links: this.#links });
    for (const [path, inode] of this.#files) next.put(path, inode.live);
    return next;
  }

  /**
   * The disk after a power loss: what was synced, and those later writes for which `survives`
   * returns true.
   */
  afterPowerLoss(survives: (index: number, count: number) => boolean): MemoryStorage {
    const next = new MemoryStorage({ links: this.#links });
    for (const [path, inode] of this.#files) {
      const bytes = inode.durable.slice();
      inode.unsynced.forEach((write, i, all) => {
        if (survives(i, all.length)) bytes.set(write.bytes, write.at);
      });
      next.put(path, bytes);
    }
    return next;
  }
}
