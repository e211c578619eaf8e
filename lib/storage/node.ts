/**
 * Files for Node and Bun: the file calls of Deno that this library uses, on `node:fs`. The npm
 * builds put it in the place of `Deno`, so that the same code runs on all three.
 *
 * @module
 */

import * as fs from "node:fs";
import { tmpdir } from "node:os";
import { lockNow, unlockNow } from "./node_lock.ts";

/** An error class of each kind, so that `instanceof` works as in Deno. */
export const errors = {
  NotFound: class NotFound extends Error {},
  AlreadyExists: class AlreadyExists extends Error {},
  PermissionDenied: class PermissionDenied extends Error {},
  NotCapable: class NotCapable extends Error {},
  Interrupted: class Interrupted extends Error {},
  InvalidData: class InvalidData extends Error {},
  NotADirectory: class NotADirectory extends Error {},
  WouldBlock: class WouldBlock extends Error {},
};

const KINDS: Readonly<Record<string, new (message: string, options: ErrorOptions) => Error>> = {
  ENOENT: errors.NotFound,
  EEXIST: errors.AlreadyExists,
  EPERM: errors.PermissionDenied,
  EACCES: errors.PermissionDenied,
  EINTR: errors.Interrupted,
  ENOTDIR: errors.NotADirectory,
  EAGAIN: errors.WouldBlock,
};

