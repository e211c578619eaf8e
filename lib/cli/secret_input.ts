/**
 * Reads a secret: hidden on a terminal, otherwise the first line of standard input. Secrets are
 * never options, because all users of the machine can read those.
 *
 * @module
 */

import { PlasmiteError } from "../errors.ts";
import { standardInput } from "../stdio.ts";
import type { CommandContext } from "./context.ts";
import { Terminal } from "./terminal.ts";

/** The longest line that is read, in bytes. */
const LONGEST = 4096;

/**
 * Reads a secret, trimmed; empty if there is none.
 *
 * @param prompt the prompt on a terminal
 * @throws {PlasmiteError} Usage for a line that is too long
 */
export async function readSecret(context: CommandContext, prompt: string): Promise<string> {
  if (!standardInput.isTerminal) return (await readLine(() => false)).trim();
  // Hide typing before the prompt appears.
  using _terminal = new Terminal();
  context.stderr.text(`${prompt} (hidden): `);
  const line = await readLine((byte) => byte === END_OF_INPUT);
  context.stderr.text("\n");
  return edited(line).trim();
}

const NEWLINE = 0x0a;
const RETURN = 0x0d;
const END_OF_INPUT = 0x04;

/** Reads up to a line end, the end of input or a byte that ends it. */
async function readLine(ends: (byte: number) => boolean): Promise<string> {
  const buffer = new Uint8Array(LONGEST);
  for (let length = 0; length < LONGEST;) {
    const got = await standardInput.read(buffer.subarray(length));
    const end = buffer.subarray(0, length + (got ?? 0)).findIndex((byte) =>
      byte === NEWLINE || byte === RETURN || ends(byte)
    );
    if (end >= 0 || got === null) {
      return new TextDecoder().decode(buffer.subarray(0, end >= 0 ? end : length));
    }
    length += got;
  }
  throw new PlasmiteError("Usage", "the line on standard input is too long", {
    hint: "Give the access key alone, on one line.",
  });
}

/** Applies backspaces and Ctrl-U to typed keys. */
function edited(keys: string): string {
  const typed: string[] = [];
  for (const key of keys) {
    if (key === "\x7f" || key === "\b") typed.pop();
    else if (key === "\x15") typed.length = 0;
    else if (key >= " ") typed.push(key);
  }
  return typed.join("");
}
