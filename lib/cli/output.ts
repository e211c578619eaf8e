/**
 * What becomes of a failed write: a closed pipe told apart from a failing device
 * (docs/spec/command-line.md 1.9), and the JSON text of the program's own documents
 * (docs/spec/command-line.md 1.6).
 *
 * @module
 */

import { messageOf, PlasmiteError } from "../errors.ts";
import { StandardStream, type WriteOptions } from "../stdio.ts";
import { forTerminal } from "../visible.ts";

/** The reader of stdout has gone away: stop quietly, exit 0. */
export class StdoutClosed extends Error {
  /** Makes the signal; it is never shown. */
  constructor() {
    super("stdout is closed");
  }
}

/** A number that is printed with a fraction even when it is whole: `0.0`. */
export class Float {
  /** The number. */
  readonly value: number;

  /** Marks `value` as a floating-point number. */
  constructor(value: number) {
    this.value = value;
  }
}

/** What the program's own documents are made of; `undefined` members are left out. */
export type Json =
  | string
  | number
  | bigint
  | boolean
  | null
  | Float
  | readonly Json[]
  | { readonly [key: string]: Json | undefined };

/** One of the two standard streams, as the command line means it. */
export class Output {
  /** What it writes to. */
  readonly stream: StandardStream;

  /** Wraps a standard stream. */
  constructor(stream: StandardStream) {
    this.stream = stream;
  }

  /** Whether it is a terminal. */
  get isTerminal(): boolean {
    return this.stream.isTerminal;
  }

  /**
   * Writes all of a text before it returns; what is unsafe on a terminal is escaped there.
   *
   * Throws {@linkcode StdoutClosed} when the reader is gone and Io "failed to write stdout" for any
   * other failure; failures of stderr are ignored, for there is nowhere to report them.
   */
  write(bytes: Uint8Array): void {
    this.writeBinary(this.isTerminal ? forTerminal(bytes) : bytes);
  }

  /** The same for bytes that are no text. */
  writeBinary(bytes: Uint8Array): void {
    try {
      this.stream.writeSync(bytes);
    } catch (error) {
      if (this.stream === StandardStream.stderr) return;
      if (error instanceof Deno.errors.BrokenPipe) throw new StdoutClosed();
      throw stdoutFailure(error);
    }
  }

  /**
   * Writes bytes without blocking the event loop, so that signals are noticed while nobody reads.
   *
   * @throws as {@linkcode Output.write}; the reason of the signal
   */
  async writeWatched(bytes: Uint8Array, options: WriteOptions): Promise<void> {
    if (this.isTerminal) {
      this.write(bytes);
      options.accepted?.(bytes.length);
      return;
    }
    try {
      await this.stream.write(bytes, options);
    } catch (error) {
      if (options.signal?.aborted === true && error === options.signal.reason) throw error;
      if (error instanceof Deno.errors.BrokenPipe) throw new StdoutClosed();
      throw stdoutFailure(error);
    }
  }

  /** Writes text as UTF-8. */
  text(text: string): void {
    this.write(new TextEncoder().encode(text));
  }
}

function stdoutFailure(error: unknown): PlasmiteError {
  return new PlasmiteError("Io", "failed to write stdout", {
    hint: "Make room or choose another destination; completed appends remain stored.",
    causes: [messageOf(error)],
    cause: error,
  });
}

/** Compact JSON with sorted keys. Not for user data: that is printed from its bytes. */
export function toJson(value: Json): string {
  if (typeof value === "bigint") return String(value);
  if (value instanceof Float) {
    return Number.isInteger(value.value) ? value.value.toFixed(1) : String(value.value);
  }
  if (isArray(value)) return `[${value.map(toJson).join(",")}]`;
  if (typeof value === "object" && value !== null) {
    const members: string[] = [];
    for (const key of Object.keys(value).sort()) {
      const member = value[key];
      if (member !== undefined) members.push(`${JSON.stringify(key)}:${toJson(member)}`);
    }
    return `{${members.join(",")}}`;
  }
  return JSON.stringify(value);
}

function isArray(value: Json): value is readonly Json[] {
  return Array.isArray(value);
}
