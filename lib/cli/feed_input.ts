/**
 * What `feed` reads when no data stands on the command line: a file, or stdin
 * (docs/spec/command-line.md 2.2).
 *
 * @module
 */

import { PlasmiteError } from "../errors.ts";
import { hasEveryPermission } from "../environment.ts";
import { standardInput } from "../stdio.ts";
import { sleepSync } from "../storage/lock_wait.ts";
import type { CommandContext } from "./context.ts";

/** Bytes that are looked at in advance. */
const LOOK_AHEAD = 64 * 1024;

/** The error for a command without data; what to do depends on the command. */
export function missingInput(): PlasmiteError {
  return new PlasmiteError("Usage", "missing data input", { topic: "input" });
}

/**
 * Chooses between file and stdin. Throws Io for a file that cannot be read.
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
    if (file.statSync().isDirectory) input.refuseNothing(); // To read it tells what is wrong.
    return input;
  } catch (error) {
    file.close();
    throw error;
  }
}

/** An input that is open. */
export class FeedInput {
  /** Size of a file in bytes; -1 for anything that flows. */
  readonly size: number;
  readonly #context: CommandContext;
  readonly #file: Deno.FsFile | null;
  readonly #path: string | undefined;
  /** What was read in advance. */
  #ahead: Uint8Array = new Uint8Array(0);

  /** Use {@linkcode openInput}. */
  constructor(context: CommandContext, file: Deno.FsFile | null, path: string | undefined) {
    this.#context = context;
    this.#file = file;
    this.#path = path;
    const info = file?.statSync();
    this.size = info?.isFile === true ? info.size : -1;
  }

  /** Fills `into`; null at the end. */
  read(into: Uint8Array): number | null {
    if (this.#ahead.length === 0) return this.#read(into);
    const part = this.#ahead.subarray(0, into.length);
    into.set(part);
    this.#ahead = this.#ahead.subarray(part.length);
    return part.length;
  }

  #read(into: Uint8Array): number | null {
    const source = this.#file ?? standardInput;
    return reading(this.#path, () => source.readSync(into));
  }

  /** Refuses a terminal where nobody asked for one. Throws Usage. */
  refuseTerminal(): void {
    const { args } = this.#context;
    const asked = args.has("file") || args.text("FILE") === "-";
    if (!asked && standardInput.isTerminal) throw missingInput();
  }

  /** Refuses an input without a record, unless that was asked for. Throws Usage. */
  refuseEmpty(): void {
    if (!this.#context.args.has("input-format")) throw missingInput();
  }

  /**
   * Refuses an input with nothing in it, as far as that can be told without waiting for somebody who
   * writes. Throws Usage, or Io when it cannot be read.
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

/** What stdin is, where its end is there from the beginning: a file, or nothing. */
function standardFile(): "file" | "nothing" | null {
  if (!hasEveryPermission()) return null;
  try {
    const { isFile, isCharDevice, rdev, size } = Deno.statSync("/dev/stdin");
    if (isFile) return size === 0 ? "nothing" : "file";
    return isCharDevice === true && rdev === Deno.statSync("/dev/null").rdev ? "nothing" : null;
  } catch {
    return null; // Closed, or a system without such names: then it counts as a pipe.
  }
}

/** Whether stdin is an empty file or /dev/null, as far as that can be told without reading it. */
export function hasNoInput(): boolean {
  return standardFile() === "nothing";
}

/** @param isArgument whether the path was typed by itself, and not behind `--file` */
function reading<T>(path: string | undefined, read: () => T, isArgument = false): T {
  for (;;) {
    try {
      return read();
    } catch (error) {
      if (error instanceof Deno.errors.WouldBlock) {
        sleepSync(1); // A pipe or a device that somebody else left non-blocking.
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