/** An error of `node:fs` in the form that Deno gives it: `No such file (os error 2): open '/x'`. */
function translated(error: unknown): unknown {
  if (!(error instanceof Error)) return error;
  const { code = "", errno = 0, syscall = "", path } = error as NodeJS.ErrnoException;
  if (code === "") return error;
  const text = error.message.replace(/^[A-Z0-9]+: /, "").replace(/, [a-z]+(?: '.*)?$/s, "");
  const message = `${text.charAt(0).toUpperCase()}${text.slice(1)} (os error ${-errno})`;
  const where = path === undefined ? "" : `: ${syscall} '${path}'`;
  return new (KINDS[code] ?? Error)(message + where, { cause: error });
}

/** Runs a call of `node:fs`; its errors become those of Deno. */
function call<T>(run: () => T): T {
  try {
    return run();
  } catch (error) {
    throw translated(error);
  }
}

function locked(number: number): boolean {
  if (number === 0) return true;
  if (number === 11 || number === 35) return false;
  if (number === 4) throw new errors.Interrupted("Interrupted system call (os error 4)");
  throw new Error(`Cannot lock the file (os error ${number})`);
}

function infoOf(stats: fs.Stats): Deno.FileInfo {
  const { dev, ino, mode, size, mtime, ctime, blocks } = stats;
  const info = {
    isFile: stats.isFile(),
    isDirectory: stats.isDirectory(),
    isSymlink: stats.isSymbolicLink(),
    ...{ dev, ino, mode, size, mtime, ctime, blocks, uid: stats.uid, nlink: stats.nlink },
  };
  return info as unknown as Deno.FileInfo;
}

/** An open file; reads and writes are positional, so that a seek costs no call. */
class NodeFile {
  readonly #fd: number;
  #at = 0;

  constructor(fd: number) {
    this.#fd = fd;
  }

  seekSync(offset: number, whence = 0): number {
    const from = whence === 2 ? call(() => fs.fstatSync(this.#fd).size) : 0;
    return this.#at = from + offset;
  }

  readSync(into: Uint8Array): number | null {
    const count = call(() => fs.readSync(this.#fd, into, 0, into.length, this.#at));
    this.#at += count;
    return count === 0 && into.length > 0 ? null : count;
  }

  writeSync(bytes: Uint8Array): number {
    const count = call(() => fs.writeSync(this.#fd, bytes, 0, bytes.length, this.#at));
    this.#at += count;
    return count;
  }

  tryLockSync(exclusive: boolean): boolean {
    return locked(lockNow(this.#fd, exclusive));
  }

  unlockSync(): void {
    locked(unlockNow(this.#fd));
  }

  syncSync(): void {
    call(() => fs.fsyncSync(this.#fd));
  }

  syncDataSync(): void {
    call(() => fs.fdatasyncSync(this.#fd));
  }

  statSync(): Deno.FileInfo {
    return call(() => infoOf(fs.fstatSync(this.#fd)));
  }

  truncateSync(size = 0): void {
    call(() => fs.ftruncateSync(this.#fd, size));
  }

  close(): void {
    call(() => fs.closeSync(this.#fd));
  }

  [Symbol.dispose](): void {
    this.close();
  }
}

function openFlags({ read = true, write, append, create, createNew, truncate }: Deno.OpenOptions) {
  const { O_RDONLY, O_WRONLY, O_RDWR, O_CREAT, O_EXCL, O_TRUNC, O_APPEND } = fs.constants;
  const writes = write === true || append === true;
  return (writes ? (read ? O_RDWR : O_WRONLY) : O_RDONLY) |
    (append === true ? O_APPEND : 0) |
    (create === true || createNew === true ? O_CREAT : 0) |
    (createNew === true ? O_EXCL : 0) |
    (truncate === true ? O_TRUNC : 0);
}

function entryOf(entry: fs.Dirent): Deno.DirEntry {
  return {
    name: entry.name,
    isFile: entry.isFile(),
    isDirectory: entry.isDirectory(),
    isSymlink: entry.isSymbolicLink(),
  };
}

/** Notices of changes, as an iterator like Deno's. */
class NodeWatcher implements AsyncIterableIterator<{ readonly paths: string[] }> {
  readonly #watchers: fs.FSWatcher[];
  readonly #ready: string[][] = [];
  #wake: (() => void) | null = null;
  #open = true;

  constructor(paths: readonly string[]) {
    this.#watchers = paths.map((path) => {
      const isDirectory = fs.statSync(path).isDirectory();
      const watcher = fs.watch(path, { persistent: true }, (_event, name) => {
        this.#ready.push([isDirectory && name !== null ? `${path}/${name}` : path]);
        this.#wake?.();
      });
      // A watched file that is removed: the slow look of the caller finds that out.
      watcher.on("error", () => {});
      return watcher;
    });
  }

  async next(): Promise<IteratorResult<{ readonly paths: string[] }>> {
    for (;;) {
      const paths = this.#ready.shift();
      if (paths !== undefined) return { value: { paths }, done: false };
      if (!this.#open) return { value: undefined, done: true };
      await new Promise<void>((resolve) => this.#wake = resolve);
      this.#wake = null;
    }
  }

  close(): void {
    this.#open = false;
    for (const watcher of this.#watchers) watcher.close();
    this.#wake?.();
  }

  return(): Promise<IteratorResult<{ readonly paths: string[] }>> {
    this.close();
    return Promise.resolve({ value: undefined, done: true });
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  [Symbol.dispose](): void {
    this.close();
  }
}

interface TemporaryOptions {
  readonly dir?: string;
  readonly prefix?: string;
  readonly suffix?: string;
}

function temporaryPath({ dir = tmpdir(), prefix = "", suffix = "" }: TemporaryOptions): string {
  return `${dir}/${prefix}${crypto.randomUUID().slice(0, 12)}${suffix}`;
}

/** The file calls of Deno that the library uses. */
export const files = {
  FsFile: NodeFile,
  SeekMode: { Start: 0, Current: 1, End: 2 },
  errors,

  openSync(path: string, options: Deno.OpenOptions = {}): NodeFile {
    return new NodeFile(call(() => fs.openSync(path, openFlags(options), options.mode ?? 0o666)));
  },
  statSync: (path: string): Deno.FileInfo => call(() => infoOf(fs.statSync(path))),
  lstatSync: (path: string): Deno.FileInfo => call(() => infoOf(fs.lstatSync(path))),
  removeSync(path: string, options: { readonly recursive?: boolean } = {}): void {
    call(() => {
      if (options.recursive === true) fs.rmSync(path, { recursive: true });
      else if (fs.lstatSync(path).isDirectory()) fs.rmdirSync(path);
      else fs.unlinkSync(path);
    });
  },
  mkdirSync(path: string, options: fs.MakeDirectoryOptions = {}): void {
    call(() => void fs.mkdirSync(path, options));
  },
  linkSync: (from: string, to: string): void => call(() => fs.linkSync(from, to)),
  symlinkSync: (from: string, to: string): void => call(() => fs.symlinkSync(from, to)),
  renameSync: (from: string, to: string): void => call(() => fs.renameSync(from, to)),
  chmodSync: (path: string, mode: number): void => call(() => fs.chmodSync(path, mode)),
  realPathSync: (path: string): string => call(() => fs.realpathSync(path)),
  readFileSync: (path: string): Uint8Array => call(() => new Uint8Array(fs.readFileSync(path))),
  readTextFileSync: (path: string): string => call(() => fs.readFileSync(path, "utf8")),
  readDirSync(path: string): Deno.DirEntry[] {
    return call(() => fs.readdirSync(path, { withFileTypes: true }).map(entryOf));
  },
  async *readDir(path: string): AsyncGenerator<Deno.DirEntry> {
    try {
      for await (const entry of await fs.promises.opendir(path)) yield entryOf(entry);
    } catch (error) {
      throw translated(error);
    }
  },
  makeTempDirSync(options: TemporaryOptions = {}): string {
    const path = temporaryPath(options);
    call(() => fs.mkdirSync(path, { mode: 0o700 }));
    return path;
  },
  makeTempFileSync(options: TemporaryOptions = {}): string {
    const path = temporaryPath(options);
    call(() => fs.closeSync(fs.openSync(path, "wx", 0o600)));
    return path;
  },
  watchFs(paths: string | readonly string[]): NodeWatcher {
    return call(() => new NodeWatcher(typeof paths === "string" ? [paths] : paths));
  },
};
