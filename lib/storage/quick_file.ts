/**
 * Pool files for glances at thousands of them: opened without asking the system what they are, and
 * read where it is wanted, without a seek. Only the worker that lists (`lib/backend/local/survey/`)
 * does this, with `node:fs`.
 *
 * @module
 */

import type { StorageFile } from "./storage.ts";

/** What is used of `node:fs`. */
export type FileCalls = Pick<typeof import("node:fs"), "openSync" | "readSync" | "closeSync"> & {
  readonly constants: { readonly [name: string]: number };
};

/**
 * One file after the other. Whatever fails is for others to explain.
 *
 * Opening a pipe for reading waits for its writer, possibly forever, and a terminal may become that
 * of the process; with these flags neither happens. Windows has none of that, and no flags.
 */
export class QuickFile implements Pick<StorageFile, "path" | "readAt"> {
  path = "";
  #fd = -1;
  readonly #fs: FileCalls;
  readonly #flags: number;
  readonly #two = new Uint8Array(2);

  /** Uses these calls. */
  constructor(fs: FileCalls) {
    this.#fs = fs;
    const { O_RDONLY = 0, O_NONBLOCK = 0, O_NOCTTY = 0 } = fs.constants;
    this.#flags = O_RDONLY | O_NONBLOCK | O_NOCTTY;
  }

  /** Opens a file, or whatever else is there: reading from that fails. */
  open(path: string): void {
    this.path = path;
    this.#fd = this.#fs.openSync(path, this.#flags);
  }

  readAt(into: Uint8Array, at: number): number {
    for (let done = 0;;) {
      const more = this.#read(into, done, at);
      done += more;
      if (more === 0 || done === into.length) return done;
    }
  }

  #read(into: Uint8Array, from: number, at: number): number {
    return this.#fs.readSync(this.#fd, into, from, into.length - from, at + from);
  }

  /** Whether its last byte is where it should be: one call, and cheaper than asking for the size. */
  readonly hasSize = (size: number): boolean =>
    size > 0 && this.#read(this.#two, 0, size - 1) === 1;

  /** Closes the file, if it is open. */
  close(): void {
    if (this.#fd >= 0) this.#fs.closeSync(this.#fd);
    this.#fd = -1;
  }
}
