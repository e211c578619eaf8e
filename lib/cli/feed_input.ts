/**
 * The input of `feed` without data on the command line: a file, or stdin
 * (docs/spec/command-line.md 2.2).
 *
 * @module
 */

import { PlasmiteError } from "../errors.ts";
import { hasEveryPermission } from "../environment.ts";
import { standardInput } from "../stdio.ts";
import { sleepSync } from "../storage/lock_wait.ts";
import type { CommandContext } from "./context.ts";

/** How many bytes are read in advance. */
const LOOK_AHEAD = 64 * 1024;

/** The error for a command without data; the advice depends on the command. */
export function missingInput(): PlasmiteError {
  return new PlasmiteError("Usage", "missing data input", { topic: "input" });
}

/**
 * Opens a file or stdin. Throws Io for a file that cannot be read.
 *
 * @param path the file as typed; `-` or undefined for stdin
 */
export function openInput(
  context: CommandContext,
  path: string | undefined = context.args.text("file"),
): FeedInput {
  if (path === undefined || path === "-") return new FeedInput(context, null, undefined);
  const file = reading(path, () => Deno.openSync(path), context.args.text("FILE") === path);
  try {
    const input = new FeedInput(context, file, path);
    if (file.statSync().isDirectory) input.refuseNothing(); // Reading it reports the problem.
    return input;
  } catch (error) {
    file.close();
    throw error;
  }
}

/** An open input. */
export class FeedInput {
  /** The size of a file in bytes; -1 for a stream. */
  readonly size: number;
  readonly #context: CommandContext;
  readonly #file: Deno.FsFile | null;
  readonly #path: string | undefined;
  /** What was read in advance. */
  #ahead: Uint8Array = new Uint8Array(0);

  /** For internal use: call {@linkcode openInput}. */
  constructor(context: CommandContext, file: Deno.FsFile | null, path: string | undefined) {
    this.#context = context;
    this.#file = file;
    this.#path = path;
    const info = file?.statSync();
    this.size = info?.isFile === true ? info.size : -1;
  }

  /** Reads into a buffer; null at the end. */
  read(into: Uint8Array): number | null {
    if (this.#ahead.length === 0) return this.#read(into);
    const part = this.#ahead.subarray(0, into.length);
    into.set(part);
    this.#ahead = this.#ahead.subarray(part.length);
    return part.length;
  }

  #read(into: Uint8Array): number | null {
    const source = this.#file ?? standardInput;
    const isArgument = this.#context.args.text("FILE") === this.#path;
    return reading(this.#path, () => source.readSync(into), isArgument);
  }

  /** Refuses a terminal unless it was requested. Throws Usage. */
  refuseTerminal(): void {
    const { args } = this.#context;
    const asked = args.has("file") || args.text("FILE") === "-";
    if (!asked && standardInput.isTerminal) throw missingInput();
  }

  /** Refuses an input without records, unless it was requested. Throws Usage. */
  refuseEmpty(): void {
    if (!this.#context.args.has("input-format")) throw missingInput();
  }

  /**
   * Refuses an empty input, as far as that is known without waiting for data. Throws Usage, or Io
   * if it cannot be read.
   */
  refuseNothing(): void {
    this.refuseTerminal();
    if (this.#file === null && standardFile() === null) return;
    const bytes = new Uint8Array(LOOK_AHEAD);
    const count = this.#read(bytes);
    if (count === null) this.refuseEmpty();
    else this.#ahead = bytes.subarray(0, count);
  }

  /** Releases the file. */
  close(): void {
    this.#file?.close();
  }
}

/** The kind of stdin, if its end is known from the start: a file, or nothing. */
function standardFile(): "file" | "nothing" | null {
  if (!hasEveryPermission()) return null;
  try {
    const { isFile, isCharDevice, rdev, size } = Deno.statSync("/dev/stdin");
    if (isFile) return size === 0 ? "nothing" : "file";
    return isCharDevice === true && rdev === Deno.statSync("/dev/null").rdev ? "nothing" : null;
  } catch {
    return null; // Closed, or a system without such paths: treated as a pipe.
  }
}

/** Whether stdin is an empty file or /dev/null, as far as that is known without reading it. */
export function hasNoInput(): boolean {
  return standardFile() === "nothing";
}

/** @param isArgument whether the path is an argument, not the value of `--file` */
function reading<T>(path: string | undefined, read: () => T, isArgument = false): T {
  for (;;) {
    try {
      return read();
    } catch (error) {
      if (error instanceof Deno.errors.WouldBlock) {
        sleepSync(1); // A pipe or device that another process has made non-blocking.
        continue;
      }
      if (error instanceof Deno.errors.Interrupted) continue;
      const message = path === undefined ? "failed to read stdin" : "failed to read data file";
      throw new PlasmiteError("Io", message, {
        path,
        hint: path === undefined
          ? "Check what is piped in."
          : `Check the path of ${isArgument ? "the file" : "--file"}.`,
        causes: [error instanceof Error ? error.message.replace(/: \w+ '.*$/s, "") : String(error)],
        cause: error,
      });
    }
  }
}
