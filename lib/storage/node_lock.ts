/**
 * `flock` for Node and Bun, which have no file locks: through the optional package koffi in Node,
 * through `bun:ffi` in Bun. Loaded by the npm builds only.
 *
 * @module
 */

import { createRequire } from "node:module";
import { PlasmiteError } from "../errors.ts";

const LOCK_SH = 1;
const LOCK_EX = 2;
const LOCK_NB = 4;
const LOCK_UN = 8;

/** A call of flock(2): 0, or the error number. */
type Flock = (fd: number, operation: number) => number;

/** The parts of koffi that are used. */
interface Koffi {
  load(library: string): { func(signature: string): (fd: number, operation: number) => number };
  errno(): number;
}

/** The parts of `bun:ffi` that are used. */
interface BunFfi {
  dlopen(library: string, symbols: Record<string, { args: string[]; returns: string }>): {
    readonly symbols: Record<string, (...args: number[]) => number>;
  };
  readonly read: { i32(pointer: number, offset: number): number };
}

/** Loads a package, seen from where this module is. */
const load = (name: string): unknown => createRequire(import.meta.url)(name);

/** The C library: glibc or musl on Linux, the system library on macOS. */
export function libraries(platform: string, arch: string): readonly string[] {
  if (platform === "darwin") return ["libSystem.B.dylib"];
  const musl = arch === "arm64" ? "libc.musl-aarch64.so.1" : "libc.musl-x86_64.so.1";
  return ["libc.so.6", musl, "libc.so"];
}

/** Calls `open` with each library until one can be loaded. */
function firstOf<T>(open: (library: string) => T): T {
  let failure: unknown;
  for (const library of libraries(process.platform, process.arch)) {
    try {
      return open(library);
    } catch (error) {
      failure ??= error;
    }
  }
  throw failure;
}

/** The C function that says where the last error number is. */
export function errnoFunction(platform: string): string {
  return platform === "darwin" ? "__error" : "__errno_location";
}

function throughBun(): Flock {
  const { dlopen, read } = load("bun:ffi") as BunFfi;
  const errno = errnoFunction(process.platform);
  const { symbols } = firstOf((library) =>
    dlopen(library, {
      flock: { args: ["i32", "i32"], returns: "i32" },
      [errno]: { args: [], returns: "ptr" },
    })
  );
  const { flock, [errno]: location } = symbols;
  if (flock === undefined || location === undefined) throw new Error("the C library has no flock");
  return (fd, operation) => flock(fd, operation) === 0 ? 0 : read.i32(location(), 0);
}

function throughKoffi(): Flock {
  const koffi = load("koffi") as Koffi;
  const flock = firstOf((library) => koffi.load(library).func("int flock(int fd, int operation)"));
  return (fd, operation) => flock(fd, operation) === 0 ? 0 : koffi.errno();
}

let loaded: Flock | null = null;

function flock(): Flock {
  if (loaded !== null) return loaded;
  try {
    return loaded = "bun" in process.versions ? throughBun() : throughKoffi();
  } catch (error) {
    throw new PlasmiteError("Io", "Local pools need file locks, which Node does not have", {
      hint: "Install the package koffi beside this one (npm install koffi); remote pools work " +
        "without it.",
      causes: [error instanceof Error ? error.message.split("\n")[0] ?? "" : String(error)],
      cause: error,
      topic: "locks",
    });
  }
}

/**
 * Takes the lock of an open file if it is free.
 *
 * @param fd its descriptor
 * @returns 0, or the number of the system's error: 11 or 35 if another process holds the lock
 * @throws {PlasmiteError} Io if neither koffi nor `bun:ffi` can be loaded
 */
export function lockNow(fd: number, exclusive: boolean): number {
  return flock()(fd, (exclusive ? LOCK_EX : LOCK_SH) | LOCK_NB);
}

/** Releases the lock of an open file. */
export function unlockNow(fd: number): number {
  return flock()(fd, LOCK_UN);
}
