/**
 * Standard output and error: a closed pipe is distinguished from a failing device
 * (docs/spec/command-line.md 1.9). Also the JSON text of the program's own documents
 * (docs/spec/command-line.md 1.6).
 *
 * @module
 */

import { messageOf, PlasmiteError } from "../errors.ts";
import { StandardStream, type WriteOptions } from "../stdio.ts";
import { forTerminal } from "../visible.ts";

/** The reader of stdout has gone away: stop quietly, exit 0. */
export class StdoutClosed extends Error {
  /** Creates the signal; it is never shown. */
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

/** Standard output or standard error. */
export class Output {
  /** The stream. */
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
   * Writes a whole text before it returns; escapes unsafe characters on a terminal.
   *
   * Throws {@linkcode StdoutClosed} when the reader is gone and Io "failed to write stdout" for any
   * other failure; failures of stderr are ignored, because they cannot be reported.
   */
  write(bytes: Uint8Array): void {
    this.writeBinary(this.isTerminal ? forTerminal(bytes) : bytes);
  }

  /** Writes bytes that are not text. */
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
   * Writes bytes without blocking the event loop, so that signals are handled while no one reads.
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
